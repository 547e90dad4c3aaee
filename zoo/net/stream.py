"""Reads a file's bytes in order through as many answers as it takes.

A broken connection is resumed where it broke, as long as the server's file is still the same. A
download's workers read their pieces so (see `transfer`), and whole archives of data that are never
stored.
"""

import random
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace

from ..errors import SourceError
from .http import Answer, ChangedError, TransientError
from .sources import Location, Opener, offline, opener

TRIES = 5  # in a row without one new byte
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 20.0  # seconds between tries, doubling


@dataclass
class Piece:
    """A range of a file. position: the next byte to read. stop: None while unknown."""

    position: int
    stop: int | None


def patiently(
    location: Location,
    piece: Piece,
    ask: Callable[[], AbstractContextManager[Answer]],
    wait: Callable[[float], object],
    advice: str,
) -> Generator[bytes, None, None]:
    """The bytes of a piece, whose position follows what has been taken.

    ask: opens an answer that begins at the piece's position. wait: sleeps so many seconds; if it
    returns something true, that is the end. advice: what a person can do, for the error's line.
    Raises SourceError after TRIES answers in a row without one new byte, and what `ask` raises.
    """
    failures = 0
    while True:
        before = piece.position
        try:
            with ask() as answer:
                while piece.position != piece.stop and (chunk := next(answer.chunks, b"")):
                    chunk = chunk if piece.stop is None else chunk[: piece.stop - piece.position]
                    yield chunk
                    piece.position += len(chunk)
            if piece.stop in (None, piece.position):
                return
            raise TransientError(f"the answer ended after {piece.position} bytes")
        except TransientError as error:
            failures = 1 if piece.position > before else failures + 1
            if failures == TRIES:
                raise SourceError(
                    f"{location}: {error}; gave up after {TRIES} tries. {advice}"
                ) from None
            if wait(pause(failures, error.wait)):
                return


def pause(failures: int, asked: float | None) -> float:
    """Seconds to wait after so many failures in a row: what the server asked, or backoff, jittered.

    The jitter keeps many clients of one server from coming back together.
    """
    backoff = min(FIRST_PAUSE * 2 ** (failures - 1), LONGEST_PAUSE)
    return (backoff if asked is None else asked) + random.uniform(0, backoff / 2)


@dataclass(frozen=True)
class ByteStream:
    """size: in bytes, None if the source doesn't say. chunks: all bytes, in order."""

    size: int | None
    chunks: Iterator[bytes]


@contextmanager
def open_stream(location: Location) -> Iterator[ByteStream]:
    """Read a source from its first byte to its last.

    Raises SourceError, here or while the chunks are read, if it can't be had, changed meanwhile, or
    broke off TRIES times without one new byte; UsageError for a URL that nothing here can open.
    """
    if location.is_remote and (reason := offline()):
        raise SourceError(
            f"{location}: is remote and {reason} is set. Unset it, or name a local file."
        )
    with opener(location, 1) as open_at:
        whole = _Whole(location, open_at)
        chunks = whole.chunks()
        first = next(chunks, b"")  # so that size and a refusal are known here

        def joined() -> Iterator[bytes]:
            yield first
            yield from chunks

        yield ByteStream(whole.piece.stop, joined())


class _Whole:
    """One file from begin to end. Where a server knows no ranges, what is known is read again."""

    def __init__(self, location: Location, open_at: Opener) -> None:
        self.location, self.open_at = location, open_at
        self.piece = Piece(0, None)
        self.seen: Answer | None = None
        self.ranges = True

    def chunks(self) -> Iterator[bytes]:
        advice = "Check the network and run again, or fetch it with a download manager and name it."
        while True:
            try:
                yield from patiently(self.location, self.piece, self._ask, time.sleep, advice)
                return
            except ChangedError:  # by If-Range, or since the server knows no ranges
                if not self.ranges:
                    raise self._changed() from None
                self.ranges = False

    @contextmanager
    def _ask(self) -> Iterator[Answer]:
        start = self.piece.position if self.ranges else 0
        validator = self.seen.validator if self.seen and start else None
        with self.open_at(start, None, validator) as answer:
            self._meet(answer)
            yield replace(answer, chunks=_without(answer.chunks, self.piece.position - start))

    def _meet(self, answer: Answer) -> None:
        """Refuse to join bytes of two files: size and validator must stay what they were."""
        seen = self.seen or answer
        if (answer.size, answer.validator) != (seen.size, seen.validator):
            raise self._changed()
        if self.piece.position and not self.ranges and answer.validator is None:
            raise SourceError(
                f"{self.location}: the connection broke, and the server can't go on in the middle. "
                "Fetch the file with a download manager and name it."
            )
        self.seen, self.piece.stop = seen, answer.size

    def _changed(self) -> SourceError:
        return SourceError(
            f"{self.location}: the file changed on the server while it was read. Run again."
        )


def _without(chunks: Iterator[bytes], skip: int) -> Iterator[bytes]:
    """Chunks without the first `skip` bytes."""
    for chunk in chunks:
        if fresh := chunk[skip:]:
            yield fresh
        skip = max(0, skip - len(chunk))
