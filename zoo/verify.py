"""Says of files on disk whether they are the locked ones, by reading every byte.

What a full check saw is remembered in one JSON file in each benchmark's cache folder: file name ->
size, modification time, sha256, and when it was read. It only ever saves work: an entry that
doesn't fit the file on disk, or a record that is damaged or gone, means that the file is read
again.

Where no lock knows a file's hash, its first use is remembered, once its own checksums bear it out:
those that a zip file (so torch's, since version 1.6) states of its entries.
"""

import os
import time
import zipfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from typing import Literal

import msgspec

from .catalog import Catalog
from .errors import IntegrityError, UsageError
from .files import OnBytes, ignore, sha256_of, sha256_of_open, size_of, write
from .lock import Asset
from .parallel import each_in_parallel

RECORD = ".verified.json"
FIRST_USE = ".sha256"
# A file changed within one tick of the file system's clock after it was read keeps its time; the
# coarsest clock in use (FAT) ticks every two seconds. Git calls such files "racily clean".
RACY_NS = 2_000_000_000
ZIP = b"PK\x03\x04"
UNPACKED = 200  # times its size that a zip file may say it unpacks to, for its sums to be read


class State(Enum):
    """How a released file is on this machine, in a word (see `shelf.RULES`)."""

    UNKNOWN = "not locked"
    ABSENT = "not downloaded"
    PACKAGED = "in the package"
    PARTIAL = "interrupted"
    HERE = "here"
    FIRST_USE = "trusted on first use"
    VERIFIED = "verified"
    DAMAGED = "damaged"
    FOREIGN = "foreign"


@dataclass(frozen=True)
class Finding:
    """What was found of one file. sha256: of the bytes on disk, None if they weren't read."""

    path: Path
    state: State
    sha256: str | None
    detail: str = ""


class Seen(msgspec.Struct, frozen=True):
    """What a full check saw of one file. mtime_ns: of the file. checked: UTC, ISO 8601."""

    size: int
    mtime_ns: int
    sha256: str
    checked: str

    def still_is(self, stat: os.stat_result) -> bool:
        """Whether a file still has the size and time that it had then."""
        return (self.size, self.mtime_ns) == (stat.st_size, stat.st_mtime_ns)


class _Record(msgspec.Struct, frozen=True):
    """The content of a folder's RECORD: file name -> what was seen."""

    files: dict[str, Seen]
    format: Literal[1] = 1


def check(path: Path, asset: Asset) -> Finding:
    """Compare a file with its lock entry.

    Without a locked hash, the hash recorded at the first use stands in: the file is then trusted
    on first use, or damaged if it changed since; before its first use its own checksums are
    compared (see `own_sums`). A file that can't be read is damaged.
    """
    return _check(path, asset, None, ignore, sums=first_use(path) is None)[0]


def recall(path: Path, asset: Asset) -> Finding:
    """What is known of a file without reading it: its size, and what the last full check saw.

    The state is HERE where its size is right, and it was never checked or has changed since.
    """
    if not path.is_file():
        return Finding(path, State.ABSENT, None, "not downloaded")
    facts, seen = path.stat(), read_checks(path.parent).get(path.name)
    if seen and seen.still_is(facts):
        return _judge(path, asset, seen.size, seen.sha256, f"read at {seen.checked}")
    wrong = _wrong_size(asset, facts.st_size)
    return Finding(path, State.DAMAGED if wrong else State.HERE, None, wrong)


def check_all(
    files: Sequence[tuple[Path, Asset | None]],
    *,
    quick: bool = False,
    on_bytes: OnBytes = ignore,
) -> list[Finding]:
    """Check many files at once, also the checksums of files whose hash no lock knows.

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
            return Finding(path, State.FOREIGN, None, "no lock knows this file"), None
        seen = known[path.parent].get(path.name) if quick else None
        return _check(path, asset, seen, on_bytes, sums=True)

    sizes = [size_of(path) for path, _ in files]
    results = each_in_parallel(one, files, sizes, on_bytes)
    for folder, before in known.items():
        judged = [(f, seen) for f, seen in results if f.path.parent == folder]
        now = {f.path.name: seen for f, seen in judged if f.state is not State.FOREIGN}
        after = {name: seen for name, seen in sorted((before | now).items()) if seen}
        if after != before:
            with suppress(OSError):  # a cache that can't be written to can still be verified
                content = msgspec.json.format(msgspec.json.encode(_Record(after)), indent=1)
                write(folder / RECORD, content + b"\n")
    return [finding for finding, _ in results]


def check_loose(path: Path, catalog: Catalog) -> tuple[Asset | None, Finding]:
    """A file that lies anywhere: the asset whose bytes it has, or none; then its checksums count.

    Raises UsageError where there is no such file, IntegrityError where they contradict it.
    """
    if not path.is_file():
        raise UsageError(
            f"{path}: expected a row, a benchmark, a file or a folder; there is none. Correct the "
            "name."
        )
    sha256 = sha256_of(path)
    for benchmark, asset in catalog.recognise(sha256):
        remark = f"has the bytes of {benchmark.name}'s {asset.name}"
        return asset, Finding(path, State.VERIFIED, sha256, remark)
    require_sound(path, str(path), "Copy or download it again.")
    return None, Finding(path, State.FOREIGN, sha256, f"no lock knows it; {own_sums(path)[1]}")


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


def own_sums(path: Path) -> tuple[str, str]:
    """What is wrong with a file by its own checksums, and what there is of such, each in a clause.

    A zip file states a CRC-32 of each entry. The first is empty where nothing is wrong, which says
    little of a file without any: torch's before version 1.6, safetensors, text. Raises OSError.
    """
    with path.open("rb") as file:
        if file.read(len(ZIP)) != ZIP:
            return "", "it carries no checksums, so nothing vouches for its bytes"
        try:
            with zipfile.ZipFile(file) as archive:
                return _sums_of(archive, path.stat().st_size)
        except (OSError, MemoryError):
            raise
        except Exception as error:  # of a stranger's bytes, whatever it is
            broken = "without the table of contents that ends a zip file"
            why = broken if isinstance(error, zipfile.BadZipFile) else type(error).__name__
            return f"is cut off or damaged ({why})", ""


def require_sound(path: Path, name: str, to_do: str) -> None:
    """Raise IntegrityError if a file that no hash vouches for isn't what it says of itself."""
    if wrong := own_sums(path)[0]:
        raise IntegrityError(f"{name}: {wrong}. {to_do}")


