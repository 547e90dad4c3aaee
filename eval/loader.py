"""Batches of evaluation pixels, decoded side by side.

The unit of sharing work out is the batch, not the image: who asks for the same groups gets the
same batches, whoever computes them and in whatever order. So no image is padded, repeated or
dropped, and the last bits of a logit don't depend on the number of processes.
"""

import logging
import os
import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from ..zoo.data import LabelledImages
from ..zoo.errors import DataError
from ..zoo.manifest import Protocol
from .crop_cache import CropCache
from .pixels import Pixels, decode_crop, prepare

logger = logging.getLogger(__name__)
prepare()  # now, so that decoding processes, and whatever is forked, have it all


@dataclass(frozen=True)
class Batch:
    """Some consecutive images of the labelled list; B of them could be decoded, maybe none."""

    indices: torch.Tensor
    """(B,) int64, positions in the labelled list."""
    crops: torch.Tensor
    """(B, crop, crop, 3) uint8."""
    labels: torch.Tensor
    """(B,) int64."""
    unreadable: tuple[tuple[int, str], ...]
    """Position and one-line reason of each image that can't be decoded."""


@dataclass(frozen=True)
class Delivery:
    """A batch as it comes from a decoding process, and why the cache takes no more, if so."""

    batch: Batch
    cache_failure: str = ""


class BatchedCrops(Dataset[Delivery]):
    """Item j is the batch of the images at `groups[j]`."""

    def __init__(
        self,
        images: LabelledImages,
        protocol: Protocol,
        groups: Sequence[Sequence[int]],
        cache: CropCache | None = None,
    ) -> None:
        self.images, self.protocol, self.groups, self.cache = images, protocol, groups, cache
        self.cache_failure = ""

    def __len__(self) -> int:
        return len(self.groups)

    def __getitem__(self, number: int) -> Delivery:
        group, side = self.groups[number], self.protocol.crop
        crops = np.empty((len(group), side, side, 3), np.uint8)
        indices: list[int] = []
        unreadable: list[tuple[int, str]] = []
        for index in group:
            try:
                crops[len(indices)] = self._crop(index)
                indices.append(index)
            except DataError as error:
                unreadable.append((index, str(error)))
        batch = Batch(
            indices=torch.tensor(indices, dtype=torch.int64),
            crops=torch.from_numpy(crops[: len(indices)]),
            labels=torch.tensor([self.images.labels[i] for i in indices], dtype=torch.int64),
            unreadable=tuple(unreadable),
        )
        return Delivery(batch, self.cache_failure)

    def _crop(self, index: int) -> Pixels:
        kept = self.cache.read(index) if self.cache else None
        if kept is not None:
            return kept
        crop = decode_crop(self.images.read(index), self.protocol, self.images.files[index])
        if self.cache and not self.cache_failure:
            try:
                self.cache.write(index, crop)
            except OSError as error:
                self.cache_failure = f"{self.cache.path}: {error.strerror or error}"
        return crop


def batches(
    images: LabelledImages,
    protocol: Protocol,
    *,
    groups: Sequence[Sequence[int]],
    workers: int,
    cache: CropCache | None = None,
) -> Iterator[Batch]:
    """One batch for each group of positions in the labelled list, in the order given.

    workers: decoding processes, 0 decodes in this one. cache: crops are taken from it and put into
    it; where it can't be written, one warning is logged and decoding goes on. An image that can't
    be read or decoded is named in its batch's `unreadable`.
    """
    yield from _deliver(BatchedCrops(images, protocol, groups, cache), workers)


def load_crops(
    images: LabelledImages,
    protocol: Protocol,
    indices: Sequence[int],
    *,
    workers: int = 0,
    batch_size: int = 64,
    cache: CropCache | None = None,
) -> torch.Tensor:
    """Some images' crops, in the order asked for: (len(indices), crop, crop, 3) uint8.

    Raises DataError naming the first image that can't be read or decoded.
    """
    groups = [indices[start : start + batch_size] for start in range(0, len(indices), batch_size)]
    parts = [torch.empty(0, protocol.crop, protocol.crop, 3, dtype=torch.uint8)]
    for batch in _deliver(BatchedCrops(images, protocol, groups, cache), workers):
        for _, reason in batch.unreadable:
            raise DataError(reason)
        parts.append(batch.crops)
    return torch.cat(parts)


def _deliver(crops: BatchedCrops, workers: int) -> Iterator[Batch]:
    warned = False
    loader = DataLoader(
        crops,
        batch_size=None,
        num_workers=min(workers, len(crops)),
        worker_init_fn=leave_signals_to_the_parent,
    )
    for delivery in loader:
        if delivery.cache_failure and not warned:
            logger.warning("%s. Going on without writing the crop cache.", delivery.cache_failure)
            warned = True
        yield delivery.batch


def leave_signals_to_the_parent(_: int) -> None:
    """Ignore signals in a decoding process: a scheduler's reach the whole group, and its parent
    still needs it until it has saved what is done."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


def default_workers(processes_here: int = 1) -> int:
    """Decoding processes per rank: this machine's usable cores shared out, at most 8."""
    usable = getattr(os, "sched_getaffinity", None)  # not on every system
    cores = len(usable(0)) if usable else os.cpu_count() or 1
    return min(8, cores // processes_here)
