"""Where the bytes of images lie. A label list names files; a store reads them.

A store is a folder of files, or one uncompressed tar with an index of where each image lies. The
index lies beside the tar, `val2018.tar` and `val2018.tar.index.npz`: names (UTF-8, one a line),
offsets and sizes (int64, bytes), tar_size. It only saves time: where it is missing or isn't of this
tar, the headers are read instead, so any tar of images will do.
"""

import os
import tarfile
import weakref
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from ..errors import DataError, MixzooError, wall
from ..files import replacing
from ..tars import StrictTar

Index = dict[str, tuple[int, int]]  # name -> offset of its first byte, size


@dataclass(frozen=True)
class FolderStore:
    """Files below a folder."""

    root: Path

    def has(self, file: str) -> bool:
        """Whether the file exists. Raises DataError where a folder doesn't let anybody look."""
        with self._wall(file):
            return (self.root / file).is_file()

    def size(self, file: str) -> int:
        """Bytes of the file. Raises DataError naming it if there is none."""
        with self._wall(file):
            return (self.root / file).stat().st_size

    def read(self, file: str) -> bytes:
        """The file's bytes. Raises DataError naming it if it can't be read."""
        return self.part(file, 0, -1)

    def part(self, file: str, start: int, count: int) -> bytes:
        """Some of its bytes, all from `start` on where `count` is -1."""
        with self._wall(file), (self.root / file).open("rb") as opened:
            opened.seek(start)
            return opened.read(count)

    def _wall(self, file: str) -> AbstractContextManager[None]:
        return wall(DataError, f"{self.root / file}: cannot be read", "Prepare the data again.")


@dataclass(frozen=True)
class TarStore:
    """One tar, opened when the first image is asked for. Pickled as its path alone.

    Reading is by position, so forked processes and threads may share it.
    """

    root: Path

    def has(self, file: str) -> bool:
        """Whether the tar holds a file of this name. Raises DataError if it is no whole tar."""
        return file in self.index

    def size(self, file: str) -> int:
        """Bytes of a file. Raises DataError if the tar doesn't hold it."""
        return self._place(file)[1]

    def read(self, file: str) -> bytes:
        """The whole file. Raises DataError naming it if the tar doesn't hold it, or is cut."""
        return self.part(file, 0, self.size(file))

    def part(self, file: str, start: int, count: int) -> bytes:
        """Some of a file's bytes. Raises DataError as `read` does."""
        offset, size = self._place(file)
        count = max(0, min(count, size - start))
        with wall(DataError, f"{self.root}: cannot be read", ""):
            data = os.pread(self._descriptor, count, offset + start)
        if len(data) != count:
            raise DataError(f"{self.root}: ends inside {file}. Prepare the data again.")
        return data

    @cached_property
    def index(self) -> Index:
        """Where each file lies. Raises DataError if the tar can't be read."""
        broken = f"{self.root}: expected a whole tar of images, but"
        with (
            wall(DataError, f"{self.root}: cannot be read", ""),
            wall(DataError, broken, "Prepare the data again.", passing=(OSError,)),
        ):
            return _read_index(self.root) or walk(self.root)

    @cached_property
    def _descriptor(self) -> int:
        descriptor = os.open(self.root, os.O_RDONLY)
        weakref.finalize(self, os.close, descriptor)
        return descriptor

    def _place(self, file: str) -> tuple[int, int]:
        if file not in self.index:
            raise DataError(f"{self.root}: holds no {file}. Prepare the data again.")
        return self.index[file]

    def __reduce__(self) -> tuple[type["TarStore"], tuple[Path]]:
        return TarStore, (self.root,)


# Image files by name. Can be pickled, so that decoding processes can read from it too.
ImageStore = FolderStore | TarStore


def index_path(tar: Path) -> Path:
    """Where the index of a tar lies."""
    return tar.with_name(f"{tar.name}.index.npz")


def walk(tar: Path) -> Index:
    """The index of a tar from its headers; bodies are jumped over.

    Raises tarfile.TarError if it isn't whole or names a file twice, OSError if it can't be read.
    """
    index: Index = {}
    with StrictTar(tar) as members:
        for it in members:
            name = it.name.removeprefix("./")
            if name in index:
                raise tarfile.ReadError(f"{name!a} stands twice in it")
            if it.isreg():
                index[name] = (it.offset_data, it.size)
    return index


def write_index(tar: Path) -> None:
    """Write the index of a whole tar, under its name when it is complete."""
    index = walk(tar)
    places = np.array(list(index.values()), dtype=np.int64).reshape(-1, 2)
    names = "\n".join(index).encode("utf-8", "surrogateescape")
    with replacing(index_path(tar)) as file:
        np.savez(
            file,
            names=np.frombuffer(names, dtype=np.uint8),
            offsets=places[:, 0],
            sizes=places[:, 1],
            tar_size=np.int64(tar.stat().st_size),
        )


def _read_index(tar: Path) -> Index | None:
    """The index beside a tar, None if there is none of this very tar."""
    size = tar.stat().st_size
    try:
        with (
            index_path(tar).open("rb") as file,
            wall(DataError, index_path(tar)),
            np.load(file, allow_pickle=False) as stored,
        ):
            if int(stored["tar_size"]) != size:
                return None
            names = stored["names"].tobytes().decode("utf-8", "surrogateescape").split("\n")
            offsets, sizes = stored["offsets"].astype(np.int64), stored["sizes"].astype(np.int64)
            if offsets.min(initial=0) < 0 or sizes.min(initial=0) < 0:
                return None
            places = zip(offsets.tolist(), sizes.tolist(), strict=True)
            return dict(zip(names, places, strict=True)) if names != [""] else {}
    except (OSError, MixzooError, MemoryError):  # of an index that claims what no tar holds
        return None
