"""Puts a file that lies elsewhere under a name in the cache, whole or not at all."""

import errno
import hashlib
from enum import Enum
from pathlib import Path

from ..errors import IntegrityError, SourceError
from ..files import CHUNK, becoming, replacing
from ..net.partial import require_space
from .identify import Arrival

# What a file system answers that has no hard links, or none from there to here
_NO_LINK = {errno.EXDEV, errno.EPERM, errno.EACCES, errno.EMLINK, errno.ENOTSUP, errno.ENOSYS}


class Mode(Enum):
    """How a file gets into the cache. AUTO: by link where that is possible, else by copy."""

    AUTO = "auto"
    LINK = "link"
    COPY = "copy"


def place(file: Arrival, path: Path, mode: Mode) -> str:
    """Give an arrival the name `path`, in one step, and say how: "linked" or "copied".

    The folder of `path` must be there. Raises SourceError if the mode isn't possible or the disk
    is full, IntegrityError if the file isn't any more what it was when it was hashed, OSError.
    """
    source = file.path.resolve()  # a link to a file is not the file
    if mode is not Mode.COPY:
        try:
            with becoming(path) as part:
                part.hardlink_to(source)
                _require_unchanged(file, sha256=None)
            return "linked"
        except OSError as error:
            if error.errno not in _NO_LINK:
                raise
            if mode is Mode.LINK:
                raise SourceError(
                    f"no hard link from {source} to {path.parent} ({error.strerror}); use --copy"
                ) from None
    _copy(file, source, path)
    return "copied"


def _copy(file: Arrival, source: Path, path: Path) -> None:
    require_space(path.parent, file.size)
    digest = hashlib.sha256()
    with source.open("rb") as old, replacing(path) as new:
        while chunk := old.read(CHUNK):
            digest.update(chunk)
            new.write(chunk)
        _require_unchanged(file, sha256=digest.hexdigest())


def _require_unchanged(file: Arrival, sha256: str | None) -> None:
    stat = file.path.stat()
    if (stat.st_size, stat.st_mtime_ns) != (file.size, file.mtime_ns) or (
        sha256 not in (None, file.sha256)
    ):
        raise IntegrityError("it changed while it was read; run again when it is whole")
