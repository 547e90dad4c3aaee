"""The images of a run, and its micro batches: which images, in which order, cropped how.

An epoch is a permutation of the images, each `repeat` times, filled up with its own beginning to
whole batches. Part `slot` of a batch is the same whoever computes it, so processes share a batch
out by its slots.
"""

import math
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import Dataset

from ..eval.crops import require_memory
from ..eval.decoding import HandedOver, decoded
from ..eval.pixels import Pixels, decode
from ..eval.resample import resize_crop
from ..zoo.cache import data_path
from ..zoo.data import LabelledImages, find_images
from ..zoo.errors import DataError, UsageError
from ..zoo.manifest import Manifest, Protocol
from ..zoo.net.progress import tell
from .recipe import Recipe

Box = tuple[int, int, int, int]
MOST_STEPS = 100_000_000  # a number is kept for each; the released runs took 170,900
KEPT_BYTES = 1 << 30  # decoded images are kept in memory where all of a data set's fit in


@dataclass(frozen=True)
class Data:
    """The images of a run, and the pixels that they are validated with."""

    train: LabelledImages
    val: LabelledImages
    protocol: Protocol


def find_data(
    manifest: Manifest,
    data: Path | None,
    train_list: Path | None = None,
    val_list: Path | None = None,
) -> Data:
    """The training and validation images of a benchmark below the folder `data`.

    train_list, val_list: the splits' labels, annotations or lists; None looks for the manifest's
    names, then as `find_images`. What is unusual about them is told. Drawn benchmarks are drawn
    where `data` is None. Raises DataError or UsageError for what is missing or labelled beyond the
    classes.
    """
    if data is None:
        if not manifest.dataset.drawn_by_package:
            raise UsageError(
                f"{manifest.name}: expected --data DIR, the folder of its images. Give it."
            )
        from ..zoo.mini import draw

        data = draw(data_path(manifest.name), "train", "val")
    train = manifest.dataset.train
    names = train.annotations if train else []
    found = Data(
        train=find_images(data, train_list, names=names, split="train"),
        val=find_images(data, val_list, names=manifest.dataset.val.annotations),
        protocol=manifest.protocol,
    )
    val = manifest.dataset.val
    for split, images, named in ((train, found.train, train_list), (val, found.val, val_list)):
        for note in images.notes:
            tell(note)
        if split and not named and split.images not in (None, len(images)):
            tell(
                f"{images.origin}: {len(images):,} images, but the manifest of {manifest.name} "
                f"says {split.images:,}: a number on them isn't the benchmark's."
            )
    return found


def check_labels(recipe: Recipe, data: Data) -> None:
    """Raise DataError for a label that the recipe's network has no class for, or for a network of
    which most classes have no image."""
    for images in (data.train, data.val):
        largest = max(images.labels, default=0)
        if largest >= recipe.num_classes:
            raise DataError(
                f"{images.origin}: expected labels below num_classes {recipe.num_classes}, got "
                f"{largest}. Set num_classes, or give the labels of this benchmark."
            )
    there = len(set(data.train.labels))
    if 2 * there < recipe.num_classes:
        raise DataError(
            f"{data.train.origin}: has images of {there:,} classes, the network has "
            f"{recipe.num_classes:,}. For images of your own make a benchmark of them: mixzoo data "
            f"init DIR. Or train so many classes: --set num_classes={max(data.train.labels) + 1}"
        )


