"""`mixzoo explain` and what `mixzoo eval` says of a number that is off, through the command line."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from mixzoo.app.eval.explain import print_explained
from mixzoo.eval.explain import Explained
from mixzoo.zoo.cache import cache_root
from mixzoo.zoo.report import Cause

from ...mini_rows import EPOCHS, MIXUP, PROTOCOL, weights
from ...mini_rows import VANILLA as ROW

RESIZE, CROP = PROTOCOL.resize + 20, PROTOCOL.crop + 10
CONFIG = f"""
model = dict(type='Classification', backbone=dict(type='ResNet'))
data = dict(val=dict(pipeline=[dict(type='Resize', size={RESIZE}, interpolation=3),
                               dict(type='CenterCrop', size={CROP})]))
"""


@pytest.fixture(scope="module")
def few(mini_images: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A list of 80 of mini's images."""
    content = json.loads((mini_images / "val2018.json").read_text())
    names = {one["id"]: one["file_name"] for one in content["images"]}
    pairs = [(names[one["image_id"]], one["category_id"]) for one in content["annotations"]][:80]
    path = tmp_path_factory.mktemp("lists") / "few.txt"
    path.write_text("".join(f"{name},{label}\n" for name, label in pairs))
    return path


def test_a_file_that_lacks_its_statistics_is_explained_without_images(
    mixzoo: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    """It can't be evaluated, so the file alone is asked; a finding is no error."""
    content = torch.load(weights(ROW), weights_only=True)
    entries = content["state_dict"]
    content["state_dict"] = {n: v for n, v in entries.items() if "running_" not in n}
    torch.save(content, tmp_path / "w.pth")

    code, out, err = mixzoo("explain", tmp_path / "w.pth", "--row", ROW, "--json")

    (cause, *_) = json.loads(out)["explained"][0]["causes"]
    assert (code, cause["key"], cause["state"]) == (0, "batch-norm-missing", "found"), err


def test_pixels_that_a_checkpoint_names_are_offered_as_a_command(
    mixzoo: Callable[..., tuple[int, str, str]], mini_images: Path, few: Path, tmp_path: Path
) -> None:
    """And missing images are the cause of another number."""
    content = torch.load(weights(ROW), weights_only=True)
    content["meta"] = {"epoch": EPOCHS, "config": CONFIG}
    torch.save(content, tmp_path / "w.pth")
    file = (tmp_path / "w.pth", "--row", ROW, "--data", mini_images)

    code, out, err = mixzoo("eval", *file, "--list", few, "--workers", 0)

    words = " ".join(map(str, file))
    assert code == 0, err
    assert f"mixzoo eval {words} --resize {RESIZE} --crop {CROP}" in out
    assert "Likeliest cause: 80 images, the table's validation set has 1000" in out


@pytest.mark.parametrize("other", [("--resize", str(RESIZE)), ("--precision", "fast")])
def test_a_report_of_other_conditions_is_explained_by_its_own_predictions(
    other: tuple[str, str],
    mixzoo: Callable[..., tuple[int, str, str]],
    mini_images: Path,
    few: Path,
    tmp_path: Path,
) -> None:
    """Not by those that the table's pixels and arithmetic give; its number stays not comparable."""
    where = ("--data", mini_images, "--list", few, "--workers", 0)
    mixzoo("eval", ROW, *where, *other, "--out", tmp_path / "wrong.json")

    code, out, err = mixzoo("explain", tmp_path / "wrong.json", *where, "--images", 16, "--json")

    (found,) = json.loads(out)["explained"]
    assert code == 0, err
    assert found["verdict"] == "not comparable"
    key = {"--resize": "resize", "--precision": "arithmetic"}[other[0]]
    causes = {one["key"] for one in found["causes"] if one["state"] == "found"}
    assert causes <= {key, "images-missing"}
    assert key in causes
    shutil.rmtree(cache_root() / "predictions")
    code, _, err = mixzoo("explain", tmp_path / "wrong.json", *where)
    assert code == 2
    assert f"Evaluate it again: mixzoo eval {ROW} {other[0]} {other[1]}" in err


def test_a_report_of_another_file_is_not_explained_by_the_rows_own(
    mixzoo: Callable[..., tuple[int, str, str]], mini_images: Path, few: Path, tmp_path: Path
) -> None:
    """It is named, with the command that explains it; that command says whose the file is."""
    shutil.copy(weights(ROW), tmp_path / "w.pth")
    as_other = ("--row", MIXUP)
    where = ("--data", mini_images, "--list", few, "--workers", 0)
    mixzoo("eval", tmp_path / "w.pth", *as_other, *where, "--out", tmp_path / "r.json")

    code, _, err = mixzoo("explain", tmp_path / "r.json")
    _, out, _ = mixzoo("explain", tmp_path / "w.pth", *as_other)

    assert code == 2
    assert f"Name that file: mixzoo explain w.pth --row {MIXUP}" in err
    assert f"mixzoo eval {tmp_path / 'w.pth'} --row {ROW}" in out


def test_commands_stand_below_a_table_that_has_no_room_for_them(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One for all causes that it would tell."""
    monkeypatch.setattr("mixzoo.app.console.PIPE_WIDTH", 80)
    told = {"state": "open", "sentence": "a long one " * 9, "command": "mixzoo look"}
    causes = tuple(Cause(key=key, **told) for key in ("crop", "resize"))

    print_explained(Explained("row", "close", "why", 0, causes))

    assert "Next (crop, resize): mixzoo look\n" in capsys.readouterr().out


def test_what_was_never_evaluated_asks_for_images(
    mixzoo: Callable[..., tuple[int, str, str]],
    write_benchmark: Callable[..., Path],
    small_weights: Callable,
) -> None:
    """One line, with the command."""
    path = write_benchmark("", small_weights())
    weights = path.with_name("w.pth")
    weights.write_bytes(small_weights())

    code, _, err = mixzoo("explain", weights, "--manifest", path)

    assert code == 2
    assert "no evaluation of it is kept here" in err
    command = f"mixzoo explain resnet18_w4.vanilla_own --data DIR --manifest {path}"
    assert f"Run: {command}" in err
