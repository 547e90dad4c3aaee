"""Unpacks archives from elsewhere without letting them write, link or grow where they shouldn't.

Every entry is judged, from the list of entries alone, before the first byte is written; an archive
with one bad entry is refused whole. Files are written by this module, never by the archive's own
rules: plain files and folders, no owners, modes, links or devices. All go to a temporary folder that
gets its final name at the end.
"""

import gzip
import io
import re
import shutil
import stat
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from lzma import LZMAError
from pathlib import Path, PurePosixPath
from typing import IO, Any, cast

from .errors import IntegrityError, MixzooError, SourceError, UsageError
from .files import CHUNK

DAMAGE = (
    EOFError,
    LZMAError,
    OverflowError,
    UnicodeDecodeError,
    gzip.BadGzipFile,
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
)
# What an archive may become. An asset of a GitHub release is under 2 GiB, and pictures hardly
# shrink, so an honest archive of visualisations stays far below all three.
MOST_ENTRIES = 100_000
MOST_BYTES = 8 << 30  # unpacked
# Bytes unpacked to bytes packed, of the archive and of each entry of more than SMALL bytes: deflate
# ends at 1032, text seldom passes 20.
MOST_GROWTH = 100
SMALL = 1 << 20
NAME_BYTES = 255  # what common file systems allow between two slashes
# Bytes that one header of a tar may be long, and the padding at its end: honest ones are far
# shorter, and tarfile would read whatever a header claims into memory.
TAR_HEADER = 1 << 24
BLOCK = 512  # bytes of a tar's unit; the end is marked by one of zeros


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


@dataclass(frozen=True)
class Content:
    """What an archive holds, in its order. refused: why it will not be unpacked, if so."""

    entries: list[Entry]
    refused: str | None


def list_archive(path: Path) -> Content:
    """Say what an archive holds; nothing is written. The list of a tar ends where it passes a limit.

    Raises UsageError if it can't be opened, IntegrityError if it is no whole zip or tar.
    """
    with _opened(path) as archive:
        return _content(path, archive)[0]


def unpack(path: Path, to: Path) -> list[Path]:
    """Unpack an archive into the new folder `to`: all of it, or nothing.

    Returns the files written. Raises IntegrityError for an archive that is damaged, beyond the
    limits, or has an unsafe entry; UsageError if `to` exists or the archive can't be opened;
    SourceError if the disk refuses.
    """
    if to.exists() or to.is_symlink():
        raise UsageError(f"{to}: exists already. Remove it, or name another folder with --to.")
    with _opened(path) as archive:
        content, members = _content(path, archive)
        if content.refused:
            raise IntegrityError(f"{path.name}: {content.refused}. Nothing was unpacked.")
        with _explained(path, to):
            to.parent.mkdir(parents=True, exist_ok=True)
            _require_room(path, to.parent, sum(entry.size for entry in content.entries))
            with _new_folder(to) as folder:
                for entry, member in zip(content.entries, members, strict=True):
                    _write(archive, entry, member, folder)
    return [to / parts(entry.name) for entry in content.entries if not entry.is_folder]


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


class _Zip:
    """A zip, read through its central directory."""

    def __init__(self, file: IO[bytes]) -> None:
        self._zip = zipfile.ZipFile(file)

    def entries(self) -> Iterator[tuple[Entry, zipfile.ZipInfo]]:
        for info in self._zip.infolist():
            # orig_filename: zipfile ends a name at its first NUL, which would hide what follows
            name = info.orig_filename
            is_folder = name.endswith(("/", "\\"))
            unsafe = _why_special_in_zip(info)
            yield Entry(name, info.file_size, info.compress_size, is_folder, unsafe), info

    def read(self, info: Any) -> IO[bytes]:
        return self._zip.open(info)