def _sums_of(archive: zipfile.ZipFile, size: int) -> tuple[str, str]:
    entries = [entry for entry in archive.infolist() if entry.file_size]
    if sum(entry.file_size for entry in entries) > UNPACKED * size:
        return f"says that it unpacks to more than {UNPACKED} times its size", ""
    if not any(entry.CRC for entry in entries):  # torch.serialization.set_crc32_options(False)
        return "", "its writer left the checksums out, so nothing vouches for its bytes"
    if damaged := archive.testzip():
        return f"its entry {damaged!r} doesn't have the CRC-32 that the file states", ""
    return "", f"its {len(entries)} entries have their CRC-32"


def record_first_use(path: Path, sha256: str) -> None:
    """Remember the hash of a file that no lock vouches for, in the format of sha256sum."""
    write(first_use_record(path), f"{sha256}  {path.name}\n")


def first_use_record(path: Path) -> Path:
    """Where the hash of a file's first use is written."""
    return path.with_name(path.name + FIRST_USE)


def first_use(path: Path) -> str | None:
    """The hash that was recorded at a file's first use, None if there is no record."""
    record = first_use_record(path)
    if not record.is_file():
        return None
    return next(iter(record.read_text(encoding="utf-8", errors="replace").split()), None)


def read_checks(folder: Path) -> dict[str, Seen]:
    """The record of a folder by file name; empty if there is none that can be understood."""
    with suppress(OSError, msgspec.DecodeError):
        return msgspec.json.decode((folder / RECORD).read_bytes(), type=_Record).files
    return {}


def _check(
    path: Path, asset: Asset, seen: Seen | None, on_bytes: OnBytes, *, sums: bool
) -> tuple[Finding, Seen | None]:
    """Compare a file with its lock entry, and say what is to be remembered of it.

    sums: read its own checksums too where no lock knows its hash.
    """
    began = time.time_ns()
    try:
        # One open file for all questions: another process may give the name to another file.
        with path.open("rb", buffering=0) as file:
            before = os.fstat(file.fileno())
            if seen is not None and seen.still_is(before):
                on_bytes(seen.size)
                remark = f"unchanged since it was read at {seen.checked}"
                return _judge(path, asset, seen.size, seen.sha256, remark), seen
            sha256 = sha256_of_open(file, on_bytes)
            after = os.fstat(file.fileno())
    except (FileNotFoundError, NotADirectoryError):
        return Finding(path, State.ABSENT, None, "not downloaded"), None
    except OSError as error:
        return Finding(path, State.DAMAGED, None, f"cannot be read: {error.strerror}"), None
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        detail = "changed while it was read; run again"
        return Finding(path, State.DAMAGED, sha256, detail), None
    if after.st_mtime_ns > began - RACY_NS:  # too fresh to be told by its time, or a clock set back
        seen = None
    else:
        checked = datetime.fromtimestamp(began // 10**9, UTC).isoformat()
        seen = Seen(after.st_size, after.st_mtime_ns, sha256, checked)
    found = _judge(path, asset, after.st_size, sha256)
    if sums and found.state is State.FIRST_USE:
        wrong, remark = own_sums(path)
        if wrong:
            return Finding(path, State.DAMAGED, sha256, wrong), None
        found = replace(found, detail=f"{found.detail}; {remark}")
    return found, seen


def _judge(path: Path, asset: Asset, size: int, sha256: str, remark: str = "") -> Finding:
    """The finding for a file of this size and hash."""
    if wrong := _wrong_size(asset, size):
        return Finding(path, State.DAMAGED, sha256, wrong)
    expected = asset.sha256 or first_use(path)
    if expected is not None and sha256 != expected:
        detail = f"expected sha256 {expected[:12]}…, got {sha256[:12]}…"
        return Finding(path, State.DAMAGED, sha256, detail)
    if asset.sha256 is None:
        trust = f"sha256 {sha256[:12]}…"
        return Finding(path, State.FIRST_USE, sha256, "; ".join(filter(None, (trust, remark))))
    return Finding(path, State.VERIFIED, sha256, remark)


def _wrong_size(asset: Asset, size: int) -> str:
    return "" if asset.size in (None, size) else f"expected {asset.size} bytes, got {size}"
