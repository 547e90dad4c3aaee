"""Batches of evaluation pixels, cut so that every world size sees the same batches.

The unit of sharding is the batch, not the image: image i is always in batch i // batch_size with
the same neighbours, and rank r takes the batches r, r + W, r + 2W, ... So no image is padded,
repeated or dropped, and the last bits of a logit don't depend on the world size either.
"""

import math
import os
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from ..zoo.data import LabelledImages
from ..zoo.errors import DataError
from ..zoo.manifest import Protocol
from .protocol import load_crop


@dataclass(frozen=True)
class Batch:
    """crops: (B, H, W, 3) uint8. labels: (B,) int64."""

    crops: torch.Tensor
    labels: torch.Tensor


class BatchedCrops(Dataset[Batch | DataError]):
    """Item j is the whole j-th batch; a DataError is returned, not raised, to cross processes."""

    def __init__(self, images: LabelledImages, protocol: Protocol, batch_size: int) -> None:
        self.images, self.protocol, self.batch_size = images, protocol, batch_size

    def __len__(self) -> int:
        return math.ceil(len(self.images) / self.batch_size)

    def __getitem__(self, index: int) -> Batch | DataError:
        rows = slice(index * self.batch_size, (index + 1) * self.batch_size)
        files = self.images.files[rows]
        try:
            crops = [load_crop(self.images.root / file, self.protocol) for file in files]
        except DataError as error:
            return error
        return Batch(torch.from_numpy(np.stack(crops)), torch.tensor(self.images.labels[rows]))


def batches(
    images: LabelledImages,
    protocol: Protocol,
    *,
    batch_size: int,
    workers: int,
    rank: int = 0,
    world_size: int = 1,
) -> Iterator[Batch]:
    """This rank's share of the batches, in order.

    workers: decoding processes, 0 decodes in this one. Raises DataError at the first image that
    can't be decoded.
    """
    crops = BatchedCrops(images, protocol, batch_size)
    mine = range(rank, len(crops), world_size)
    for batch in DataLoader(
        crops, batch_size=None, sampler=mine, num_workers=min(workers, len(mine))
    ):
        if isinstance(batch, DataError):
            raise batch
        yield batch


def default_workers(processes_here: int = 1) -> int:
    """Decoding processes per rank: this machine's usable cores shared out, at most 8."""
    usable = getattr(os, "sched_getaffinity", None)  # not on every system
    cores = len(usable(0)) if usable else os.cpu_count() or 1
    return min(8, cores // processes_here)
