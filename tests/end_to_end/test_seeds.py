"""A row is trained three times and judged by its seeds, through the command line alone."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

Run = Callable[..., tuple[int, str, str]]  # the fixture `mixzoo`
ROW = "resnet18_w4.vanilla_dots"
MANIFEST = f"""
format = 1
name = "dots"
title = "Noisy dots"
[metric]
statistic = "last_epoch"
decimals = 1
[protocol]
resize = 36
crop = 32
[training]
epochs = 1
batch_size = 4
learning_rate = 0.1
weight_decay = 1e-4
[dataset]
name = "Dots"
num_classes = 3
[dataset.val]
images = 30
annotations = ["all.txt"]
[[rows]]
id = "{ROW}"
architecture = "resnet18_w4"
method = "vanilla"
reported_top1 = 40.0
"""


@pytest.fixture
def dots(tmp_path: Path) -> Path:
    """30 noisy pictures of three classes, their list, and a manifest."""
    root, rng = tmp_path / "dots", np.random.default_rng(0)
    root.mkdir()
    for i in range(30):
        pixels = rng.integers(0, 120, (40, 40, 3), dtype=np.uint8)
        pixels[..., i % 3] += 60
        Image.fromarray(pixels).save(root / f"{i}.png")
    (root / "all.txt").write_text("".join(f"{i}.png,{i % 3}\n" for i in range(30)))
    (root / "dots.toml").write_text(MANIFEST)
    return root


def test_three_seeds_are_judged_together(dots: Path, mixzoo: Run, tmp_path: Path) -> None:
    """In the table, the report's forms and from the evidence; one alone is never reproduced."""
    common = ("--manifest", dots / "dots.toml", "--data", dots)
    lists = ("--train-list", dots / "all.txt", "--val-list", dots / "all.txt", "--device", "cpu")
    files = []
    for seed in (1, 2, 3):
        out = tmp_path / f"seed{seed}"
        mixzoo("train", ROW, *common, *lists, "--set", f"seed={seed}", "--out", out)
        files.append(out / f"{ROW}.pth")
    odd = tmp_path / "odd"
    mixzoo("train", ROW, *common, *lists, "--set", "lr=0.2", "--set", "seed=7", "--out", odd)
    copy = shutil.copy(files[0], tmp_path / "copy.pth")
    options = (*common, "--row", ROW, "--out", tmp_path / "report.json")

    _, alone, _ = mixzoo("eval", files[0], *options)
    given = (*files, copy, odd / f"{ROW}.pth", *options, "--evidence", tmp_path / "evidence")
    code, out, _ = mixzoo("eval", *given)
    checked = mixzoo("eval", "check", tmp_path / "evidence", "--manifest", dots / "dots.toml")

    assert "too few seeds" in alone
    assert f"mixzoo train {ROW} --data {dots} --set seed=2 --out" in alone
    assert "reproduced" not in alone
    assert code == 0
    assert f"eval check {tmp_path / 'evidence'} --manifest {dots / 'dots.toml'}" in out
    report = json.loads((tmp_path / "report.json").read_text())
    assert {row["verdict"] for row in report["rows"]} == {"retrained"}
    assert {row.get("matches_log") for row in report["rows"]} == {"matches its log", None}
    (found,) = report["seeds"]
    assert found["seeds"] == [1, 2, 3]
    assert found["runs"] == [str(file) for file in files]
    assert found["verdict"] in ("within the spread of seeds", "outside the spread of seeds")
    told = " ".join(found["left_out"])
    assert "copy.pth doesn't count: its seed is 1" in told
    assert "odd" in told
    assert "lr 0.2, not 0.1" in told
    page = (tmp_path / "report.html").read_text()
    for text in (out, checked[1], (tmp_path / "report.md").read_text(), page):
        assert found["verdict"] in text
        assert "95%, one more run" in text
    assert checked[0] == 0, checked[2]
