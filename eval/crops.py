"""Batches of evaluation pixels, decoded side by side or taken from a file of decoded crops.

The unit of sharing work out is the batch, not the image: who asks for the same groups gets the
same batches, whoever computes them and in whatever order. So no image is padded, repeated or
dropped, and the last bits of a logit don't depend on the number of processes.
"""

import hashlib
import json
import logging
import os
import shutil
import struct
import zlib
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from importlib import metadata
from pathlib import Path

import numpy as np
import torch
from PIL import features
from torch.utils.data import Dataset

from ..zoo.data import LabelledImages
from ..zoo.errors import DataError, UsageError
from ..zoo.manifest import Protocol
from .decoding import HandedOver, decoded, default_workers
from .pixels import Pixels, decode_crop, jpeg_decoder, prepare
from .shard import ALL, Shard, batches

logger = logging.getLogger(__name__)
prepare()  # now, so that decoding processes, and whatever is forked, have it all
BATCH_SIZE = 64
FORMAT = 1  # raised when other pixels are made of the same image, or rows are laid out otherwise
HEADER = struct.Struct("<QqI4x")  # size and time of change of the image file, checksum


@dataclass(frozen=True)
class CropCache:
    """Crops of a labelled list in one file, so that evaluating them again decodes nothing.

    One row per image: its fingerprint, a checksum, its crop. Any number of processes of one machine
    read and write at once, in any order. A row counts only if its checksum fits, so a row that a
    killed process, a full disk or a power cut left half written, or that two processes wrote into
    each other, is an image that isn't cached yet, nothing worse. Can be pickled.

    A row is used only while its image's file has the size and time of change that it had when the
    row was written; for images within an archive, the archive's. A file replaced by another of
    equal size and time isn't noticed.
    """

    path: Path
    images: LabelledImages
    crop: int

    @classmethod
    def open(cls, folder: Path, images: LabelledImages, protocol: Protocol) -> "CropCache":
        """The cache of these images and pixels below `folder`, made where it isn't there.

        Its name is a hash of all that decides about pixels: the files in their order and where
        they lie, resize, crop, interpolation, and the versions of the decoders. A sparse file is
        made; disk space is taken as rows are written.
        Raises DataError if the folder can't be written or hasn't room for all rows.
        """
        path = folder / f"crops-{_key(images, protocol)[:16]}.u8"
        cache = cls(path, images, protocol.crop)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with path.open("ab") as file:
                held = getattr(os.fstat(file.fileno()), "st_blocks", 0) * 512
                missing, free = cache.size - held, shutil.disk_usage(folder).free
                if missing > free:
                    raise DataError(
                        f"{folder}: the crops need {missing / 1e9:.1f} GB more, {free / 1e9:.1f} "
                        "GB are free. Name another folder, or evaluate without the cache."
                    )
                file.truncate(cache.size)  # also longer; rows that are there stay
        except OSError as error:
            raise DataError(
                f"{folder}: no crop cache can be kept here: {error.strerror}. Name another folder."
            ) from None
        return cache

    @property
    def size(self) -> int:
        """Bytes of the whole file."""
        return len(self.images) * self._row_size

    @property
    def _row_size(self) -> int:
        return HEADER.size + 3 * self.crop**2

    def read(self, index: int) -> Pixels | None:
        """One image's crop, (crop, crop, 3) uint8; None if it isn't there, whole and new."""
        try:
            with self.path.open("rb", buffering=0) as file:
                file.seek(index * self._row_size)
                row = file.read(self._row_size)
        except OSError:
            return None
        if len(row) != self._row_size:
            return None
        header, pixels = row[: HEADER.size], memoryview(row)[HEADER.size :]
        if header != self._header(index, pixels):
            return None
        return np.frombuffer(pixels, np.uint8).reshape(self.crop, self.crop, 3)

    def write(self, index: int, crop: Pixels) -> None:
        """Keep one image's crop, (crop, crop, 3) uint8. Raises OSError, as for a full disk."""
        pixels = crop.tobytes()
        if len(pixels) != self._row_size - HEADER.size:
            raise ValueError(f"expected a crop of {self.crop} pixels, got shape {crop.shape}")
        row = self._header(index, pixels) + pixels
        with self.path.open("r+b", buffering=0) as file:
            file.seek(index * self._row_size)
            if file.write(row) != len(row):
                raise OSError(f"{self.path}: the disk is full")

    def _header(self, index: int, pixels: bytes | memoryview) -> bytes:
        """What stands before an image's pixels while its file is as it is now."""
        size = changed = 0
        for path in (self.images.root / self.images.files[index], self.images.root):
            try:
                found = path.stat()
            except OSError:
                continue  # within an archive there is no such path
            size, changed = found.st_size, found.st_mtime_ns
            break
        # The checksum starts from the place, so that rows can't be taken for one another.
        return HEADER.pack(size, changed, zlib.crc32(pixels, index))


