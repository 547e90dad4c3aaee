"""Says of files on disk whether they are the locked ones, by reading every byte."""

import os
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from .checks import Seen, read_checks, seen_now, unchanged, write_checks, write_text
from .files import OnBytes, each_in_parallel, ignore, sha256_of, sha256_of_open, size_of
from .lock import Asset

__all__ = [
    "Finding",
    "Status",
    "bytes_of",
    "check",
    "check_all",
    "first_use",
    "first_use_record",
    "record_first_use",
    "set_aside",
    "sha256_of",
]


class Status(Enum):
    """The state of one file."""

    OK = "ok"
    CORRUPT = "corrupt"
    MISSING = "missing"
    UNLOCKED = "not locked"
    FOREIGN = "foreign"  # in the cache, but no lock knows it


@dataclass(frozen=True)
class Finding:
    """What was found of one file. sha256: of the bytes on disk, None if they weren't read."""

    path: Path
    status: Status
    sha256: str | None
    detail: str = ""


def check(path: Path, asset: Asset) -> Finding:
    """Compare a file with its lock entry.

    Without a locked hash, the hash recorded at the first download stands in; the status is then
    `not locked`, or `corrupt` if the file changed since. A file that can't be read is corrupt.
    """
    return _check(path, asset, None, ignore)[0]


def check_all(
    files: Sequence[tuple[Path, Asset | None]],
    *,
    quick: bool = False,
    on_bytes: OnBytes = ignore,
) -> list[Finding]:
    """Check many files at once.

    files: paths and their lock entries, None for a file that no lock knows.
    quick: believe a file whose size and time are those of its last full check.
    on_bytes: called with counts that add up to `bytes_of(files)` if nothing changes meanwhile.
    Returns one finding per file, in order. What was read is remembered beside the files; where
    they can't be written to, the next quick check reads them again.
    """
    known = {folder: read_checks(folder) for folder in {path.parent for path, _ in files}}

    def one(file: tuple[Path, Asset | None], on_bytes: OnBytes) -> tuple[Finding, Seen | None]:
        path, asset = file
        if asset is None:
            return Finding(path, Status.FOREIGN, None, "no lock knows this file"), None
        seen = known[path.parent].get(path.name) if quick else None
        return _check(path, asset, seen, on_bytes)

    sizes = [size_of(path) for path, _ in files]
    results = each_in_parallel(one, files, sizes, on_bytes)
    _remember(known, results)
    return [finding for finding, _ in results]


def bytes_of(files: Sequence[tuple[Path, Asset | None]]) -> int:
    """How many bytes a full check of these files reads."""
    return sum(size_of(path) for path, asset in files if asset is not None)


def set_aside(path: Path) -> Path:
    """Rename a damaged file to the first free name of `<name>.damaged`, `<name>.damaged.2`, ..."""
    number = 1
    while True:
        aside = path.with_name(f"{path.name}.damaged" + (f".{number}" if number > 1 else ""))
        if not aside.exists():
            return path.rename(aside)
        number += 1


def record_first_use(path: Path, sha256: str) -> None:
    """Remember the hash of a file that no lock vouches for, in the format of sha256sum."""
    write_text(first_use_record(path), f"{sha256}  {path.name}\n")


def first_use_record(path: Path) -> Path:
    """Where the hash of a file's first use is written."""
    return path.with_name(f"{path.name}.sha256")


def first_use(path: Path) -> str | None:
    """The hash that was recorded at a file's first use, None if there is no record."""
    record = first_use_record(path)
    if not record.is_file():
        return None
    return next(iter(record.read_text(encoding="utf-8", errors="replace").split()), None)


def _check(
    path: Path, asset: Asset, seen: Seen | None, on_bytes: OnBytes
) -> tuple[Finding, Seen | None]:
    """Compare a file with its lock entry, and say what is to be remembered of it."""
    began = time.time_ns()
    try:
        # One open file for all questions: another process may give the name to another file.
        with path.open("rb", buffering=0) as file:
            before = os.fstat(file.fileno())
            if seen is not None and unchanged(seen, before):
                on_bytes(seen.size)
                remark = f"unchanged since it was read at {seen.checked}"
                return _judge(path, asset, seen.size, seen.sha256, remark), seen
            sha256 = sha256_of_open(file, on_bytes)
            after = os.fstat(file.fileno())
    except (FileNotFoundError, NotADirectoryError):
        return Finding(path, Status.MISSING, None, "not downloaded"), None
    except OSError as error:
        return Finding(path, Status.CORRUPT, None, f"cannot be read: {error.strerror}"), None
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        detail = "changed while it was read; run again"
        return Finding(path, Status.CORRUPT, sha256, detail), None
    return _judge(path, asset, after.st_size, sha256), seen_now(after, sha256, began)


def _judge(path: Path, asset: Asset, size: int, sha256: str, remark: str = "") -> Finding:
    """The finding for a file of this size and hash."""
    if asset.size is not None and size != asset.size:
        return Finding(path, Status.CORRUPT, sha256, f"expected {asset.size} bytes, got {size}")
    expected = asset.sha256 or first_use(path)
    if expected is not None and sha256 != expected:
        detail = f"expected sha256 {expected[:12]}…, got {sha256[:12]}…"
        return Finding(path, Status.CORRUPT, sha256, detail)
    if asset.sha256 is None:
        trust = f"trusted on first use, {sha256[:12]}…"
        return Finding(path, Status.UNLOCKED, sha256, "; ".join(filter(None, (trust, remark))))
    return Finding(path, Status.OK, sha256, remark)


def _remember(
    known: Mapping[Path, Mapping[str, Seen]],
    results: Sequence[tuple[Finding, Seen | None]],
) -> None:
    """Write what was seen beside the files, where that changes the record."""
    for folder, before in known.items():
        after = dict(before)
        for finding, seen in results:
            if finding.path.parent == folder and finding.status is not Status.FOREIGN:
                after.pop(finding.path.name, None)
                if seen is not None:
                    after[finding.path.name] = seen
        if after != before:
            with suppress(OSError):  # a cache that can't be written to can still be verified
                write_checks(folder, after)
