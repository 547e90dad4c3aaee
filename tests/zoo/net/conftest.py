"""A server with the one file, and settings that make its faults small and quick."""

from collections.abc import Callable
from pathlib import Path

import pytest
from mixzoo.zoo.net import http, stream, transfer

from ...emulator.server import Emulator
from .one_file import ADDRESS, BYTES, MIRROR, SOURCE


@pytest.fixture
def small_and_quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small pieces, and no waiting."""
    monkeypatch.setattr(http, "CHUNK", 4096)
    monkeypatch.setattr(http, "TIMEOUT", (5.0, 0.3))
    monkeypatch.setattr(transfer, "PIECE", 20_000)
    monkeypatch.setattr(stream, "FIRST_PAUSE", 0.0)


@pytest.fixture
def manifest(emulator: Emulator, write_benchmark: Callable[..., Path]) -> Path:
    """A benchmark whose one file the emulator has."""
    emulator.files[ADDRESS] = BYTES
    return write_benchmark(SOURCE.format(url=emulator.front.url), BYTES)


@pytest.fixture
def unlocked(emulator: Emulator, write_benchmark: Callable[..., Path]) -> Path:
    """The same with a lock that knows neither the file's size nor its hash."""
    emulator.files[ADDRESS] = BYTES
    source = SOURCE.format(url=emulator.front.url)
    return write_benchmark(source, BYTES, sha256=None, size=None)


@pytest.fixture
def two_sources(emulator: Emulator, write_benchmark: Callable[..., Path]) -> Path:
    """The same with two addresses of the emulator, both of which have the file."""
    emulator.files |= {ADDRESS: BYTES, MIRROR: BYTES}
    first = SOURCE.format(url=emulator.front.url)
    return write_benchmark(first + first.replace("/files", "/mirror"), BYTES)
