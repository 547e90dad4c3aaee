"""TensorBoard's files, read back with TensorBoard's own reader."""

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mixzoo.train.loop import train
from mixzoo.train.recipe import Recipe
from mixzoo.train.run import Data, How
from mixzoo.zoo.errors import InterruptedRunError, UsageError
from PIL import Image

STOP = 5


@pytest.fixture(scope="module")
def board(tiny: Recipe, data: Data, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    """What TensorBoard reads of a SAMix run that was interrupted once, and the run's folder."""
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    out = tmp_path_factory.mktemp("run")
    recipe = replace(tiny, mix_mode=("samix",))
    how = How(tensorboard=out / "board", checkpoint_every=2, stop_at=STOP)
    with pytest.raises(InterruptedRunError):
        train(recipe, data, out, "run", how)
    (out / "last.pth").unlink()  # as if it had been killed: goes on from the step before
    train(recipe, data, out, "run", replace(how, stop_at=None))
    read = accumulator.EventAccumulator(str(out / "board"), {"images": 0})
    return read.Reload(), out


def test_curves_are_those_of_the_log(board: tuple[Any, Path]) -> None:
    """Each step once, also those around the interruption; each validation."""
    read, out = board
    lines = [json.loads(line) for line in (out / "run.log.json").read_text().splitlines()[1:]]
    train_lines = [line for line in lines if line["mode"] == "train"]
    val_lines = [line for line in lines if line["mode"] == "val"]

    for name in ("loss", "acc_mix_q", "lr"):
        events = read.Scalars(f"train/{name}")
        assert [event.step for event in events] == list(range(1, 9))
        values = [line[name] for line in train_lines]
        assert [event.value for event in events] == pytest.approx(values, abs=1e-4)
    for name in ("acc_one_k_top1", "acc_mix_q_top5"):
        events = read.Scalars(f"val/{name}")
        assert [event.step for event in events] == [4, 8]
        values = [line[name] for line in val_lines]
        assert [event.value for event in events] == pytest.approx(values, abs=1e-4)


def test_mixed_images_are_shown_as_they_look(board: tuple[Any, Path], data: Data) -> None:
    """After each epoch; noisy colours between 0 and 210, of which none is dark or washed out."""
    read, _ = board

    events = read.Images("train/mixed")
    pixels = np.asarray(Image.open(io.BytesIO(events[-1].encoded_image_string)))

    assert sorted({event.step for event in events}) == [4, 8]
    assert pixels.shape[2] == 3
    assert 60 < pixels.mean() < 110
    assert pixels.max() <= 215


def test_a_missing_tensorboard_is_one_line(
    tiny: Recipe, data: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says what to install."""
    monkeypatch.setitem(__import__("sys").modules, "torch.utils.tensorboard", None)

    with pytest.raises(UsageError, match=r"pip install 'mixzoo\[tensorboard\]'"):
        train(tiny, data, tmp_path, "run", How(tensorboard=tmp_path / "board"))


def test_without_it_nothing_is_written(tiny: Recipe, data: Data, tmp_path: Path) -> None:
    """The run's folder holds its own files only."""
    train(replace(tiny, epochs=1), data, tmp_path, "run")

    assert sorted(path.name for path in tmp_path.iterdir()) == [
        *("best.pth", "last.pth", "previous.pth"),
        *("run.log.json", "run.pth", "run.safetensors"),
    ]
