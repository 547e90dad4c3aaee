"""Reports and kept predictions to show, and one server and one browser for all browser tests."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from mixzoo.eval import store
from mixzoo.eval.predictions import EXACT, Counts, Predictions
from mixzoo.eval.report import Report, ReportRow, Weights
from mixzoo.eval.verdict import judge
from mixzoo.zoo.catalog import open_catalog

if TYPE_CHECKING:
    from playwright.sync_api import Browser

SWITCHES = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def report_text(
    correct: dict[tuple[str, str], int],
    *,
    total: int = 1000,
    benchmark: str = "mini",
    created: str = "2026-01-02T03:04:05+00:00",
    breakdown: dict[str, Any] | None = None,
) -> str:
    """A report's JSON. correct: (row id, head) -> right answers; a row's first head is the default."""
    manifest = open_catalog().benchmark(benchmark).manifest
    first: dict[str, str] = {}
    for row_id, head in correct:
        first.setdefault(row_id, head)
    rows = []
    for (row_id, head), hits in correct.items():
        row = manifest.row(row_id)
        assert row is not None
        weights = Weights("w.pth", hashlib.sha256(row_id.encode()).hexdigest(), "a", "plain", 40)
        rows.append(
            ReportRow(
                id=row_id,
                head=head,
                is_default_head=first[row_id] == head,
                has_other_heads=len(correct) > len(first),
                counts=Counts(hits, min(total, hits + 5), total),
                reported_top1=row.reported_top1,
                decimals=manifest.metric.decimals,
                verdict=judge(hits, total, row.reported_top1, manifest.metric),
                weights=weights,
                breakdown=breakdown or {},
            )
        )
    data = {"labels": "val2018.json", "images": total, "list_sha256": "0" * 64}
    report = Report(tuple(rows), benchmark, {"overrides": {}}, data, {}, created=created)
    return json.dumps(report.to_dict())


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
def keep_predictions() -> Callable[..., store.Key]:
    """Keeps predictions of a row of `mini`, as an evaluation does: `correct` of the images right."""

    def keep(
        row_id: str, correct: int, *, images: int = 1000, list_sha256: str | None = None, **key: Any
    ) -> store.Key:
        benchmark = open_catalog().benchmark("mini")
        asset = benchmark.asset(row_id)
        assert asset is not None
        assert asset.sha256 is not None
        known = Predictions.empty(np.arange(images) % 40)
        known.top[:, :] = (known.labels[:, None] + np.arange(5)) % 40
        known.top[correct:, 0] = (known.labels[correct:] + 7) % 40
        for column in (known.margin, known.margin5, known.confidence):
            column[:] = 0.5
        known.state[:] = EXACT
        weights = {"file": asset.name, "sha256": asset.sha256, "architecture": "resnet18_w6"}
        about = {
            "weights": weights | {"method": "plain", "num_classes": 40, "heads": ["head0"]},
            "created": "2026-01-01T00:00:00+00:00",
        }
        val = benchmark.manifest.dataset.val
        made = store.Key(
            asset.sha256,
            key.get("protocol", benchmark.manifest.protocol),
            list_sha256 or val.list_sha256 or "",
            key.get("precision", "guarded"),
        )
        files = tuple(f"val2018/{n % 3}/{n % 40}/{n}.png" for n in range(images))
        sizes = np.full(images, 1000)
        store.write(made.path, store.Stored(made.facts(), {"head0": known}, files, sizes, about))
        return made

    return keep


OWN = """
format = 1
name = "own"
title = "A benchmark of the owner's"
[metric]
statistic = "last_epoch"
decimals = 1
[protocol]
resize = 36
crop = 32
[dataset]
name = "Ten"
num_classes = 10
[dataset.val]
images = 20
annotations = ["val2018.json"]
[[sources]]
kind = "file"
path = "released"
[[rows]]
id = "resnet18_w4.vanilla_own"
architecture = "resnet18_w4"
method = "vanilla"
reported_top1 = 10.0
"""


def write_own(folder: Path) -> Path:
    """A benchmark with one row to download from a folder; returns its manifest."""
    content = bytes(range(256)) * 400
    (folder / "released").mkdir()
    (folder / "released" / "w.pth").write_bytes(content)
    entry = {"row": "resnet18_w4.vanilla_own", "kind": "weights", "name": "w.pth"}
    asset = entry | {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    lock = {"format": 1, "benchmark": "own", "assets": [asset]}
    (folder / "own.lock.json").write_text(json.dumps(lock))
    (folder / "own.toml").write_text(OWN)
    return folder / "own.toml"


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The demo as a user starts it, in a process and with a cache of its own, and a report to show."""
    folder = tmp_path_factory.mktemp("demo")
    (folder / "reports").mkdir()
    correct = {("resnet18_w6.vanilla_mini", "head0"): 702, ("resnet18_w6.mixup_mini", "head0"): 561}
    (folder / "reports" / "mini.json").write_text(report_text(correct))
    program = "from mixzoo.app.serve import command; command()"
    options = ["--port", "0", "--no-browser", "--allow-downloads"]
    folders = ["--reports", str(folder / "reports"), "--manifest", str(write_own(folder))]
    caches = {f"MIXZOO_{name}": str(folder / name.lower()) for name in ("CACHE", "LOCKS")}
    with subprocess.Popen(
        [sys.executable, "-c", program, *options, *folders],
        env=os.environ | caches,
        stdout=subprocess.PIPE,
        text=True,
    ) as server:
        assert server.stdout is not None
        line = server.stdout.readline().strip()
        assert line.startswith("http://127.0.0.1:"), line
        yield line
        server.send_signal(signal.SIGINT)
        server.wait(20)


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
