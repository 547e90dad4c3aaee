"""A release of one file, and what tests of its download ask."""

import random
import re
from pathlib import Path

import pytest
from mixzoo.zoo.cache import asset_path
from mixzoo.zoo.catalog import open_catalog
from mixzoo.zoo.errors import MixzooError
from mixzoo.zoo.net.fetch import fetch

from ...emulator.server import Emulator

SIZE = 300_001
BYTES = random.Random(0).randbytes(SIZE)
OTHER = random.Random(1).randbytes(SIZE)
SOURCE = '[[sources]]\nkind = "http"\nurl = "{url}/files"\n'
ADDRESS, MIRROR = "/files/w.pth", "/mirror/w.pth"


def get(manifest: Path, connections: int = 1) -> Path:
    benchmark, row = open_catalog([manifest]).row("resnet18_w4.vanilla_own")
    return fetch(benchmark, benchmark.asset(row.id), connections=connections)


def final(manifest: Path) -> Path:
    benchmark, row = open_catalog([manifest]).row("resnet18_w4.vanilla_own")
    return asset_path("own", benchmark.asset(row.id))


def require_line(error: type[MixzooError], message: str, manifest: Path, connections: int = 1):
    """The download fails with this one line, and nothing has the final name."""
    with pytest.raises(error) as caught:
        get(manifest, connections)
    assert re.search(message, str(caught.value)), caught.value
    assert "\n" not in str(caught.value)
    assert not final(manifest).exists()


def ranges(emulator: Emulator) -> list[str]:
    return [request.headers.get("range", "") for request in emulator.store.requests]
