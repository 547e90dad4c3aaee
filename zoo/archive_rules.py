"""Decides whether an archive may be unpacked, from its list of entries alone."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

NAME_BYTES = 255  # what common file systems allow between two slashes
SMALL = 1 << 20  # bytes; below it, no ratio does harm


@dataclass(frozen=True)
class Limits:
    """What an archive may become.

    An asset of a GitHub release is under 2 GiB, and pictures hardly shrink, so an honest archive
    of visualisations stays far below all three.

    files: entries. size: bytes unpacked. ratio: bytes unpacked to bytes packed, of the archive and
    of each entry of more than 1 MiB (deflate ends at 1032, text seldom passes 20).
    """

    files: int = 100_000
    size: int = 8 << 30
    ratio: float = 100.0


@dataclass(frozen=True)
class Entry:
    """One file or folder in an archive.

    size: bytes unpacked. packed: bytes in the archive, None where it is packed as one stream.
    unsafe: why it must not be unpacked, None if it may.
    """

    name: str
    size: int
    packed: int | None
    is_folder: bool
    unsafe: str | None = None


def parts(name: str) -> PurePosixPath:
    """An entry's name as a path; Windows' separators count as such."""
    return PurePosixPath(name.replace("\\", "/"))


def why_unsafe(name: str) -> str | None:
    """Why a name must not become a path below the target folder; None if it may."""
    path = parts(name)
    codes = [ord(character) for character in name]
    faults = {
        "has control characters in its name": any(c < 32 or 127 <= c < 160 for c in codes),
        "has a name that isn't UTF-8": any(0xD800 <= c < 0xE000 for c in codes),
        "has an absolute path": path.is_absolute(),
        "leads out of the folder with '..'": ".." in path.parts,
        "has a drive letter": any(re.match("[A-Za-z]:", part) for part in path.parts),
        f"has a name of more than {NAME_BYTES} bytes": any(
            len(part.encode(errors="replace")) > NAME_BYTES for part in path.parts
        ),
    }
    return next((fault for fault, true in faults.items() if true), None)


def judged(entries: Sequence[Entry]) -> list[Entry]:
    """Mark unsafe entries, also those that would overwrite another or stand below a file."""
    files: set[PurePosixPath] = set()
    folders: set[PurePosixPath] = set()
    marked = []
    for entry in entries:
        path = parts(entry.name)
        above = set(path.parents)
        unsafe = entry.unsafe or why_unsafe(entry.name)
        if not entry.is_folder and not path.parts:
            unsafe = unsafe or "has no name"
        if path in files or above & files or (path in folders and not entry.is_folder):
            unsafe = unsafe or "stands twice"
        marked.append(replace(entry, unsafe=unsafe))
        folders |= {*above, path} if entry.is_folder else above
        files |= set() if entry.is_folder else {path}
    return marked


def why_refused(entries: Sequence[Entry], packed: int, limits: Limits) -> str | None:
    """The first reason not to unpack these entries, None if there is none.

    entries: as `judged` gives them. packed: bytes of the archive file.
    """
    for entry in entries:
        if entry.unsafe:
            return f"entry {entry.name!r} {entry.unsafe}"
    allow = "; if you trust it, raise the limit with"
    total = sum(entry.size for entry in entries)
    if len(entries) > limits.files:
        got = f"got {len(entries):,} or more{allow} --max-files"
        return f"expected at most {limits.files:,} entries, {got}"
    if total > limits.size:
        got = f"got {total:,} or more{allow} --max-size"
        return f"expected at most {limits.size:,} bytes unpacked, {got}"
    sizes = [("it", total, packed)]
    sizes += [(repr(e.name), e.size, e.packed) for e in entries if e.packed is not None]
    for what, size, stored in sizes:
        if size > SMALL and size > limits.ratio * stored:
            got = f"got {stored:,} to {size:,} bytes{allow} --max-ratio"
            return f"expected {what} to grow at most {limits.ratio:g} times, {got}"
    return None
