"""Unpacks archives of strangers without letting them write, link or grow where they shouldn't.

Zips, and tars, gzipped or not. Every entry is judged, from the list of entries alone, before the
first byte is written; an archive with one bad entry is refused whole. Files are written by this
module, never by the archive's own rules: plain files and folders, no owners, modes, links or
devices. All go to a temporary folder that gets its final name at the end.
"""

import re
import stat
import tarfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO

from .errors import IntegrityError, SourceError, UsageError, wall
from .files import CHUNK, becoming, require_space
from .tars import GZIP, StrictTar

# What a zip may become. An asset of a GitHub release is under 2 GiB, and pictures hardly shrink, so
# an honest archive of visualisations stays far below all three.
MOST_ENTRIES = 100_000
MOST_BYTES = 8 << 30  # unpacked
# Bytes unpacked to bytes packed, of the zip and of each entry of more than SMALL bytes: deflate
# ends at 1032, text seldom passes 20.
MOST_GROWTH = 100
SMALL = 1 << 20
NAME_BYTES = 255  # what common file systems allow between two slashes
PATH_BYTES = 1000  # and in a path, with room for the folder that it lies in
MOST_FOLDERS = 32  # one in another; what makes and removes them may go from each to the next


@dataclass(frozen=True)
class Entry:
    """One file or folder in an archive.

    size, packed: bytes unpacked and in the zip. unsafe: why it must not be unpacked, None if it
    may.
    """

    name: str
    size: int
    packed: int
    is_folder: bool
    unsafe: str | None = None


@dataclass(frozen=True)
class Content:
    """What an archive holds, in its order. refused: why it will not be unpacked, if so."""

    entries: list[Entry]
    refused: str | None


def list_archive(path: Path) -> Content:
    """Say what a zip or a tar holds; nothing is written, and no more read than may be.

    Raises UsageError if it can't be opened, IntegrityError if it is no whole archive.
    """
    entries: list[Entry] = []
    total = 0
    with _members(path) as members:
        packed = path.stat().st_size
        for entry, _ in members:
            entries.append(entry)
            total += entry.size
            if len(entries) > MOST_ENTRIES or total > min(MOST_BYTES, SMALL + MOST_GROWTH * packed):
                break  # its end may be far
    entries = judged(entries)
    return Content(entries, why_refused(entries, packed))


def unpack(path: Path, to: Path, wanted: Callable[[str], bool] = lambda name: True) -> list[Path]:
    """Unpack a zip or a tar into the new folder `to`: all of it that is wanted, or nothing.

    wanted: told of the name of each entry; all of them are judged. Returns the files written.
    Raises IntegrityError for an archive that is damaged, beyond the limits, or has an unsafe entry;
    UsageError if `to` exists or the archive can't be opened; SourceError if the disk refuses.
    """
    if to.exists() or to.is_symlink():
        raise UsageError(f"{to}: exists already. Remove it, or name another folder with --to.")
    content = list_archive(path)
    if content.refused:
        raise IntegrityError(
            f"{path.name}: {content.refused}. Nothing was unpacked; get another copy."
        )
    needed = sum(entry.size for entry in content.entries if wanted(entry.name))
    try:
        to.parent.mkdir(parents=True, exist_ok=True)
        require_space(to.parent, needed, "unpack it where there is more")
        with becoming(to) as folder, _members(path) as members:
            folder.mkdir()
            for entry in content.entries:
                now, opened = next(members, (None, None))
                if now is None or opened is None or now.name != entry.name:
                    raise IntegrityError(f"{path.name}: changed while it was read. Run again.")
                if wanted(entry.name):
                    _write(opened, entry, folder)
    except OSError as error:
        raise SourceError(
            f"{path.name}: cannot be unpacked to {to}: {error.strerror}. Nothing was unpacked; "
            "name another folder with --to."
        ) from None
    files = [entry for entry in content.entries if not entry.is_folder and wanted(entry.name)]
    return [to / parts(entry.name) for entry in files]


def parts(name: str) -> PurePosixPath:
    """An entry's name as a path; Windows' separators count as such."""
    return PurePosixPath(name.replace("\\", "/"))


def why_unsafe(name: str) -> str | None:
    """Why a name must not become a path below a folder, such as in a tar too; None if it may."""
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
        f"has a path of more than {PATH_BYTES} bytes": len(name.encode(errors="replace"))
        > PATH_BYTES,
        f"lies more than {MOST_FOLDERS} folders deep": len(path.parts) > MOST_FOLDERS + 1,
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


