"""Reads a file's bytes in order through as many answers as it takes.

A broken connection is resumed where it broke, as long as the server's file is still the same. A
download's workers read their pieces so (see `transfer`), and whole archives of data that are never
stored.
"""

import random
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from itertools import chain

from ..errors import SourceError
from .http import Answer, ChangedError, TransientError
from .progress import tell
from .sources import Location, offline, opener

TRIES = 5  # in a row without one new byte
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 20.0  # seconds between tries, doubling
NEWS = 1.0  # seconds of waiting from which on a person is told of it


class LaterError(SourceError):
    """A source that is better asked again later. ready: when, in seconds of time.monotonic()."""

    def __init__(self, message: str, wait: float) -> None:
        super().__init__(message)
        self.ready = time.monotonic() + wait


@dataclass(frozen=True)
class Patience:
    """How long one source is waited for.

    longest: seconds that it may ask to wait. slowest: bytes a second below which it is left; 0: it
    never is. tell: says in a line what is waited for.
    """

    longest: float = 120.0
    slowest: float = 0.0
    tell: Callable[[str], object] = tell


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
    patience: Patience,
) -> Generator[bytes, None, None]:
    """The bytes of a piece, whose position follows what has been taken.

    ask: opens an answer that begins at the piece's position. wait: sleeps so many seconds; if it
    returns something true, that is the end. advice: what a person can do, for the error's line.
    Raises SourceError after TRIES answers in a row without one new byte, LaterError where the
    source asks for more patience, and what `ask` raises.
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
            if (asked := error.wait or 0.0) > patience.longest:
                when = f"{asked / 60:.0f} minutes" if asked > 100 else f"{asked:.0f} s"
                raise LaterError(
                    f"{location}: {error}, and to come back in {when}. Run the same command then, "
                    "or use another source.",
                    asked,
                ) from None
            backoff = min(FIRST_PAUSE * 2 ** (failures - 1), LONGEST_PAUSE)
            # the jitter keeps many clients of one server from coming back together
            jitter = random.uniform(0, backoff / 2)
            seconds = (backoff if error.wait is None else error.wait) + jitter
            if failures > 1 or seconds >= NEWS:
                count = f"try {failures + 1} of {TRIES} at {clock(seconds)}"
                patience.tell(f"{location}: {error}; waiting, {count}.")
            if wait(seconds):
                return


def clock(seconds: float) -> str:
    """The time of day in so many seconds, as this machine's clock shows it."""
    return time.strftime("%H:%M:%S", time.localtime(time.time() + seconds))


@contextmanager
def open_stream(location: Location) -> Iterator[tuple[int | None, Iterator[bytes]]]:
    """Read a source from its first byte to its last: its size, if it says it, and its chunks.

    Raises SourceError, here or while the chunks are read, if it can't be had, changed meanwhile, or
    broke off TRIES times without one new byte; UsageError for a URL that nothing here can open.
    """
    if location.is_remote and (reason := offline()):
        raise SourceError(
            f"{location}: is remote and {reason} is set. Unset it, or name a local file."
        )
    piece, seen = Piece(0, None), None

    @contextmanager
    def ask() -> Iterator[Answer]:
        """Go on at the first byte that hasn't been read; bytes of two files are never joined."""
        nonlocal seen
        start = piece.position
        try:
            with open_at(start, None, seen.validator if seen and start else None) as answer:
                seen = seen or answer
                if (answer.size, answer.validator) != (seen.size, seen.validator):
                    raise ChangedError("it has another size, date or ETag now")
                piece.stop = answer.size
                yield answer
        except ChangedError as error:
            raise SourceError(
                f"{location}: the connection broke after {start:,} bytes, and can't be resumed: "
                f"{error}. The file changed there, or the server sends it only whole. Run again, "
                "or fetch it with a download manager and name it."
            ) from None

    with opener(location, 1) as open_at:
        advice = "Check the network and run again, or fetch it with a download manager and name it."
        chunks = patiently(location, piece, ask, time.sleep, advice, Patience())
        first = next(chunks, b"")  # so that size and a refusal are known here
        yield piece.stop, chain([first], chunks)
