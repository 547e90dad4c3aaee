"""Says of a file on disk whether it is the locked one, by reading every byte."""

import hashlib
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from .lock import Asset


class Status(Enum):
    """The state of one file."""

    OK = "ok"
    CORRUPT = "corrupt"
    MISSING = "missing"
    UNLOCKED = "not locked"


@dataclass(frozen=True)
class Finding:
    """What `check` found. sha256: of the bytes on disk, None if there are none."""

    path: Path
    status: Status
    sha256: str | None
    detail: str = ""


def check(path: Path, asset: Asset) -> Finding:
    """Compare a file with its lock entry.

    Without a locked hash, the hash recorded at the first download stands in; the status is then
    `not locked`, or `corrupt` if the file changed since.
    """
    if not path.is_file():
        return Finding(path, Status.MISSING, None, "not downloaded")
    actual = sha256_of(path)
    size = path.stat().st_size
    if asset.size is not None and size != asset.size:
        return Finding(path, Status.CORRUPT, actual, f"expected {asset.size} bytes, got {size}")
    expected = asset.sha256 or _first_use(path)
    if expected is not None and actual != expected:
        detail = f"expected sha256 {expected[:12]}…, got {actual[:12]}…"
        return Finding(path, Status.CORRUPT, actual, detail)
    if asset.sha256 is None:
        return Finding(path, Status.UNLOCKED, actual, f"trusted on first use, {actual[:12]}…")
    return Finding(path, Status.OK, actual)


def sha256_of(path: Path) -> str:
    """Hex sha256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def record_first_use(path: Path, sha256: str) -> None:
    """Remember the hash of a download that no lock vouches for, in the format of sha256sum."""
    _record(path).write_text(f"{sha256}  {path.name}\n", encoding="utf-8")


def _first_use(path: Path) -> str | None:
    record = _record(path)
    return record.read_text(encoding="utf-8").split()[0] if record.is_file() else None


def _record(path: Path) -> Path:
    return path.with_name(f"{path.name}.sha256")
