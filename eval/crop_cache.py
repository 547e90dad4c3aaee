"""A file of decoded crops, so that evaluating the same images again decodes nothing.

One file per labelled list and pixels, one row per image: its fingerprint, a checksum, its crop.
Any number of processes of one machine read and write at once, in any order. A row counts only if
its checksum fits, so a row that a killed process, a full disk or a power cut left half written,
or that two processes wrote into each other, is an image that isn't cached yet, nothing worse.
"""

import hashlib
import json
import os
import shutil
import struct
import zlib
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import features

from ..zoo.data import LabelledImages
from ..zoo.errors import DataError
from ..zoo.manifest import Protocol

FORMAT = 1  # raised when other pixels are made of the same image, or rows are laid out otherwise
HEADER = struct.Struct("<QqI4x")  # size and time of change of the image file, checksum
Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class CropCache:
    """Crops of a labelled list on disk. Can be pickled, and holds no open file.

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
                        f"{folder}: the crops need {missing / 1e9:.1f} GB more, {free / 1e9:.1f} GB "
                        "are free. Name another folder, or evaluate without the cache."
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
        """One image's crop, (crop, crop, 3) uint8; None if it isn't there, isn't whole or is old."""
        try:
            with self.path.open("rb", buffering=0) as file:
                file.seek(index * self._row_size)
                row = file.read(self._row_size)
        except OSError:
            return None
        if len(row) != self._row_size:
            return None
        size, changed, checksum = HEADER.unpack_from(row)
        pixels = memoryview(row)[HEADER.size :]
        if (size, changed) != self._fingerprint(index) or checksum != zlib.crc32(
            pixels, _seed(index, size, changed)
        ):
            return None
        return np.frombuffer(pixels, np.uint8).reshape(self.crop, self.crop, 3)

    def write(self, index: int, crop: Pixels) -> None:
        """Keep one image's crop, (crop, crop, 3) uint8. Raises OSError, as for a full disk."""
        pixels = crop.tobytes()
        if len(pixels) != self._row_size - HEADER.size:
            raise ValueError(f"expected a crop of {self.crop} pixels, got shape {crop.shape}")
        size, changed = self._fingerprint(index)
        checksum = zlib.crc32(pixels, _seed(index, size, changed))
        with self.path.open("r+b", buffering=0) as file:
            file.seek(index * self._row_size)
            row = HEADER.pack(size, changed, checksum) + pixels
            if file.write(row) != len(row):
                raise OSError(f"{self.path}: the disk is full")

    def _fingerprint(self, index: int) -> tuple[int, int]:
        for path in (self.images.root / self.images.files[index], self.images.root):
            try:
                found = path.stat()
            except OSError:
                continue  # within an archive there is no such path
            return found.st_size, found.st_mtime_ns
        return 0, 0


def _seed(index: int, size: int, changed: int) -> int:
    """Where the checksum starts: never 0, so a row of zeros is no row."""
    return zlib.crc32(HEADER.pack(size, changed, index % 2**32)) | 1


def _key(images: LabelledImages, protocol: Protocol) -> str:
    facts = {
        "format": FORMAT,
        "pixels": [protocol.resize, protocol.crop, protocol.interpolation],
        "root": str(images.root.resolve()),
        "list": images.sha256(),
        "files": hashlib.sha256("\n".join(images.files).encode()).hexdigest(),  # in their order
        "versions": [metadata.version(name) for name in ("pillow", "torchvision")],
        "libjpeg": features.version("libjpeg_turbo") or features.version("jpg"),
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
