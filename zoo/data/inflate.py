"""Reads a .tar.gz once: hashed in one thread, inflated in another.

The inflating is Intel's ISA-L (package `isal`): it is faster than zlib, gives up
the GIL, reads from any source and compares gzip's checksums. (rapidgzip would share
one file among many cores, but must seek, so it can't read a download that streams by; see
benchmarks/extract.py for both.)
"""

import hashlib
import io
import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ..errors import IntegrityError
from .tar_headers import TarError, TarWalk

CHUNKS_AHEAD = 32  # chunks that wait between the two threads
BUFFER = 1 << 20  # bytes inflated at once


class HashedReader(io.RawIOBase):
    """The bytes of chunks as a file, fetched and hashed ahead in a thread of its own.

    An exception of the source comes out of the read that would have had its bytes. Close it, or use
    `with`: an abandoned one would leave its thread waiting.
    """

    def __init__(self, chunks: Iterator[bytes], on_bytes: Callable[[int], object]) -> None:
        """on_bytes: told, in the reading thread, how many more bytes have been read."""
        super().__init__()
        self.received = 0
        self._chunks, self._on_bytes = chunks, on_bytes
        self._digest = hashlib.md5(usedforsecurity=False)
        self._queue: queue.Queue[bytes | BaseException | None] = queue.Queue(CHUNKS_AHEAD)
        self._rest = memoryview(b"")
        self._ended = False
        self._halt = threading.Event()
        self._thread = threading.Thread(target=self._fetch, daemon=True)
        self._thread.start()

    def readable(self) -> bool:
        """Always."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Fill a buffer with what is here, at least one byte; 0 at the end."""
        view = memoryview(buffer)
        count = min(len(view), len(self.peek()))
        view[:count], self._rest = self._rest[:count], self._rest[count:]
        return count

    def peek(self, count: int = 1) -> memoryview:
        """What comes next, without taking it: `count` bytes or more, fewer only at the end."""
        while len(self._rest) < count and not self._ended:
            item = self._queue.get()
            if isinstance(item, BaseException):
                self._ended = True
                raise item
            if item is None:
                self._ended = True
            else:
                self.received += len(item)
                self._on_bytes(len(item))
                self._rest = memoryview(bytes(self._rest) + item if self._rest else item)
        return self._rest

    def md5(self) -> str:
        """Hex md5 of all bytes of the source; what hasn't been read yet is read now."""
        while self.peek():
            self._rest = memoryview(b"")
        self._thread.join()
        return self._digest.hexdigest()

    def close(self) -> None:
        """Stop the thread; it ends at its next chunk."""
        self._halt.set()
        with self._queue.mutex:
            self._queue.queue.clear()
            self._queue.not_full.notify_all()
        self._thread.join(timeout=2.0)  # one that still waits for a server changes nothing any more
        super().close()

    def _fetch(self) -> None:
        last: BaseException | None = None
        try:
            for chunk in self._chunks:
                if self._halt.is_set():
                    return
                self._queue.put(chunk)
                self._digest.update(chunk)
        except BaseException as error:  # raised again by the reading thread
            last = error
        if not self._halt.is_set():
            self._queue.put(last)


@contextmanager
def open_tar_gz(reader: HashedReader, name: str) -> Iterator[TarWalk]:
    """Walk the members of a .tar.gz.

    name: for messages. Raises IntegrityError, also inside the block, for bytes that are no whole
    gzip or no whole tar.
    """
    from isal import igzip, isal_zlib

    start = bytes(reader.peek(512)[:512]).lstrip()
    if not start.startswith(b"\x1f\x8b"):
        kind = "a web page (HTML)" if start.startswith(b"<") else f"bytes that begin {start[:8]!r}"
        kind = kind if start else "an empty file"
        raise IntegrityError(f"{name}: expected a .tar.gz, got {kind}. Download it again.")
    try:
        with igzip.IGzipFile(fileobj=reader, mode="rb") as unzipped:
            yield TarWalk(io.BufferedReader(unzipped, BUFFER))  # type: ignore[arg-type]
    # isal's stubs take its exception class for an exception
    except (EOFError, igzip.BadGzipFile, isal_zlib.IsalError, TarError) as error:  # type: ignore[misc]
        why = str(error).rstrip(".") or type(error).__name__
        raise IntegrityError(
            f"{name}: expected a whole .tar.gz, but after {reader.received:,} of its bytes: {why}. "
            "Download it again."
        ) from None