def _key(images: LabelledImages, protocol: Protocol) -> str:
    facts = {
        "format": FORMAT,
        "pixels": [protocol.resize, protocol.crop, protocol.interpolation],
        "root": str(images.root.resolve()),
        "list": images.sha256(),
        "files": hashlib.sha256("\n".join(images.files).encode()).hexdigest(),  # in their order
        "versions": [metadata.version(name) for name in ("pillow", jpeg_decoder()) if name],
        "libjpeg": features.version("libjpeg_turbo") or features.version("jpg"),
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class Batch(HandedOver):
    """Some consecutive images of the labelled list; B of them could be decoded, maybe none."""

    indices: torch.Tensor
    """(B,) int64, positions in the labelled list."""
    crops: torch.Tensor
    """(B, crop, crop, 3) uint8."""
    labels: torch.Tensor
    """(B,) int64."""
    unreadable: tuple[tuple[int, str], ...]
    """Position and one-line reason of each image that can't be decoded."""
    cache_failure: str = ""
    """Why the decoding process can't write the cache, if so."""


def require_memory(images: int, side: int) -> None:
    """Refuse a batch whose pixels alone, as bytes and as float32, fill half of this machine's memory.

    side: of the crops. Raises UsageError.
    """
    if not hasattr(os, "sysconf"):  # Windows
        return
    needed, memory = 15 * images * side**2, os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if needed > memory / 2:
        raise UsageError(
            f"A batch of {images:,} crops of {side} pixels takes {needed / 1e9:,.0f} GB before it "
            f"meets a network, expected at most half of this machine's {memory / 1e9:,.0f} GB. "
            "Make the batch (--batch-size, micro_batch) or the crop smaller."
        )


@dataclass(frozen=True)
class Work:
    """Whose crops are made how. workers: decoding processes per rank, None picks by cores.

    shard: the part of the images that is to be predicted.
    """

    images: LabelledImages
    protocol: Protocol
    batch_size: int = BATCH_SIZE
    workers: int | None = None
    cache: CropCache | None = None
    shard: Shard = ALL

    def groups(self, order: Sequence[int] | None = None) -> list[Sequence[int]]:
        """Batches of positions: of the whole list, or of some images in an order."""
        order = range(len(self.images)) if order is None else order
        return batches(order, self.batch_size)

    def batches(
        self, groups: Sequence[Sequence[int]], *, ranks_here: int = 1
    ) -> Generator[Batch, None, None]:
        """One batch for each group of positions in the labelled list, in the order given.

        ranks_here: processes of this machine that decode at the same time. Crops are taken from the
        cache and put into it; where it can't be written, one warning is logged and decoding goes
        on. An image that can't be read or decoded is named in its batch's `unreadable`.
        """
        workers = default_workers(ranks_here) if self.workers is None else self.workers
        warned = False
        workers = min(workers, len(groups))
        with closing(decoded(_Batches(self, groups), range(len(groups)), workers)) as made:
            for batch in made:
                if batch.cache_failure and not warned:
                    logger.warning(
                        "%s. Going on without writing the crop cache.", batch.cache_failure
                    )
                    warned = True
                yield batch


@dataclass(frozen=True)
class KeptWork(Work):
    """Work that is done again and again: what was decoded once stays in this process's memory."""

    kept: dict[tuple[tuple[int, ...], ...], list[Batch]] = field(default_factory=dict)

    def batches(
        self, groups: Sequence[Sequence[int]], *, ranks_here: int = 1
    ) -> Generator[Batch, None, None]:
        """As those of `Work`; of groups that were gone through before, the same batches."""
        key = tuple(map(tuple, groups))
        if key in self.kept:
            yield from self.kept[key]
            return
        made = []
        with closing(super().batches(groups, ranks_here=ranks_here)) as fresh:
            for batch in fresh:
                # A copy: what decoding processes made lies in /dev/shm, which may be small.
                made.append(replace(batch, crops=batch.crops.clone()))
                yield batch
        self.kept[key] = made


class _Batches(Dataset[Batch]):
    """Item j is the batch of the images at `groups[j]`."""

    def __init__(self, work: Work, groups: Sequence[Sequence[int]]) -> None:
        self.work, self.groups = work, groups
        self.cache_failure = ""

    def __len__(self) -> int:
        return len(self.groups)

    def __getitem__(self, number: int) -> Batch:
        group, side = self.groups[number], self.work.protocol.crop
        crops = np.empty((len(group), side, side, 3), np.uint8)
        indices: list[int] = []
        unreadable: list[tuple[int, str]] = []
        for index in group:
            try:
                crops[len(indices)] = self._crop(index)
                indices.append(index)
            except DataError as error:
                unreadable.append((index, str(error)))
        labels = [self.work.images.labels[index] for index in indices]
        return Batch(
            indices=torch.tensor(indices, dtype=torch.int64),
            crops=torch.from_numpy(crops[: len(indices)]),
            labels=torch.tensor(labels, dtype=torch.int64),
            unreadable=tuple(unreadable),
            cache_failure=self.cache_failure,
        )

    def _crop(self, index: int) -> Pixels:
        images, cache = self.work.images, self.work.cache
        kept = cache.read(index) if cache else None
        if kept is not None:
            return kept
        crop = decode_crop(images.read(index), self.work.protocol, images.files[index])
        if cache and not self.cache_failure:
            try:
                cache.write(index, crop)
            except OSError as error:
                self.cache_failure = f"{cache.path}: {error.strerror or error}"
        return crop