class _Tar:
    """A tar, read from its begin to its end."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = cast(IO[bytes], _Metered(file))
        self._tar = tarfile.open(fileobj=self._file, mode="r:")  # noqa: SIM115 (holds only `file`)

    def entries(self) -> Iterator[tuple[Entry, tarfile.TarInfo]]:
        """Stop behind the first entry over the limits, rather than read on in a bomb."""
        count = total = 0
        for info in self._tar:
            count, total = count + 1, total + info.size
            yield Entry(info.name, info.size, None, info.isdir(), _why_special_in_tar(info)), info
            if count > MOST_ENTRIES or total > MOST_BYTES:
                return
        self._require_end()

    def read(self, info: Any) -> IO[bytes]:
        return cast(IO[bytes], self._tar.extractfile(info))

    def _require_end(self) -> None:
        """Tell a whole tar from a cut one (tarfile doesn't), and let gzip compare its checksum."""
        self._file.seek(self._tar.offset)
        if self._file.read(BLOCK) != bytes(BLOCK):
            raise tarfile.ReadError("its end is missing, or an entry's header is damaged")
        if len(self._file.read(TAR_HEADER)) == TAR_HEADER:
            raise tarfile.ReadError("more data behind its end")


class _Metered(io.RawIOBase):
    """A stream that refuses absurd reads."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= TAR_HEADER:
            raise tarfile.ReadError(f"a header claims {size:,} bytes")
        return self._file.read(size)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()


def _why_special_in_zip(info: zipfile.ZipInfo) -> str | None:
    kind = stat.S_IFMT(info.external_attr >> 16)  # Unix writes the mode here
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "is a link" if kind == stat.S_IFLNK else "is a device or a pipe"
    return "is encrypted" if info.flag_bits & 1 else None


def _why_special_in_tar(info: tarfile.TarInfo) -> str | None:
    if info.issym() or info.islnk():
        return "is a link"
    if info.size < 0 or info.issparse():  # the size isn't that of the bytes in the archive
        return "is a sparse file"
    return None if info.isreg() or info.isdir() else "is a device or a pipe"


@contextmanager
def _opened(path: Path) -> Iterator[_Zip | _Tar]:
    """An archive by its content. Turns all that its bytes can do wrong into one line."""
    try:
        file = path.open("rb")
    except OSError as error:
        raise UsageError(f"{path}: expected a zip or tar archive: {error.strerror}.") from None
    try:
        with file:
            start = file.read(4)
            file.seek(0)
            if start.startswith(b"\x1f\x8b"):
                with gzip.GzipFile(fileobj=file) as unzipped:
                    yield _Tar(cast(IO[bytes], unzipped))
            elif start.startswith(b"PK") or path.suffix.lower() == ".zip":
                yield _Zip(file)
            else:
                yield _Tar(file)
    except NotImplementedError as error:  # a compression that zipfile can't undo
        raise IntegrityError(f"{path.name}: cannot be unpacked here: {error}.") from None
    except DAMAGE as error:
        why = str(error).rstrip(".") or type(error).__name__
        raise IntegrityError(
            f"{path.name}: expected a whole zip or tar archive, but: {why}. Nothing was unpacked; "
            "download it again."
        ) from None


def _content(path: Path, archive: _Zip | _Tar) -> tuple[Content, list[Any]]:
    found = list(archive.entries())
    entries = judged([entry for entry, _ in found])
    return Content(entries, why_refused(entries, path.stat().st_size)), [m for _, m in found]


def why_refused(entries: Sequence[Entry], packed: int) -> str | None:
    """The first reason not to unpack judged entries, None if there is none.

    packed: bytes of the archive file.
    """
    for entry in entries:
        if entry.unsafe:
            return f"entry {entry.name!r} {entry.unsafe}"
    total = sum(entry.size for entry in entries)
    trust = "; unpack it with another program if you trust it"
    if len(entries) > MOST_ENTRIES:
        return f"expected at most {MOST_ENTRIES:,} entries, got {len(entries):,} or more{trust}"
    if total > MOST_BYTES:
        return f"expected at most {MOST_BYTES:,} bytes unpacked, got {total:,} or more{trust}"
    sizes = [("it", total, packed)]
    sizes += [(repr(e.name), e.size, e.packed) for e in entries if e.packed is not None]
    for what, size, stored in sizes:
        if size > SMALL and size > MOST_GROWTH * stored:
            got = f"got {stored:,} to {size:,} bytes{trust}"
            return f"expected {what} to grow at most {MOST_GROWTH} times, {got}"
    return None


def _require_room(path: Path, folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise SourceError(
            f"{path.name}: expected {needed:,} bytes free in {folder}, got {free:,}. Make room, or "
            "name another folder with --to."
        )


def _write(archive: _Zip | _Tar, entry: Entry, member: Any, folder: Path) -> None:
    path = folder / parts(entry.name)
    if entry.is_folder:
        path.mkdir(parents=True, exist_ok=True)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    written = 0
    with archive.read(member) as source, path.open("xb") as target:
        while chunk := source.read(CHUNK):
            written += target.write(chunk)
            if written > entry.size:
                break
    if written != entry.size:
        raise EOFError(f"entry {entry.name!r} isn't {entry.size:,} bytes long")


@contextmanager
def _new_folder(to: Path) -> Iterator[Path]:
    """A temporary folder that takes the name `to` when the block ends well, and else is gone."""
    folder = Path(tempfile.mkdtemp(dir=to.parent, prefix=f".{to.name}.", suffix=".unpacking"))
    try:
        yield folder
        folder.chmod(0o755)  # mkdtemp's 0700 would hide it from colleagues
        folder.rename(to)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _explained(path: Path, to: Path) -> Iterator[None]:
    """Turn what the disk refuses into one line."""
    try:
        yield
    except (MixzooError, *DAMAGE):
        raise
    except OSError as error:
        raise SourceError(
            f"{path.name}: cannot be unpacked to {to}: {error.strerror}. Nothing was unpacked."
        ) from None
