"""The micro batches of a run: which images, in which order, cropped how.

An epoch is a permutation of the images, filled up with its own beginning to whole batches. Part
`slot` of a batch is the same whoever computes it, so processes share a batch out by its slots.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from ..eval.pixels import Pixels, decode
from ..zoo.data import LabelledImages
from ..zoo.errors import DataError
from .augment import random_crop
from .interruption import leave_to_the_parent
from .randomness import generator
from .recipe import Recipe

KEPT_BYTES = 1 << 30  # decoded images are kept in memory where all of a data set's fit in


@dataclass(frozen=True)
class Slot:
    """A part of a batch. epoch, batch: counted from 0. slot: below batch_size / micro_batch."""

    epoch: int
    batch: int
    slot: int


@dataclass(frozen=True)
class MicroBatch:
    """Images of one slot, augmented."""

    crops: torch.Tensor
    """(N, crop, crop, 3) uint8."""

    labels: torch.Tensor
    """(N,) int64."""

    rows: tuple[int, ...]
    """Positions in the labelled list."""

    def pin_memory(self) -> "MicroBatch":
        """A copy from which a GPU can fetch while it computes."""
        return replace(self, crops=self.crops.pin_memory(), labels=self.labels.pin_memory())


class TrainingImages(Dataset[MicroBatch | DataError]):
    """The training images under one recipe; an item is the micro batch of a `Slot`."""

    def __init__(self, images: LabelledImages, recipe: Recipe, keep: bool = False) -> None:
        """keep: whether decoded images stay in memory."""
        self.images, self.recipe, self.keep = images, recipe, keep
        self.batches = -(-len(images) // recipe.batch_size)  # per epoch
        self._kept: dict[int, Pixels] = {}

    def rows(self, slot: Slot) -> np.ndarray:
        """Positions (micro_batch,) of a slot's images in the labelled list."""
        order = _order(self.recipe.seed, slot.epoch, len(self.images))
        return order[self._places(slot) % len(order)]

    def __getitem__(self, slot: Slot) -> MicroBatch | DataError:
        """The micro batch, or what is wrong with an image of it: torch would make a traceback of an
        error that leaves a decoding process."""
        try:
            return self.micro_batch(slot)
        except DataError as error:
            return error

    def micro_batch(self, slot: Slot) -> MicroBatch:
        """Decode, crop and flip. Raises DataError naming an image that can't be read."""
        side, rows = self.recipe.crop, self.rows(slot)
        crops = np.empty((len(rows), side, side, 3), np.uint8)
        for i, (place, row) in enumerate(zip(self._places(slot), rows, strict=True)):
            rng = generator(self.recipe.seed, "crop", slot.epoch, int(place))
            crops[i] = random_crop(self._decoded(int(row)), side, rng)
        labels = torch.tensor([self.images.labels[row] for row in rows])
        return MicroBatch(torch.from_numpy(crops), labels, tuple(map(int, rows)))

    def _places(self, slot: Slot) -> np.ndarray:
        """Positions in the epoch, (micro_batch,) int64."""
        size = self.recipe.micro_batch
        return slot.batch * self.recipe.batch_size + slot.slot * size + np.arange(size)

    def _decoded(self, row: int) -> Pixels:
        kept = self._kept.get(row)
        if kept is None:
            kept = decode(self.images.read(row), self.images.files[row])
            if self.keep:
                self._kept[row] = kept
        return kept


@lru_cache(maxsize=2)
def _order(seed: int, epoch: int, count: int) -> np.ndarray:
    return generator(seed, "order", epoch).permutation(count)


class Slots:
    """The slots of one process from an iteration to the end of the run, as a loader's sampler."""

    def __init__(self, images: TrainingImages, start: int, mine: range) -> None:
        self.images, self.start, self.mine = images, start, mine

    def __iter__(self) -> Iterator[Slot]:
        for iteration in range(self.start, self.images.recipe.epochs * self.images.batches):
            epoch, batch = divmod(iteration, self.images.batches)
            yield from (Slot(epoch, batch, slot) for slot in self.mine)

    def __len__(self) -> int:
        iterations = self.images.recipe.epochs * self.images.batches - self.start
        return iterations * len(self.mine)


def micro_batches(
    images: TrainingImages, start: int, mine: range, workers: int, pin: bool
) -> Iterator[MicroBatch]:
    """The micro batches of slots `mine` of every iteration from `start` (from 0) to the end.

    workers: decoding processes, 0 decodes in this one. pin: for copies to a GPU. Raises DataError
    naming an image that can't be read.
    """
    loader = DataLoader(
        images,
        batch_size=None,
        sampler=Slots(images, start, mine),
        num_workers=workers,
        pin_memory=pin,
        worker_init_fn=leave_to_the_parent,
        prefetch_factor=4 if workers else None,
    )
    for item in loader:
        if isinstance(item, DataError):
            raise item
        yield item


def fit_in_memory(images: LabelledImages) -> bool:
    """Whether all images, decoded, take less than KEPT_BYTES, judged by 32 of them.

    Raises DataError where there is no image, or one of them is none.
    """
    if not len(images):
        raise DataError(f"{images.origin}: expected training images, got none.")
    some = np.linspace(0, len(images) - 1, num=min(32, len(images)), dtype=int)
    sizes = [decode(images.read(int(row)), images.files[row]).nbytes for row in some]
    return len(images) * float(np.mean(sizes)) <= KEPT_BYTES
