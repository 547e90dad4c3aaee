"""Where the images of an archive go: files below a folder, or one tar.

Both take up what an earlier run left by comparing it with the archive's bytes: what is equal stays
untouched, what differs is replaced. So a finished pass vouches for every byte, whoever wrote it.
"""

import io
import os
import tarfile
from pathlib import Path
from typing import Literal

from .stores import index_path, write_index

Outcome = Literal["written", "kept", "replaced"]  # kept: it was here, the same to the byte


class FileSink:
    """Each image a file below `root`, whole or not at all.

    Takes images one by one, then `finish`; after an error `close` alone.
    """

    def __init__(self, root: Path, work: Path) -> None:
        """work: a folder of this run's own on the same disk."""
        self._root, self._part = root, work / "image.part"

    def put(self, name: str, data: bytes) -> Outcome:
        """Store one image as a file; `name` is a safe relative path, and no name comes twice."""
        path = self._root / name
        try:
            here = path.stat().st_size
        except FileNotFoundError:
            here = None
        if here == len(data) and path.read_bytes() == data:
            return "kept"
        path.parent.mkdir(parents=True, exist_ok=True)
        self._part.write_bytes(data)
        self._part.replace(path)
        return "written" if here is None else "replaced"

    def finish(self) -> None:
        """Wait until the disk has them all; a sync for each file would take longer than the pass."""
        if hasattr(os, "sync"):
            os.sync()

    def close(self) -> None:
        """Nothing is open between two images."""


class TarSink:
    """All images in one tar, in the order of the archive, written under a temporary name; as FileSink.

    A part that an earlier run left is compared from its begin on, and cut where it differs.
    """

    def __init__(self, path: Path, work: Path) -> None:
        """path: the tar's final name. work: a folder of this run's own on the same disk."""
        self._path, self._part = path, work / f"{path.name}.part"
        if path.exists() and not self._part.exists():  # whole, but no mark vouches for it
            path.replace(self._part)
        index_path(path).unlink(missing_ok=True)
        self._part.touch()
        self._file: io.BufferedRandom = self._part.open("r+b")
        self._comparing = True

    def put(self, name: str, data: bytes) -> Outcome:
        """Append one image, or find it where it must be."""
        info = tarfile.TarInfo(name)
        info.size = len(data)
        header = info.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape")
        return self._append(header + data + bytes(-len(data) % tarfile.BLOCKSIZE))

    def finish(self) -> None:
        """Mark the end, put all on the disk, and give the tar its name and its index."""
        self._append(bytes(2 * tarfile.BLOCKSIZE))
        self._file.truncate()
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        self._part.replace(self._path)
        write_index(self._path)

    def close(self) -> None:
        """Keep the part for the next run."""
        self._file.close()

    def _append(self, content: bytes) -> Outcome:
        if self._comparing:
            start = self._file.tell()
            if self._file.read(len(content)) == content:
                return "kept"
            self._comparing = False
            self._file.seek(start)
            self._file.truncate()
        self._file.write(content)
        return "written"


Sink = FileSink | TarSink
