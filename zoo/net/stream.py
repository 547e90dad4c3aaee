"""Opens an archive as one stream of bytes from a local path, a web address or any fsspec URL.

A broken connection is resumed where it broke, as long as the server's file is still the same; a
reader sees one stream without a seam.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import SourceError, UsageError
from .http import Answer, ChangedError, TransientError, shown
from .sources import Location, Opener, offline, opener
from .transfer import TRIES, pause

FSSPEC_BLOCK = 8 << 20  # bytes an object store is asked for at once


@dataclass(frozen=True)
class ByteStream:
    """size: in bytes, None if the source doesn't say. chunks: all bytes, in order."""

    size: int | None
    chunks: Iterator[bytes]


def parse_source(text: str) -> Location:
    """A path or URL as typed. `file://` is left to fsspec, `~` is the home folder."""
    return Location(text if "://" in text else Path(text).expanduser())


def sibling(location: Location, name: str) -> Location:
    """The file of another name in the folder of this one."""
    if isinstance(location.address, Path):
        return Location(location.address.with_name(name))
    address, _, query = location.address.partition("?")
    return Location(f"{address.rpartition('/')[0]}/{name}{'?' if query else ''}{query}")


@contextmanager
def open_stream(location: Location) -> Iterator[ByteStream]:
    """Read a source from its first byte to its last.

    Raises SourceError, here or while the chunks are read, if it can't be had, changed meanwhile, or
    broke off TRIES times without one new byte; UsageError for a URL that nothing here can open.
    """
    address = location.address
    if location.is_remote and (reason := offline()):
        raise SourceError(
            f"{location}: is remote and {reason} is set. Unset it, or name a local file."
        )
    if isinstance(address, str) and not address.startswith(("http://", "https://")):
        with _fsspec(address) as stream:
            yield stream
        return
    with opener(location, 1) as open_at:
        transfer = _Resumed(location, open_at)
        chunks = transfer.chunks()
        first = next(chunks, b"")  # so that size and a refusal are known here

        def joined() -> Iterator[bytes]:
            yield first
            yield from chunks

        yield ByteStream(transfer.size, joined())


class _Resumed:
    """One file through as many answers as it takes."""

    def __init__(self, location: Location, open_at: Opener) -> None:
        self.location, self.open_at = location, open_at
        self.position = 0
        self.size: int | None = None
        self.validator: str | None = None
        self.met = False
        self.ranges = True

    def chunks(self) -> Iterator[bytes]:
        failures, before = 0, 0
        while True:
            try:
                yield from self._once()
                return
            except (
                ChangedError
            ):  # by If-Range, or since the server knows no ranges: both begin anew
                if not self.ranges:
                    raise self._changed() from None
                self.ranges = False
            except TransientError as error:
                failures = 1 if self.position > before else failures + 1
                before = self.position
                if failures == TRIES:
                    raise SourceError(
                        f"{self.location}: {error}; gave up after {TRIES} tries. Check the network "
                        "and run again, or fetch the file with a download manager and name it."
                    ) from None
                time.sleep(pause(failures, error.wait))

    def _once(self) -> Iterator[bytes]:
        start = self.position if self.ranges else 0
        with self.open_at(start, None, self.validator if start else None) as answer:
            self._meet(answer)
            skip = self.position - answer.start
            for chunk in answer.chunks:
                fresh = chunk[skip:] if skip else chunk
                skip = max(0, skip - len(chunk))
                if fresh:
                    self.position += len(fresh)
                    yield fresh
        if self.size is not None and self.position < self.size:
            raise TransientError(f"the answer ended after {self.position} of {self.size} bytes")

    def _meet(self, answer: Answer) -> None:
        """Refuse to join bytes of two files: size and validator must stay what they were."""
        if self.met and (answer.size, answer.validator) != (self.size, self.validator):
            raise self._changed()
        if self.position and not self.ranges and answer.validator is None:
            raise SourceError(
                f"{self.location}: the connection broke, and the server can't go on in the middle. "
                "Fetch the file with a download manager and name it."
            )
        self.met, self.size, self.validator = True, answer.size, answer.validator

    def _changed(self) -> SourceError:
        return SourceError(
            f"{self.location}: the file changed on the server while it was read. Run again."
        )


@contextmanager
def _fsspec(address: str) -> Iterator[ByteStream]:
    import fsspec

    scheme = address.partition("://")[0]
    try:
        system, path = fsspec.core.url_to_fs(address)
        size = system.size(path)
        file = system.open(path, "rb", block_size=FSSPEC_BLOCK)
    except ImportError as error:
        raise UsageError(f"{shown(address)}: {error} (for {scheme}:// addresses).") from None
    except ValueError as error:
        raise UsageError(f"{shown(address)}: expected a path or URL; {error}.") from None
    except OSError as error:
        raise SourceError(f"{shown(address)}: {_reason(error)}. Check the address.") from None
    with file:
        yield ByteStream(size, _fsspec_chunks(address, system, path, file, size))


def _fsspec_chunks(
    address: str, system: Any, path: str, file: Any, size: int | None
) -> Iterator[bytes]:
    """Read on; a file that fails is opened again where it failed. fsspec retries, but not for ever."""
    position, failures = 0, 0
    with_file = file
    while True:
        try:
            if with_file is None:
                with_file = system.open(path, "rb", block_size=FSSPEC_BLOCK)
                with_file.seek(position)
            while chunk := with_file.read(1 << 20):
                position, failures = position + len(chunk), 0
                yield chunk
            if size is None or position >= size:
                return
            raise OSError(f"it ended after {position} of {size} bytes")
        except OSError as error:
            failures += 1
            if failures == TRIES:
                raise SourceError(
                    f"{shown(address)}: {_reason(error)}; gave up after {TRIES} tries. Run again."
                ) from None
            with_file = None
            time.sleep(pause(failures, None))


def _reason(error: OSError) -> str:
    return error.strerror or " ".join(str(error).split()) or type(error).__name__
