"""Remembers which bytes a full check saw, so that `verify --quick` need not read them again.

One JSON file in each benchmark's cache folder: file name -> size, modification time, sha256, and
when it was read. It only ever saves work: an entry that doesn't fit the file on disk, or a record
that is damaged or gone, means that the file is read.
"""

import json
import os
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

RECORD = ".verified.json"
FORMAT = 1
# A file changed within one tick of the file system's clock after it was read keeps its time; the
# coarsest clock in use (FAT) ticks every two seconds. Git calls such files "racily clean".
RACY_NS = 2_000_000_000


@dataclass(frozen=True)
class Seen:
    """What a full check saw of one file. mtime_ns: of the file. checked: UTC, ISO 8601."""

    size: int
    mtime_ns: int
    sha256: str
    checked: str


def seen_now(stat: os.stat_result, sha256: str, began_ns: int) -> Seen | None:
    """A record of a file that was read just now; None if it is too fresh to be told by its time.

    stat: of the file, the same before and after it was read. began_ns: `time.time_ns` before.
    """
    if stat.st_mtime_ns > began_ns - RACY_NS:  # also a clock that was set back
        return None
    checked = datetime.fromtimestamp(began_ns // 10**9, UTC).isoformat()
    return Seen(stat.st_size, stat.st_mtime_ns, sha256, checked)


def unchanged(seen: Seen, stat: os.stat_result) -> bool:
    """Whether a file still has the size and time of its last full check."""
    return (seen.size, seen.mtime_ns) == (stat.st_size, stat.st_mtime_ns)


def read_checks(folder: Path) -> dict[str, Seen]:
    """The record of a folder by file name; empty if there is none that can be understood."""
    with suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
        content = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        if content["format"] == FORMAT:
            return {name: Seen(**entry) for name, entry in content["files"].items()}
    return {}


def write_checks(folder: Path, checks: Mapping[str, Seen]) -> None:
    """Replace the record of a folder at once. Raises OSError where the folder can't be written."""
    files = {name: asdict(seen) for name, seen in sorted(checks.items())}
    text = json.dumps({"format": FORMAT, "files": files}, indent=1) + "\n"
    write_text(folder / RECORD, text)


def write_text(path: Path, text: str) -> None:
    """Give a small file its new content in one step: readers see the old one or the new one."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    fresh = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        fresh.chmod(0o644)  # mkstemp's 0600 would hide a shared cache from colleagues
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)