def why_refused(entries: Sequence[Entry], packed: int) -> str | None:
    """The first reason not to unpack judged entries of a zip of so many bytes, None without one."""
    for entry in entries:
        if entry.unsafe:
            return f"entry {entry.name!r} {entry.unsafe}"
    total = sum(entry.size for entry in entries)
    trust = "; unpack it with another program if you trust it"
    if len(entries) > MOST_ENTRIES:
        return f"expected at most {MOST_ENTRIES:,} entries, got {len(entries):,}{trust}"
    if total > MOST_BYTES:
        return f"expected at most {MOST_BYTES:,} bytes unpacked, got {total:,}{trust}"
    for what, size, stored in [
        ("it", total, packed),
        *((repr(entry.name), entry.size, entry.packed) for entry in entries),
    ]:
        if size > SMALL and size > MOST_GROWTH * stored:
            got = f"got {stored:,} to {size:,} bytes{trust}"
            return f"expected {what} to grow at most {MOST_GROWTH} times, {got}"
    return None


@contextmanager
def open_zip(path: Path) -> Iterator[zipfile.ZipFile]:
    """A zip for the length of a block; all that its bytes can do wrong becomes one line.

    Raises UsageError if it can't be opened, IntegrityError if it is no whole zip.
    """
    with _opened(path, "zip") as file:
        try:
            with zipfile.ZipFile(file) as archive:
                yield archive
        except NotImplementedError as error:  # a compression that zipfile can't undo
            raise IntegrityError(
                f"{path.name}: cannot be read here: {error}. Unpack it with another tool."
            ) from None


@contextmanager
def _opened(path: Path, what: str) -> Iterator[IO[bytes]]:
    """An archive's bytes behind a wall. OSError passes it: a full disk is no damage."""
    with wall(UsageError, f"{path}: expected a {what}", ""):
        file = path.open("rb")
    expected = f"{path.name}: expected a whole {what}, but"
    with wall(IntegrityError, expected, "Download it again.", passing=(OSError,)), file:
        yield file


def is_tar(path: Path) -> bool:
    """Whether a file begins like a tar, or like something gzipped."""
    try:
        with path.open("rb") as file:
            start = file.read(512)
    except OSError:
        return False
    return start.startswith(GZIP) or start[257:262] == b"ustar"


@contextmanager
def _members(path: Path) -> Iterator[Iterator[tuple[Entry, Callable[[], IO[bytes] | None]]]]:
    """Each entry and what opens it, before the next is asked for; folders of tars have no bytes."""
    if not is_tar(path):
        with open_zip(path) as archive:
            yield ((_of_zip(it), partial(archive.open, it)) for it in archive.infolist())
        return
    from isal import igzip

    with _opened(path, "tar") as file:
        packed = file.read(2) == GZIP
        file.seek(0)
        try:
            with StrictTar(fileobj=igzip.IGzipFile(fileobj=file) if packed else file) as tar:
                yield ((_of_tar(it), partial(tar.extractfile, it)) for it in tar)
        except igzip.BadGzipFile as error:  # an OSError, but none of the disk
            raise ValueError(error) from None


def _of_zip(info: zipfile.ZipInfo) -> Entry:
    kind = stat.S_IFMT(info.external_attr >> 16)  # Unix writes the mode here
    unsafe = "is encrypted" if info.flag_bits & 1 else None
    if info.header_offset < 0:
        unsafe = "begins before the zip does"
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        unsafe = "is a link" if kind == stat.S_IFLNK else "is a device or a pipe"
    # orig_filename: zipfile ends a name at its first NUL, which would hide what follows
    name = info.orig_filename
    return Entry(name, info.file_size, info.compress_size, name.endswith(("/", "\\")), unsafe)


def _of_tar(member: tarfile.TarInfo) -> Entry:
    unsafe = None if member.isreg() or member.isdir() else "is a link or no plain file"
    # what isn't stored for itself weighs as much as its size: the whole is compared
    size = member.size if member.isreg() else 0
    return Entry(member.name, size, size, member.isdir(), unsafe)


def _write(opened: Callable[[], IO[bytes] | None], entry: Entry, folder: Path) -> None:
    path, source = folder / parts(entry.name), None if entry.is_folder else opened()
    (path.parent if source else path).mkdir(parents=True, exist_ok=True)
    if source is None:
        return
    written = 0
    with source, path.open("xb") as target:
        while written <= entry.size and (chunk := source.read(CHUNK)):
            written += target.write(chunk)
    if written != entry.size:
        raise EOFError(f"entry {entry.name!r} isn't {entry.size:,} bytes long")
