"""`mixzoo zoo inspect` shows what a checkpoint says of itself."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from mixzoo.app.zoo.inspect import command
from mixzoo.zoo.catalog import package_path
from mixzoo.zoo.errors import CheckpointError


def run(*arguments: object, exit_code: int = 0) -> str:
    result = CliRunner().invoke(command, list(map(str, arguments)), catch_exceptions=False)
    assert result.exit_code == exit_code
    return result.output


def test_facts_and_differences_are_shown(golden: Path) -> None:
    """Against a row of the table, each difference is a sentence."""
    file = golden / "runs" / "tiny_automix_ep8" / "epoch_8.pth"

    out = run(file, "--row", "resnet50.automix_inat2018")

    assert "architecture              resnet50_w4" in out
    assert "classes: iNaturalist-2018 has 8142, the checkpoint's config says 10" in out


def test_json_has_facts_and_differences(golden: Path) -> None:
    """Programs get the same as plain data."""
    file = golden / "runs" / "tiny_cutmix_ep8" / "epoch_8.pth"

    content = json.loads(run(file, "--json"))

    assert content["facts"]["method"] == "cutmix"
    assert content["disagreements"] == []


def test_agreement_is_said() -> None:
    """A checkpoint that differs in nothing from its row is told so."""
    file = package_path("zoo") / "mini" / "assets" / "resnet18_w6.mixup_mini.pth"

    out = run(file, "--row", "resnet18_w6.mixup_mini")

    assert "Nothing of this differs from resnet18_w6.mixup_mini." in out


def test_silence_is_said(tmp_path: Path) -> None:
    """A file of weights alone says nothing of its training."""
    import torch
    from safetensors.torch import save_file

    save_file({"fc.weight": torch.zeros(2, 2)}, tmp_path / "w.safetensors")

    assert "says nothing of its training" in run(tmp_path / "w.safetensors")


def test_no_checkpoint_is_an_error(tmp_path: Path) -> None:
    """A missing file and a file of something else are told apart."""
    (tmp_path / "page.pth").write_text("<!doctype html>")

    assert "does not exist" in run(tmp_path / "gone.pth", exit_code=2)
    with pytest.raises(CheckpointError, match="a web page"):
        run(tmp_path / "page.pth")
