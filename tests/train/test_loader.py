"""Micro batches: which images, in which order, whoever decodes them."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import mixzoo.train.loader as loader
import numpy as np
import pytest
import torch
from mixzoo.train.loader import (
    MicroBatch,
    Slot,
    Slots,
    TrainingImages,
    fit_in_memory,
    micro_batches,
)
from mixzoo.train.recipe import Recipe
from mixzoo.train.run import Data
from mixzoo.zoo.data import FolderStore, LabelledImages
from mixzoo.zoo.errors import DataError

EPOCH = 4  # batches: 29 images, 8 at a time


@pytest.fixture(scope="module")
def images(data: Data, tiny: Recipe) -> TrainingImages:
    """The colours under the tiny recipe."""
    return TrainingImages(data.train, tiny)


@pytest.fixture
def damaged(colours: Path, data: Data, tmp_path: Path) -> LabelledImages:
    """The colours, of which one is no image."""
    for file in data.train.files:
        (tmp_path / file).write_bytes((colours / file).read_bytes())
    (tmp_path / "train17.png").write_bytes(b"no picture")
    return replace(data.train, store=FolderStore(tmp_path))


def _epoch(images: TrainingImages, epoch: int) -> list[int]:
    """All rows of an epoch in their order."""
    slots = [Slot(epoch, batch, slot) for batch in range(EPOCH) for slot in range(2)]
    return [int(row) for slot in slots for row in images.rows(slot)]


@pytest.mark.parametrize("epoch", [0, 1])
def test_an_epoch_has_every_image_once_and_its_own_beginning_again(
    images: TrainingImages, epoch: int
) -> None:
    """As OpenMixup fills up the last batch."""
    rows = _epoch(images, epoch)

    assert sorted(rows[:29]) == list(range(29))
    assert rows[29:] == rows[:3]


def test_fewer_images_than_a_batch_are_repeated(data: Data, tiny: Recipe) -> None:
    """Five images, eight places."""
    few = replace(data.train, files=data.train.files[:5], labels=data.train.labels[:5])
    images = TrainingImages(few, tiny)

    rows = [int(row) for slot in (0, 1) for row in images.rows(Slot(0, 0, slot))]

    assert images.batches == 1
    assert set(Counter(rows).values()) == {1, 2}


def test_the_order_is_another_in_each_epoch_and_for_each_seed(
    images: TrainingImages, data: Data, tiny: Recipe
) -> None:
    """And the same for the same."""
    other = TrainingImages(data.train, replace(tiny, seed=1))
    orders = [_epoch(images, 0), _epoch(images, 1), _epoch(other, 0)]

    assert len({tuple(order) for order in orders}) == 3
    assert _epoch(images, 0) == orders[0]


def test_labels_and_crops_are_those_of_the_rows(images: TrainingImages, data: Data) -> None:
    """uint8 crops in the recipe's size."""
    micro = images.micro_batch(Slot(0, 1, 1))

    assert micro.labels.tolist() == [data.train.labels[row] for row in micro.rows]
    assert micro.crops.shape == (4, 32, 32, 3)
    assert micro.crops.dtype == torch.uint8
    brightest = micro.crops.float().mean((1, 2)).argmax(1)
    assert brightest.tolist() == [row % 3 for row in micro.rows]


def test_an_image_is_cropped_anew_in_each_epoch(images: TrainingImages) -> None:
    """Also the second time that a small data set has it in one epoch."""
    row = images.rows(Slot(0, 0, 0))[0]  # again at the end of the epoch

    crops = [images.micro_batch(Slot(0, 0, 0)).crops[0]]
    crops.append(images.micro_batch(Slot(0, 3, 1)).crops[1])
    at = _epoch(images, 1).index(row)
    crops.append(images.micro_batch(Slot(1, at // 8, at % 8 // 4)).crops[at % 4])

    assert int(images.rows(Slot(0, 3, 1))[1]) == row
    assert len({crop.numpy().tobytes() for crop in crops}) == 3


@pytest.mark.parametrize("workers", [1, 2])
def test_workers_change_nothing(images: TrainingImages, workers: int) -> None:
    """Rows, labels and pixels, from the middle of the run on."""
    alone = list(micro_batches(images, 3, range(2), 0, pin=False))

    shared = list(micro_batches(images, 3, range(2), workers, pin=False))

    assert len(alone) == (2 * EPOCH - 3) * 2
    for one, other in zip(alone, shared, strict=True):
        assert one.rows == other.rows
        assert torch.equal(one.labels, other.labels)
        assert torch.equal(one.crops, other.crops)


@pytest.mark.parametrize("processes", [1, 2])
def test_processes_share_batches_out_by_their_slots(images: TrainingImages, processes: int) -> None:
    """Together they have the slots of every batch, from an iteration to the end."""
    mine = 2 // processes

    parts = [
        list(Slots(images, 6, range(rank * mine, (rank + 1) * mine))) for rank in range(processes)
    ]

    expected = {Slot(1, batch, slot) for batch in (2, 3) for slot in (0, 1)}
    assert sum(map(len, parts)) == len(expected)
    assert set().union(*parts) == expected


def test_kept_images_give_the_same_crops(data: Data, tiny: Recipe, images: TrainingImages) -> None:
    """Those that were decoded before, too."""
    keeping = TrainingImages(data.train, tiny, keep=True)

    first, again = (keeping.micro_batch(Slot(0, 0, 0)).crops for _ in range(2))

    assert torch.equal(first, images.micro_batch(Slot(0, 0, 0)).crops)
    assert torch.equal(first, again)


@pytest.mark.parametrize("workers", [0, 1])
def test_an_unreadable_image_is_named_in_one_line(
    damaged: LabelledImages, tiny: Recipe, workers: int
) -> None:
    """Whoever decodes it: no traceback of another process."""
    images = TrainingImages(damaged, tiny)

    with pytest.raises(DataError, match=r"^[^\n]*train17\.png[^\n]*$"):
        list(micro_batches(images, 0, range(2), workers, pin=False))


def test_small_data_sets_fit_in_memory(data: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    """Judged by their decoded size, estimated from some of them."""
    size = sum(44 * (40 + i % 3 * 6) * 3 for i in range(29))

    fits = {}
    for limit in (size * 0.9, size * 1.1):
        monkeypatch.setattr(loader, "KEPT_BYTES", limit)
        fits[limit] = fit_in_memory(data.train)

    assert list(fits.values()) == [False, True]


def test_no_training_image_is_an_error(data: Data) -> None:
    """It names where the labels were looked for."""
    none = replace(data.train, files=(), labels=())

    with pytest.raises(DataError, match=r"train\.txt: expected training images, got none"):
        fit_in_memory(none)


def test_micro_batches_can_be_pinned(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both tensors; rows stay."""
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda self: self + 1)
    micro = MicroBatch(torch.from_numpy(np.zeros((1, 2, 2, 3), np.uint8)), torch.tensor([4]), (9,))

    pinned = micro.pin_memory()

    assert (pinned.crops == 1).all()
    assert pinned.labels.tolist() == [5]
    assert pinned.rows == (9,)