def batches(images: int, recipe: Recipe) -> int:
    """Batches per epoch: its last one is filled up."""
    return -(-images * recipe.repeat // recipe.batch_size)


def check_size(recipe: Recipe, data: Data) -> None:
    """Raise UsageError for a run that no machine could end, before it takes this one's memory."""
    require_memory(recipe.micro_batch, recipe.crop)
    steps = recipe.epochs * batches(len(data.train), recipe)
    if steps > MOST_STEPS:
        raise UsageError(
            f"epochs {recipe.epochs}: expected a run of at most {MOST_STEPS:,} steps, got "
            f"{steps:,}. Set fewer epochs, or a larger batch_size."
        )


@dataclass(frozen=True)
class Slot:
    """A part of a batch. epoch, batch: counted from 0. slot: below batch_size / micro_batch."""

    epoch: int
    batch: int
    slot: int


@dataclass(frozen=True)
class MicroBatch(HandedOver):
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
        self.batches = batches(len(images), recipe)
        self._kept: dict[int, Pixels] = {}

    def rows(self, slot: Slot) -> np.ndarray:
        """Positions (micro_batch,) of a slot's images in the labelled list."""
        order = _order(self.recipe, slot.epoch, len(self.images))
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
            rng = self.recipe.generator("crop", slot.epoch, int(place))
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
def _order(recipe: Recipe, epoch: int, count: int) -> np.ndarray:
    return recipe.generator("order", epoch).permutation(count * recipe.repeat) % count


def slots(images: TrainingImages, start: int, mine: range) -> Iterator[Slot]:
    """The slots `mine` of every batch from iteration `start` (from 0) to the end of the run."""
    for iteration in range(start, images.recipe.epochs * images.batches):
        epoch, batch = divmod(iteration, images.batches)
        yield from (Slot(epoch, batch, slot) for slot in mine)


def micro_batches(
    images: TrainingImages, start: int, mine: range, workers: int, pin: bool
) -> Generator[MicroBatch, None, None]:
    """The micro batches of slots `mine` of every iteration from `start` (from 0) to the end.

    workers: decoding processes, 0 decodes in this one. pin: for copies to a GPU. Raises DataError
    naming an image that can't be read.
    """
    made = decoded(images, slots(images, start, mine), workers, ahead=4, pin=pin)
    with closing(made) as items:
        for item in items:
            if isinstance(item, DataError):
                raise item
            yield item


def fit_in_memory(images: LabelledImages) -> bool:
    """Whether all images, decoded, take less than KEPT_BYTES, judged by 32 of them.

    Raises DataError where there is no image, or one of them is none.
    """
    if not len(images):
        raise DataError(
            f"{images.origin}: expected training images, got none. Name their labels with "
            "--train-list FILE."
        )
    some = np.linspace(0, len(images) - 1, num=min(32, len(images)), dtype=int)
    sizes = [decode(images.read(int(row)), images.files[row]).nbytes for row in some]
    return len(images) * float(np.mean(sizes)) <= KEPT_BYTES


def random_crop(pixels: Pixels, size: int, rng: np.random.Generator) -> Pixels:
    """A random box of an image, resized (bicubic, Pillow's) and mirrored half of the time.

    pixels: (H, W, 3) uint8. Returns uint8 (size, size, 3), perhaps not contiguous.
    """
    height, width, _ = pixels.shape
    left, top, right, bottom = random_box(width, height, rng)
    box = pixels[top:bottom, left:right]  # nothing outside of it is seen
    crop = resize_crop(box, (size, size), (0, 0), size, "bicubic")
    return crop[:, ::-1] if rng.random() < 0.5 else crop


def random_box(width: int, height: int, rng: np.random.Generator) -> Box:
    """A box (left, upper, right, lower) of 8 to 100% of the area and ratio 3/4 to 4/3.

    Inception's random crop (Szegedy et al., 2015, arXiv:1409.4842) as torchvision samples it: ten
    tries, then the largest central box whose ratio fits.
    """
    low, high = math.log(3 / 4), math.log(4 / 3)
    for _ in range(10):
        area = width * height * rng.uniform(0.08, 1.0)
        ratio = math.exp(rng.uniform(low, high))
        w, h = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < w <= width and 0 < h <= height:
            left, top = int(rng.integers(width - w + 1)), int(rng.integers(height - h + 1))
            return left, top, left + w, top + h
    w, h = min(width, round(height * 4 / 3)), min(height, round(width * 4 / 3))
    left, top = (width - w) // 2, (height - h) // 2
    return left, top, left + w, top + h
