"""`mixzoo zoo export` writes, prints what it wrote, and refuses in one line."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import torch
from mixzoo.zoo.catalog import package_path
from mixzoo.zoo.checkpoint.load import load_file
from mixzoo.zoo.nets import Classifier, ResNetConfig

from ...mini_rows import MIXUP, VANILLA

ROWS = (VANILLA, MIXUP)


def test_rows_are_written_and_told(mixzoo: Callable, tmp_path: Path) -> None:
    """A line for each file, with its hash and that of its source."""
    _, printed, _ = mixzoo("zoo", "export", *ROWS, "--to", tmp_path)

    for row in ROWS:
        path = tmp_path / f"{row}.safetensors"
        assert load_file(path).num_classes == 40
        assert hashlib.sha256(path.read_bytes()).hexdigest() in printed
        assert f"{row}.pth" in printed


def test_json_is_for_programs(mixzoo: Callable, tmp_path: Path) -> None:
    """id, path, size, sha256 and the file's metadata."""
    _, printed, _ = mixzoo("zoo", "export", ROWS[1], "--to", tmp_path, "--json")

    [facts] = json.loads(printed)
    assert facts["id"] == ROWS[1]
    assert facts["size"] == Path(facts["path"]).stat().st_size
    assert facts["metadata"]["row"] == ROWS[1]


def test_what_would_be_lost_is_refused(mixzoo: Callable, tmp_path: Path) -> None:
    """Two files of one name, a row for several files, and a second time without --force."""
    mixzoo("zoo", "export", ROWS[0], "--to", tmp_path)
    twin = tmp_path / f"{ROWS[0]}.safetensors"

    twice = mixzoo("zoo", "export", ROWS[0], twin, "--to", tmp_path / "out")
    several = mixzoo("zoo", "export", *ROWS, "--row", ROWS[0], "--to", tmp_path)
    again = mixzoo("zoo", "export", ROWS[0], "--to", tmp_path)
    forced = mixzoo("zoo", "export", ROWS[0], "--to", tmp_path, "--force")

    assert [code for code, _, _ in (twice, several, again, forced)] == [2, 2, 2, 0]
    assert "two REFs would get this name" in twice[2]
    assert not (tmp_path / "out").exists()
    assert "--row" in several[2]
    assert "Give --force" in again[2]


def test_what_a_file_without_a_row_lacks_is_said(mixzoo: Callable, tmp_path: Path) -> None:
    """timm's config, and an ONNX file's facts; a row gives both."""
    recipe = "architecture = 'resnet18_w4'\nmethod = 'mixup'\ncrop = 48\n"
    small = Classifier(ResNetConfig.from_name("resnet18_w4"), 40)
    torch.save({"meta": {"config": recipe}, "state_dict": small.state_dict()}, tmp_path / "s.pth")
    wide = Classifier(ResNetConfig.from_name("resnet18"), 3)
    torch.save({"state_dict": wide.state_dict()}, tmp_path / "w.pth")

    timm = mixzoo("zoo", "export", tmp_path / "w.pth", "--names", "timm", "--to", tmp_path)
    onnx = mixzoo("zoo", "export", tmp_path / "s.pth", "--onnx", "--to", tmp_path)
    known = mixzoo("zoo", "export", ROWS[1], "--onnx", "--to", tmp_path)

    assert "lacks  config.json" in timm[1]
    assert not (tmp_path / "w.timm/config.json").exists()
    assert "images (batch, 3, 48, 48)" in onnx[1]
    assert "lacks  preprocessing and classes" in onnx[1]
    assert "lacks" not in known[1]


def test_an_averaged_copy_becomes_a_file_of_its_own(mixzoo: Callable, tmp_path: Path) -> None:
    """By the command that is printed where it was left out; what it is stays known."""
    entries = load_file(package_path("zoo") / "mini" / "assets" / f"{ROWS[1]}.pth").state_dict()
    averaged = {name: value * 2 for name, value in entries.items()}
    torch.save({"model": entries, "ema": {"model": averaged}}, tmp_path / "w.pth")

    code, _, _ = mixzoo(
        "zoo", "export", tmp_path / "w.pth", "--part", "ema.model", "--to", tmp_path
    )
    none, _, error = mixzoo("zoo", "export", tmp_path / "w.pth", "--part", "x", "--to", tmp_path)

    model = load_file(tmp_path / "w.ema_model.safetensors")
    assert code == 0
    assert torch.equal(model.head.fc.weight, averaged["head.fc.weight"])
    assert "an averaged copy (ema.model)" in model.remarks[0]
    assert none == 2
    assert "--part x: expected a part of the file: model, ema.model." in error
