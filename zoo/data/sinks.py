"""Where the images of an archive go: files below a folder, or one tar.

Files that an earlier run left are compared with the archive's bytes: what is equal stays untouched,
what differs is replaced. A tar is written anew, which takes no longer than comparing it. So a
finished pass vouches for every byte, whoever wrote it.
"""

import io
import os
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from stat import S_ISREG
from typing import Literal

from ..errors import DataError
from .stores import index_path, write_index

Fate = Literal["written", "kept", "replaced"]  # kept: it was here, the same to the byte
# Stores one image under a safe relative name, of which none comes twice
Put = Callable[[str, bytes], Fate]


def make_within(root: Path, folder: Path) -> None:
    """Make a folder below `root`. Raises DataError if a link leads it out of there, OSError."""
    real = folder.resolve()
    if not real.is_relative_to(root.resolve()):
        raise DataError(
            f"{folder}: leads out of {root}, to {real}. Remove the link, or name with --root the "
            "folder that holds the images."
        )
    folder.mkdir(parents=True, exist_ok=True)


@contextmanager
def into_files(root: Path, work: Path) -> Iterator[Put]:
    """Each image a file below `root`, whole or not at all; at the end the disk has them all.

    work: a folder of this run's own on the same disk. What lies in `root` leads nowhere else: a
    link in a file's place is replaced by the file; DataError for a folder that is a link out of it.
    """
    part = work / "image.part"
    within: set[Path] = set()  # folders known to be

    def put(name: str, data: bytes) -> Fate:
        path = root / name
        if path.parent not in within:
            make_within(root, path.parent)
            within.add(path.parent)
        here = path.lstat() if os.path.lexists(path) else None
        same = here and S_ISREG(here.st_mode) and here.st_size == len(data)
        if same and path.read_bytes() == data:
            return "kept"
        part.write_bytes(data)
        part.replace(path)
        return "replaced" if here else "written"

    yield put
    if hasattr(os, "sync"):
        os.sync()  # a sync for each would take longer than the pass


@contextmanager
def into_tar(path: Path, work: Path) -> Iterator[Put]:
    """All images in one tar, in the order of the archive, which gets its name when it is whole.

    work: a folder of this run's own on the same disk.
    """
    part = work / f"{path.name}.part"
    with part.open("wb") as file:
        tar = tarfile.TarFile(fileobj=file, mode="w", format=tarfile.GNU_FORMAT)

        def put(name: str, data: bytes) -> Fate:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
            return "written"

        yield put
        # Not padded further, as tarfile would: so what is appended later changes the tar's size,
        # and its index is known to be of another tar.
        file.write(bytes(2 * tarfile.BLOCKSIZE))
        file.flush()
        os.fsync(file.fileno())
    index_path(path).unlink(missing_ok=True)
    part.replace(path)
    write_index(path)
