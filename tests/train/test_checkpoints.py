"""What a run leaves on disk is whole, in OpenMixup's layout, and readable by everybody."""

import errno
import json
import logging
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import mixzoo.zoo.catalog as catalog
import pytest
import torch
from mixzoo.train.checkpoints import (
    LAST,
    PREVIOUS,
    keep_last,
    latest,
    meta_of,
    openmixup_state,
    write,
)
from mixzoo.train.network import fresh_network
from mixzoo.train.recipe import Recipe
from mixzoo.zoo.checkpoint.export import export
from mixzoo.zoo.checkpoint.load import load_file
from mixzoo.zoo.errors import CheckpointError
from mixzoo.zoo.nets import Classifier, MixClassifier, ResNetConfig
from mixzoo.zoo.refs import resolve
from torch._subclasses.fake_tensor import FakeTensorMode


def _content(number: int) -> dict[str, Any]:
    return {"meta": {"iter": number}, "state_dict": {}, "optimizer": {}, "run": {}}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with checkpoints of the steps 1 (previous) and 2 (last)."""
    for number in (1, 2):
        keep_last(tmp_path, _content(number))
    return tmp_path


def _damage(path: Path, how: str) -> None:
    content = bytearray(path.read_bytes())
    if how == "flipped":
        content[content.index(b"iter") + 1] ^= 1
    path.write_bytes({"truncated": content[:-200], "empty": b""}.get(how, content))


@pytest.mark.parametrize("kind", ["mixups", "automix", "samix"])
def test_state_dicts_have_openmixups_layout(kind: str, golden: Path) -> None:
    """Names, shapes, dtypes and their order, as in a checkpoint of the real config."""
    recorded = json.loads((golden / "state_dict" / f"{kind}_r50.json").read_text())["state_dict"]
    config = ResNetConfig.from_name("resnet50")
    with (
        FakeTensorMode()
    ):  # shapes without values: the network has 45 million of them, or twice that
        model = Classifier(config, 8142) if kind == "mixups" else MixClassifier(config, 8142, kind)
        written = openmixup_state(model)

    ours = [
        [name, list(value.shape), str(value.dtype).removeprefix("torch.")]
        for name, value in written.items()
    ]
    assert ours == recorded


def test_aliases_share_their_values(tiny: Recipe, tmp_path: Path) -> None:
    """In memory and, so that a file isn't larger than it must be, on disk."""
    model = fresh_network(replace(tiny, mix_mode=("samix",)))

    written = openmixup_state(model)
    path = write(tmp_path / "w.pth", {"state_dict": written})

    read = torch.load(path, weights_only=True)["state_dict"]
    for state in (written, read):
        for alias, full in (("backbone.", "backbone_k."), ("head.", "head_one_k.")):
            names = [name for name in state if name.startswith(alias)]
            assert names
            for name in names:
                twin = state[full + name.removeprefix(alias)]
                assert state[name].data_ptr() == twin.data_ptr()


@pytest.mark.parametrize("method", ["mixup", "automix", "samix"])
def test_weights_load_as_they_were(method: str, tiny: Recipe, tmp_path: Path) -> None:
    """With mixzoo's own loader, and from the safetensors export: equal logits of all heads."""
    model = fresh_network(replace(tiny, mix_mode=(method,)))
    content = {"meta": meta_of(tiny, 1, 4), "state_dict": openmixup_state(model)}
    path = write(tmp_path / "w.pth", content)
    exported = path.with_suffix(".safetensors")
    export(resolve(str(path), catalog.open_catalog()), exported)
    x = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))

    expected = model.eval().logits(x)

    for file in (path, exported):
        logits = load_file(file).logits(x)
        assert logits.keys() == expected.keys()
        assert all(torch.equal(logits[head], expected[head]) for head in expected)


def test_equal_contents_are_equal_bytes(tmp_path: Path) -> None:
    """Whatever the file is called; and nothing else stands beside it."""
    for name in ("one.pth", "another.pth"):
        write(tmp_path / name, _content(1))

    one, other = sorted(tmp_path.iterdir())

    assert one.read_bytes() == other.read_bytes()


def test_the_newest_checkpoint_counts(folder: Path) -> None:
    """The one before stays beside it."""
    found = latest(folder)

    assert found is not None
    assert found["meta"]["iter"] == 2
    assert torch.load(folder / PREVIOUS)["meta"]["iter"] == 1
    assert sorted(path.name for path in folder.iterdir()) == [LAST, PREVIOUS]


def test_an_empty_folder_has_none(tmp_path: Path) -> None:
    """A run begins there."""
    assert latest(tmp_path) is None


@pytest.mark.parametrize("how", ["flipped", "truncated", "empty"])
def test_a_damaged_checkpoint_falls_back_to_the_one_before(
    how: str, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """With a warning that names both files."""
    _damage(folder / LAST, how)

    with caplog.at_level(logging.WARNING):
        found = latest(folder)

    assert found is not None
    assert found["meta"]["iter"] == 1
    assert len(caplog.messages) == 1
    assert str(folder / LAST) in caplog.text
    assert f"Going on from {PREVIOUS}" in caplog.text


def test_no_whole_checkpoint_is_an_error(folder: Path) -> None:
    """A run must not silently begin anew; both files are named."""
    _damage(folder / LAST, "flipped")
    _damage(folder / PREVIOUS, "truncated")

    with pytest.raises(
        CheckpointError, match=rf"{LAST}.*{PREVIOUS}.*No whole checkpoint is left.*remove"
    ):
        latest(folder)


def test_a_crash_between_the_renames_costs_one_checkpoint_at_most(folder: Path) -> None:
    """The one before stands under its name; the fresh one isn't whole by anybody's word."""
    (folder / LAST).rename(folder / PREVIOUS)
    write(folder / ".next.pth", _content(3))

    found = latest(folder)

    assert found is not None
    assert found["meta"]["iter"] == 2


def test_weights_alone_are_no_checkpoint_of_a_run(tmp_path: Path) -> None:
    """Somebody's `last.pth` with a state dict is refused by what it lacks."""
    write(tmp_path / LAST, {"meta": {}, "state_dict": {}})

    with pytest.raises(CheckpointError, match=r"expected one of a run, got one without"):
        latest(tmp_path)


def test_a_full_disk_is_one_line_and_leaves_the_old_state(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ENOSPC says what to do; no part of a file stays."""

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(CheckpointError, match=r"can't be written: No space left.*Make room"):
        keep_last(folder, _content(3))

    found = latest(folder)
    assert found is not None
    assert found["meta"]["iter"] == 2
    assert sorted(os.listdir(folder)) == [LAST, PREVIOUS]  # noqa: PTH208


def test_meta_tells_the_recipe_and_nothing_of_the_machine(tiny: Recipe) -> None:
    """Epoch, iteration, seed, recipe and version: neither paths nor times."""
    meta = meta_of(tiny, 2, 8)

    assert meta.keys() == {"epoch", "iter", "seed", "config", "mixzoo_version"}
    assert (meta["epoch"], meta["iter"], meta["seed"]) == (2, 8, 0)
    assert meta["config"] == tiny.text()
