"""Reports and kept predictions to show, and one server and one browser for all browser tests."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pytest
import torch
from mixzoo.eval import store
from mixzoo.eval.predictions import EXACT, Precision, Predictions
from mixzoo.eval.report import report_of, row_of
from mixzoo.zoo.cache import cache_root
from mixzoo.zoo.catalog import Benchmark, open_catalog
from mixzoo.zoo.manifest import Protocol
from mixzoo.zoo.nets import MixClassifier, ResNetConfig
from mixzoo.zoo.report import Weights

from ...mini_rows import CUTMIX, MIXUP, PROTOCOL, VANILLA, hits
from ...mini_rows import SAMIX as SHOWN

if TYPE_CHECKING:
    from playwright.sync_api import Browser

LOST = 35  # images that the report of mini's mixup row has less than were published
SWITCHES = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
# As on a machine behind a proxy, here one that nobody reaches: what is local needs none.
PROXIES = dict.fromkeys(("HTTP_PROXY", "https_proxy", "HTTPS_PROXY"), "http://127.0.0.1:9") | {
    "ALL_PROXY": "socks5://127.0.0.1:9",
    "NO_PROXY": "example.org",
}


def evaluated(
    row_id: str,
    correct: Mapping[str, int],
    *,
    images: int | None = None,
    list_sha256: str | None = None,
    protocol: Protocol | None = None,
    precision: Precision = "guarded",
) -> tuple[store.Key, store.Stored]:
    """What an evaluation of a row keeps. correct: head -> how many of the images are right."""
    benchmark, row = open_catalog().row(row_id)
    val, asset = benchmark.manifest.dataset.val, benchmark.asset(row_id)
    count = images or val.images or 0
    key = store.Key(
        (asset and asset.sha256) or hashlib.sha256(row_id.encode()).hexdigest(),
        protocol or benchmark.manifest.protocol,
        list_sha256 or val.list_sha256 or "0" * 64,
        precision,
    )
    heads = {}
    for head, right in correct.items():
        known = heads[head] = Predictions.empty(np.arange(count) % 40)
        known.top[:, :] = (known.labels[:, None] + np.arange(5)) % 40
        known.top[right:, 0] = (known.labels[right:] + 7) % 40
        for column in (known.margin, known.margin5, known.confidence):
            column[:] = 0.5
        known.state[:] = EXACT
    weights = Weights(
        file="w.pth",
        sha256=key.weights_sha256,
        architecture=row.architecture,
        method="plain",
        num_classes=40,
        heads=tuple(correct),
    )
    about = {
        "weights": msgspec.to_builtins(weights),
        "created": "2026-01-01T00:00:00+00:00",
        "files_sha256": val.files_sha256,
    }
    files = tuple(f"val2018/{n % 3}/{n % 40}/{n}.png" for n in range(count))
    return key, store.Stored(key.facts(), heads, files, np.full(count, 1000), about)


def report_text(
    correct: dict[tuple[str, str], int], *, created: str = "2026-01-02T03:04:05+00:00", **how: Any
) -> str:
    """A report's JSON. correct: (row id, head) -> right answers. how: see `evaluated`."""
    benchmark, _ = open_catalog().row(next(iter(correct))[0])
    rows = []
    for row_id in dict.fromkeys(row_id for row_id, _ in correct):
        heads = {head: right for (row, head), right in correct.items() if row == row_id}
        _, stored = evaluated(row_id, heads, **how)
        rows.append(row_of(stored, row_id, benchmark, benchmark.manifest.row(row_id)))
    labels = "val2018.json"
    report = report_of(rows, stored, benchmark, labels=labels, run={}, created=created)
    return report.to_json()


@pytest.fixture
def mini() -> Benchmark:
    """The embedded benchmark."""
    return open_catalog().benchmark("mini")


@pytest.fixture
def write_report(tmp_path: Path) -> Callable[..., Path]:
    """Writes a report into the folder `reports`, as `mixzoo eval --out` would; see `report_text`."""

    def write(name: str, correct: dict[tuple[str, str], int], **facts: Any) -> Path:
        path = tmp_path / "reports" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(report_text(correct, **facts))
        return path

    return write


@pytest.fixture
def keep_predictions() -> Callable[..., None]:
    """Keeps predictions of a row, as an evaluation does: `correct` of the images right."""

    def keep(row_id: str, correct: int, **how: Any) -> None:
        key, stored = evaluated(row_id, {"head0": correct}, **how)
        store.write(key.path, stored)

    return keep


