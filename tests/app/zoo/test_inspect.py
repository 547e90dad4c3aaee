"""`mixzoo zoo inspect` shows what a checkpoint says of itself."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from ...mini_rows import ARCHITECTURE, MIXUP, weights

WEIGHTS = weights(MIXUP)
Run = Callable[..., tuple[int, str, str]]


def test_facts_and_differences_are_shown(mixzoo: Run, golden: Path) -> None:
    """Against a row of the table, each difference is a sentence."""
    file = golden / "runs" / "tiny_automix_ep8" / "epoch_8.pth"

    _, out, _ = mixzoo("zoo", "inspect", file, "--row", "resnet50.automix_inat2018")

    assert "architecture              resnet50_w4" in out
    assert "classes: resnet50.automix_inat2018 expects 8142, the checkpoint's config says 10" in out


def test_json_has_facts_and_differences(mixzoo: Run, golden: Path) -> None:
    """Programs get the same as plain data."""
    file = golden / "runs" / "tiny_cutmix_ep8" / "epoch_8.pth"

    content = json.loads(mixzoo("zoo", "inspect", file, "--json")[1])

    assert content["facts"]["method"] == "cutmix"
    assert content["disagreements"] == []


def test_agreement_and_silence_are_said(mixzoo: Run, tmp_path: Path) -> None:
    """A checkpoint that differs in nothing from its row, and a file of weights alone."""
    save_file({"fc.weight": torch.zeros(2, 2)}, tmp_path / "w.safetensors")

    _, agrees, _ = mixzoo("zoo", "inspect", WEIGHTS, "--row", MIXUP)
    _, silent, _ = mixzoo("zoo", "inspect", tmp_path / "w.safetensors")

    assert f"Nothing of this differs from {MIXUP}." in agrees
    assert f"The file has the bytes of mini's {MIXUP}.pth." in agrees
    assert "No table's lock knows these bytes." in silent
    assert "says nothing of its training" in silent


def test_a_rows_file_is_found_and_compared_with_it(mixzoo: Run) -> None:
    """As every command takes a row."""
    code, out, _ = mixzoo("zoo", "inspect", MIXUP)

    assert code == 0
    assert f"Nothing of this differs from {MIXUP}." in out


@pytest.mark.parametrize(
    ("name", "exit_code", "words"), [("gone.pth", 2, "does not exist"), ("page.pth", 6, "web page")]
)
def test_no_checkpoint_is_an_error(
    name: str, exit_code: int, words: str, mixzoo: Run, tmp_path: Path
) -> None:
    """A missing file and a file of something else are told apart."""
    (tmp_path / "page.pth").write_text("<!doctype html>")

    code, _, error = mixzoo("zoo", "inspect", tmp_path / name)

    assert code == exit_code
    assert words in error


def test_what_weights_are_and_are_not_is_said(mixzoo: Run, tmp_path: Path) -> None:
    """The network, half precision, an averaged copy; and why a file can't be used."""
    entries = torch.load(WEIGHTS, weights_only=True)["state_dict"]
    half = {n: v.half() if v.is_floating_point() else v for n, v in entries.items()}
    entries["head.fc.bias"][0] = torch.nan
    torch.save({"net": half, "model_ema": half | {"x": torch.ones(1)}}, tmp_path / "half.pth")
    torch.save(entries, tmp_path / "nan.pth")

    _, out, _ = mixzoo("zoo", "inspect", tmp_path / "half.pth")
    broken = json.loads(mixzoo("zoo", "inspect", tmp_path / "nan.pth", "--json")[1])

    assert f"Its weights are a {ARCHITECTURE} with 40 classes (heads: head0)." in out
    assert "Its weights are stored as float16, so they are not the trained" in out
    assert f"mixzoo zoo export {tmp_path / 'half.pth'} --part model_ema --to DIR" in out
    assert broken["weights"] is None
    assert "'head.fc.bias' holds a NaN" in broken["remarks"][0]
