"""Where the images of an archive go: files below a folder, or one tar.

A sink takes images one by one, then `finish`; after an error `close` alone. Files that an earlier
run left are compared with the archive's bytes: what is equal stays untouched, what differs is
replaced. A tar is written anew, which takes no longer than comparing it. So a finished pass vouches
for every byte, whoever wrote it.
"""

import io
import os
import tarfile
from collections import Counter
from pathlib import Path
from stat import S_ISREG
from typing import Literal

from ..errors import DataError
from .stores import index_path, write_index

Fate = Literal["written", "kept", "replaced"]  # kept: it was here, the same to the byte


def make_within(root: Path, folder: Path) -> None:
    """Make a folder below `root`. Raises DataError if a link leads it out of there, OSError."""
    real = folder.resolve()
    if not real.is_relative_to(root.resolve()):
        raise DataError(
            f"{folder}: leads out of {root}, to {real}. Remove the link, or name with --root the folder "
            "that holds the images."
        )
    folder.mkdir(parents=True, exist_ok=True)


class FileSink:
    """Each image a file below `root`, whole or not at all. counts: what became of how many.

    What lies in `root` leads nowhere else: a link in a file's place is replaced by the file.
    """

    def __init__(self, root: Path, work: Path) -> None:
        """work: a folder of this run's own on the same disk."""
        self.counts = Counter[Fate]()
        self._root, self._part = root, work / "image.part"
        self._folders: set[Path] = set()  # known to be within the root

    def put(self, name: str, data: bytes) -> None:
        """Store one image as a file; `name` is a safe relative path, and no name comes twice.

        Raises DataError for a folder that is a link out of the root.
        """
        path = self._root / name
        if path.parent not in self._folders:
            make_within(self._root, path.parent)
            self._folders.add(path.parent)
        try:
            here = path.lstat()
        except FileNotFoundError:
            here = None
        same = here and S_ISREG(here.st_mode) and here.st_size == len(data)
        if same and path.read_bytes() == data:
            self.counts["kept"] += 1
            return
        self._part.write_bytes(data)
        self._part.replace(path)
        self.counts["written" if here is None else "replaced"] += 1

    def finish(self) -> None:
        """Wait until the disk has them all; a sync for each would take longer than the pass."""
        if hasattr(os, "sync"):
            os.sync()

    def close(self) -> None:
        """Nothing is open between two images."""


class TarSink:
    """All images in one tar, in the order of the archive, which gets its name when it is whole."""

    def __init__(self, path: Path, work: Path) -> None:
        """path: the tar's final name. work: a folder of this run's own on the same disk."""
        self.counts = Counter[Fate]()
        self._path, self._part = path, work / f"{path.name}.part"
        self._file = self._part.open("wb")
        self._tar = tarfile.TarFile(fileobj=self._file, mode="w", format=tarfile.GNU_FORMAT)

    def put(self, name: str, data: bytes) -> None:
        """Append one image."""
        info = tarfile.TarInfo(name)
        info.size = len(data)
        self._tar.addfile(info, io.BytesIO(data))
        self.counts["written"] += 1

    def finish(self) -> None:
        """Put all on the disk, and give the tar its name and its index."""
        # Not padded further, as tarfile would: so what is appended later changes the tar's size,
        # and its index is known to be of another tar.
        self._file.write(bytes(2 * tarfile.BLOCKSIZE))
        self._file.flush()
        os.fsync(self._file.fileno())
        index_path(self._path).unlink(missing_ok=True)
        self._part.replace(self._path)
        write_index(self._path)

    def close(self) -> None:
        """Close the tar; one that isn't finished is the next run's to overwrite."""
        self._file.close()


Sink = FileSink | TarSink