ROW, LEARNT = "resnet18_w4.vanilla_own", "resnet18_w4.automix_own"
CONTENT = bytes(range(256)) * 400
OWN = f"""
format = 1
name = "own"
title = "A row to download, and a learnt method that is untrained"
[metric]
statistic = "last_epoch"
decimals = 1
[protocol]
resize = {PROTOCOL.resize}
crop = {PROTOCOL.crop}
[dataset]
name = "Forty"
num_classes = 40
[dataset.val]
images = 20
annotations = ["val2018.json"]
[[sources]]
kind = "file"
path = "released"
[[rows]]
id = "{ROW}"
architecture = "resnet18_w4"
method = "vanilla"
reported_top1 = 10.0
[[rows]]
id = "{LEARNT}"
architecture = "resnet18_w4"
method = "automix"
"""


def write_own(folder: Path, learnt: bytes = b"") -> Path:
    """A benchmark with a row to download from a folder; returns its manifest.

    learnt: weights of its other row, which are locked if they are given.
    """
    (folder / "released").mkdir()
    (folder / "released" / "w.pth").write_bytes(CONTENT)
    assets = [
        {"row": row, "kind": "weights", "name": name, "size": len(content)}
        | {"sha256": hashlib.sha256(content).hexdigest()}
        for row, name, content in ((ROW, "w.pth", CONTENT), (LEARNT, "automix.pth", learnt))
        if content
    ]
    lock = {"format": 1, "benchmark": "own", "assets": assets}
    (folder / "own.lock.json").write_text(json.dumps(lock))
    (folder / "own.toml").write_text(OWN)
    return folder / "own.toml"


@dataclass
class Served:
    """A demo in a process of its own. folder: of its caches and temporary files."""

    url: str
    folder: Path
    process: "subprocess.Popen[str]"

    @property
    def api(self) -> str:
        """Where programs ask."""
        return f"{self.url}gradio_api/"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The demo as a user starts it, on `mini` with a report, an untrained AutoMix, a row to download."""
    folder = tmp_path_factory.mktemp("served")
    torch.manual_seed(0)
    weights = folder / "cache" / "assets" / "own" / "automix.pth"
    weights.parent.mkdir(parents=True)
    model = MixClassifier(ResNetConfig.from_name("resnet18_w4"), 40, "automix")
    torch.save({"state_dict": model.state_dict()}, weights)
    manifest = write_own(folder, weights.read_bytes())
    (folder / "secret.txt").write_text("confidential")
    for name in ("reports", "temporary"):
        (folder / name).mkdir()
    correct = {(VANILLA, "head0"): hits(VANILLA), (MIXUP, "head0"): hits(MIXUP) - LOST}
    (folder / "reports" / "mini.json").write_text(report_text(correct))
    key, stored = evaluated(CUTMIX, {"head0": hits(CUTMIX)})
    store.write(folder / "cache" / key.path.relative_to(cache_root()), stored)
    program = "from mixzoo.app.serve import command; command()"
    options = ["--port", "0", "--no-browser", "--allow-downloads", "--ref", SHOWN]
    options += ["--mcp"] * (find_spec("mcp") is not None)
    folders = ["--reports", str(folder / "reports"), "--manifest", str(manifest)]
    own = {"MIXZOO_CACHE": str(folder / "cache"), "MIXZOO_LOCKS": str(folder / "locks")}
    inherited = {k: v for k, v in os.environ.items() if k != "TORCHINDUCTOR_CACHE_DIR"}
    with (
        (folder / "stderr").open("w") as log,
        subprocess.Popen(
            [sys.executable, "-c", program, *options, *folders],
            env=inherited | own | PROXIES | {"TMPDIR": str(folder / "temporary")},
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        ) as process,
    ):
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        assert url.startswith("http://127.0.0.1:"), (folder / "stderr").read_text()
        yield Served(url, folder, process)
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            process.wait(30)


@pytest.fixture(scope="module")
def browser() -> "Iterator[Browser]":
    """Debian's chromium; skips where there is none, except in CI, which installs it.

    Of this module alone: as long as it runs, no other test can start an event loop.
    """
    executable = shutil.which("chromium")
    if executable is None:
        if os.environ.get("CI"):
            pytest.fail("CI needs chromium: apt-get install chromium")
        pytest.skip("no chromium on this machine: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=executable, args=[*SWITCHES])
        yield chromium
        chromium.close()
