"""Reads tars of images from elsewhere: strictly, and a .tar.gz once, hashed while it is inflated.

The standard library's `tarfile` reads every format that is written today, and walks as fast as code
that does nothing else, on a stream that can pass over bytes by itself (inflating included; see
benchmarks/extract.py). But it takes a damaged header for the end of a tar, so that is refused here.

The inflating is Intel's ISA-L (package `isal`): it is faster than zlib, gives up the GIL, reads
from any source and compares gzip's checksums. (rapidgzip would share one file among many cores, but
must seek, so it can't read a download that streams by.)
"""

import hashlib
import io
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from queue import SimpleQueue
from typing import Self, TypeVar

from .errors import IntegrityError
from .files import CHUNK, OnBytes
from .parallel import taken

LARGEST = 1 << 50  # bytes of a member; more can't be counted on all ways of reading
LONGEST_NAME = 1 << 20  # bytes that a header of names may be long; honest ones are far shorter
CHUNKS_BEHIND = 32  # that may wait for being hashed
SPARSE = "it holds a sparse file, which a tar of images never does"
_NAMES = (
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
)
GZIP = b"\x1f\x8b"  # begins what is gzipped
_M = TypeVar("_M", bound=tarfile.TarInfo)


class _Member(tarfile.TarInfo):
    """A header, whose damage is an error and no end; what no tar of images has is refused."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        """Read one block. Raises ReadError for what tarfile would read on from without a bound."""
        found = super().frombuf(buf, encoding, errors)
        if found.type in _NAMES and found.size > LONGEST_NAME:
            raise tarfile.ReadError(f"a header claims a name of {found.size:,} bytes")
        return _sound(found)

    @classmethod
    def fromtarfile(cls, tar: tarfile.TarFile) -> Self:  # type: ignore[override]
        """Read one member with all its headers. Raises ReadError for what isn't one."""
        try:
            return _sound(super().fromtarfile(tar))
        except tarfile.EOFHeaderError:  # type: ignore[attr-defined]
            raise
        except tarfile.EmptyHeaderError:  # type: ignore[attr-defined]
            raise tarfile.ReadError("it ends without the mark of its end") from None
        except RecursionError:  # one header may announce the next, without end
            raise tarfile.ReadError("a member has more headers than any honest one") from None
        except (tarfile.HeaderError, ArithmeticError, LookupError, TypeError, ValueError):
            raise tarfile.ReadError("a member's header is damaged") from None

    def _proc_gnusparse_10(self, *_: object) -> None:
        """Keep tarfile from reading the map of a pax sparse file, of whatever length."""
        raise tarfile.ReadError(SPARSE)


def _sound(member: _M) -> _M:
    if not 0 <= member.size < LARGEST:
        size = "a negative size" if member.size < 0 else f"{member.size:,} bytes"
        raise tarfile.ReadError(f"a member claims {size}")
    if member.issparse() or member.type == tarfile.GNUTYPE_SPARSE:
        raise tarfile.ReadError(SPARSE)
    return member


class StrictTar(tarfile.TarFile):
    """A tar that is walked once, forward. Raises tarfile.TarError where it isn't a whole one."""

    tarinfo = _Member
    encoding, errors = "utf-8", "surrogateescape"

    def __iter__(self) -> Iterator[tarfile.TarInfo]:
        while (member := self.next()) is not None:
            self.members.clear()  # type: ignore[attr-defined]  # tarfile would keep them all
            yield member
        while self.fileobj.read(CHUNK):  # type: ignore[union-attr]
            pass  # to the stream's own end, where gzip compares its checksum

    def body(self, member: tarfile.TarInfo) -> bytes:
        """The content of the file that the walk stands at."""
        content = self.extractfile(member)
        assert content is not None
        return content.read()


class HashedReader(io.RawIOBase):
    """The bytes of chunks as a file, hashed in a thread of their own. To be used by `with`."""

    def __init__(self, chunks: Iterator[bytes], on_bytes: OnBytes) -> None:
        """on_bytes: told how many more bytes have been read."""
        super().__init__()
        self.received = 0
        self._chunks, self._on_bytes = chunks, on_bytes
        self._digest = hashlib.md5(usedforsecurity=False)
        self._todo: SimpleQueue[bytes | None] = SimpleQueue()
        self._done: SimpleQueue[None] = SimpleQueue()
        self._behind = 0
        self._rest = memoryview(b"")
        self._thread = threading.Thread(target=self._hash, daemon=True)
        self._thread.start()

    def _hash(self) -> None:
        for chunk in iter(self._todo.get, None):
            self._digest.update(chunk)
            self._done.put(None)

    def readable(self) -> bool:
        """Always."""
        return True

    def seekable(self) -> bool:
        """Said so that what is inflated may pass over bytes, as tarfile does, forward alone."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Fill a buffer with what is here, at least one byte; 0 at the end."""
        view = memoryview(buffer)
        count = min(len(view), len(self.peek()))
        view[:count], self._rest = self._rest[:count], self._rest[count:]
        return count

    def peek(self, count: int = 1) -> memoryview:
        """What comes next, without taking it: `count` bytes or more, fewer only at the end."""
        while len(self._rest) < count and (chunk := next(self._chunks, b"")):
            self._todo.put(chunk)
            self._behind += 1
            self._catch_up(CHUNKS_BEHIND)
            self.received += len(chunk)
            self._on_bytes(len(chunk))
            self._rest = memoryview(bytes(self._rest) + chunk if self._rest else chunk)
        return self._rest

    def md5(self) -> str:
        """Hex md5 of all bytes of the source; what hasn't been read yet is read now."""
        while self.peek():
            self._rest = memoryview(b"")
        self._catch_up(0)
        return self._digest.hexdigest()

    def _catch_up(self, most: int) -> None:
        while self._behind > most:
            taken(self._done)
            self._behind -= 1

    def close(self) -> None:
        """Let the thread go."""
        self._todo.put(None)
        super().close()


@contextmanager
def open_tar_gz(reader: HashedReader, name: str) -> Iterator[StrictTar]:
    """Walk the members of a .tar.gz.

    name: for messages. Raises IntegrityError, also inside the block, for bytes that are no whole
    gzip or no whole tar.
    """
    from isal import igzip, isal_zlib

    start = bytes(reader.peek(512)[:512]).lstrip()
    if not start.startswith(GZIP):
        kind = "a web page (HTML)" if start.startswith(b"<") else f"bytes that begin {start[:8]!r}"
        kind = kind if start else "an empty file"
        raise IntegrityError(f"{name}: expected a .tar.gz, got {kind}. Download it again.")
    try:
        with (
            igzip.IGzipFile(fileobj=reader, mode="rb") as unzipped,
            StrictTar(fileobj=unzipped) as tar,
        ):
            yield tar
    # isal's stubs take its exception class for an exception
    except (EOFError, igzip.BadGzipFile, isal_zlib.IsalError, tarfile.TarError) as error:  # type: ignore[misc]
        why = str(error).rstrip(".") or type(error).__name__
        raise IntegrityError(
            f"{name}: expected a whole .tar.gz, but after {reader.received:,} of its bytes: {why}. "
            "Download it again."
        ) from None
