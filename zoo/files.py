"""Files that are whole or absent, what is in them, and taking turns at them.

What isn't whole yet stands beside the file it will become, as `.NAME.xxxxxxxx.part`, so that the
last step is one rename: readers see the old file or the new one, and an error leaves nothing.
"""

import errno
import hashlib
import os
import secrets
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path
from typing import BinaryIO

from .errors import IntegrityError, SourceError, UsageError

CHUNK = 1 << 20  # bytes read at a time: large enough that threads seldom meet
ASK_AGAIN = 0.5  # seconds between two tries for a lock

OnBytes = Callable[[int], object]  # told how many more bytes have been dealt with


def ignore(count: int) -> None:
    """An OnBytes for who doesn't want to know."""


def as_typed(text: str) -> Path:
    """A path as people type it: `~` is the home folder; `~NAME` that nobody has stays as it is."""
    return Path(os.path.expanduser(text))  # noqa: PTH111 - that of Path raises RuntimeError


def write(path: Path, data: str | bytes) -> None:
    """Give a file its new content in one step. Text is written as UTF-8 with `\\n`, as it is.

    Raises OSError; `path` then is as it was.
    """
    with replacing(path) as file:
        file.write(data.encode() if isinstance(data, str) else data)


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """An open file that takes the name `path` when the block ends well, its bytes on the disk.

    Raises OSError; whatever is raised, Ctrl-C and a full disk too, leaves `path` as it was.
    """
    with becoming(path) as part, part.open("xb") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def becoming(path: Path) -> Iterator[Path]:
    """A free name beside `path`; what the block puts there takes the name `path` when it ends well.

    For folders, for what writes by name, and for many small files, which aren't forced to the disk
    one by one.
    """
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        yield part
        part.replace(path)
    except OSError as error:  # a full disk names no file, and nobody knows the part's name
        if error.filename in (None, str(part)):
            error.filename, error.filename2 = str(path), None
        raise
    finally:
        if part.is_dir():
            shutil.rmtree(part, ignore_errors=True)
        else:
            part.unlink(missing_ok=True)


def own(path: str, flags: int) -> int:
    """An `opener` for `open`, of a file that is this user's alone and has this name alone.

    In a folder that others share, what has the name could be a link that leads the writing
    elsewhere, or stay in another's hands. Raises OSError for that, and for what is no file.
    """
    handle = os.open(path, flags | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
    facts = os.fstat(handle)
    ours = not hasattr(os, "geteuid") or facts.st_uid == os.geteuid()
    if not (stat.S_ISREG(facts.st_mode) and facts.st_nlink == 1 and ours):
        os.close(handle)
        raise OSError(errno.EPERM, "is no file of this user alone", path)
    return handle


def require_writable(path: Path, *, folder: bool = False) -> None:
    """Raise UsageError where no file, or no folder, can be made at `path`; nothing is left there.

    For whoever is to write when long work is done. Missing folders above it can be made, too.
    """
    try:
        at = path if folder else path.parent
        while not at.exists():
            at = at.parent
        tempfile.TemporaryFile(dir=at).close()
        if not folder and path.exists() and not path.is_file():
            raise IsADirectoryError(0, "it is no file")
    except OSError as error:
        what = "folder" if folder else "file"
        raise UsageError(
            f"{path}: no {what} can be written here: {error.strerror}. Name another {what}."
        ) from None


def require_no_pipe(path: Path) -> None:
    """Raise UsageError for a pipe or a device: reading it could wait, or go on, for ever.

    What isn't there, or can't be looked at, is for the reader to name.
    """
    with suppress(OSError, ValueError):
        mode = path.stat().st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            raise UsageError(
                f"{path}: expected a file or a folder, got a pipe or a device. "
                "Save what it gives as a file, and name that."
            )


def content_of(path: Path, most: int) -> bytes:
    """The bytes of a stranger's file. Raises IntegrityError if it isn't one of at most so many."""
    try:
        if not path.is_file():  # a pipe would be waited for
            raise IntegrityError(f"{path}: expected a file, and there is none. Correct the path.")
        if (size := path.stat().st_size) > most:
            raise IntegrityError(
                f"{path}: expected at most {most} bytes, got {size}. Is it the right file?"
            )
        return path.read_bytes()
    except OSError as error:
        raise IntegrityError(
            f"{path}: can't be read: {error.strerror}. Make it readable, or get another copy."
        ) from None


def clear(folder: Path) -> None:
    """Remove the parts that killed processes left. For who is alone in a folder."""
    for part in folder.glob(".*.????????.part"):
        part.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Put a file's bytes, or a folder's list of names, on the disk."""
    with suppress(PermissionError):  # Windows opens no folders
        handle = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


@contextmanager
def alone(lock: Path, waiting: Callable[[], object]) -> Iterator[None]:
    """Hold a lock file that only one process holds at a time; a dead one's lock is free.

    waiting: called twice a second while another process holds it; what it raises ends the wait.
    The file stays: whoever held a removed one would be alone beside the next process.
    """
    from filelock import FileLock, Timeout

    lock.parent.mkdir(parents=True, exist_ok=True)
    held, patience = FileLock(lock), 0.0
    try:
        while not held.is_locked:
            try:
                held.acquire(timeout=patience)
            except Timeout:
                waiting()
                patience = ASK_AGAIN
        yield
    finally:
        held.release()


def require_space(folder: Path, needed: int, advice: str) -> None:
    """Raise SourceError if the disk of a folder has less than `needed` bytes left."""
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise SourceError(
            f"{folder}: expected room for {needed:,} bytes, the disk has {free:,} left. Make room, "
            f"or {advice}."
        )


def sha256_of(path: Path, on_bytes: OnBytes = ignore) -> str:
    """Hex sha256 of a file's bytes."""
    with path.open("rb", buffering=0) as file:
        return sha256_of_open(file, on_bytes)


def sha256_of_open(file: FileIO, on_bytes: OnBytes = ignore) -> str:
    """Hex sha256 of what is left to read in an open, unbuffered file."""
    digest = hashlib.sha256()
    buffer = memoryview(bytearray(CHUNK))
    while count := file.readinto(buffer):
        digest.update(buffer[:count])
        on_bytes(count)
    return digest.hexdigest()


def size_of(path: Path) -> int:
    """Bytes in a file; 0 if it isn't there or can't be looked at."""
    try:
        return path.stat().st_size
    except OSError:
        return 0
