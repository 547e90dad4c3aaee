"""Fills a part file from one source: several ranges at once, patient with a bad line.

Workers fetch and write; the calling thread hashes behind them, in order, what has arrived without
a gap. So the hash is known moments after the last byte, and nothing is read again from the disk.
"""

import hashlib
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from typing import BinaryIO

from ..errors import IntegrityError, SourceError
from ..files import require_space
from ..lock import Asset
from .http import Answer, ChangedError
from .partial import Partial
from .sources import Location, Opener, opener
from .stream import LaterError, Patience, Piece, patiently

BLOCK = 1 << 20  # bytes hashed at once
PIECE = 8 << 20  # bytes; a smaller range isn't worth a request of its own
ROUNDS = 4  # pieces per connection, so that a slow one doesn't decide the end
RESTARTS = 3  # from zero, where a server can't go on with what is here
SAVE_EVERY = 2.0  # seconds of download that a crash may cost
WINDOW = 30.0  # seconds over which a source's speed is looked at
CRAWL = 4096.0  # bytes a second below which a person is told


def transfer(
    asset: Asset,
    location: Location,
    partial: Partial,
    connections: int,
    cancelled: threading.Event,
    report: Callable[[int], object],
    patience: Patience,
) -> str:
    """Complete a part file from one location and return the sha256 of all its bytes.

    connections: how many ranges at once, if the source can. cancelled: set by another thread that
    wants an end. report: told how many bytes are here, in the calling thread.
    patience: with the source. Raises SourceError if it can't deliver or it was cancelled (what has
    arrived stays), LaterError if it asks to wait longer, or is slower, than patience has it,
    IntegrityError if it offers another size than the locked one, and OSError of the disk.
    """
    reason = ""
    for attempt in range(RESTARTS + 1):
        partial.adopt(str(location), asset.size, hash_known=asset.sha256 is not None)
        with opener(location, connections) as open_at:
            # Whoever had to start over isn't offered to be asked for ranges again.
            crew = _Crew(asset, location, partial, open_at, 1 if attempt else connections, patience)
            try:
                return crew.run(cancelled, report)
            except ChangedError as why:
                partial.reset()
                reason = str(why)
    raise SourceError(
        f"{location}: {reason}, {RESTARTS + 1} times. Try again later, or another source."
    )


def split(gaps: list[tuple[int, int]], connections: int) -> list[Piece]:
    """Cut gaps into pieces for so many connections; for one they stay as they are."""
    if connections == 1:
        return [Piece(*gap) for gap in gaps]
    total = sum(stop - start for start, stop in gaps)
    length = max(PIECE, -(-total // (connections * ROUNDS)))
    return [
        Piece(position, min(position + length, stop))
        for start, stop in gaps
        for position in range(start, stop, length)
    ]


class _Crew:
    """The workers of one attempt, and the hash that follows them."""

    def __init__(
        self,
        asset: Asset,
        location: Location,
        partial: Partial,
        open_at: Opener,
        connections: int,
        patience: Patience,
    ) -> None:
        self.patience, self.slow = patience, False
        self.asset, self.location, self.partial = asset, location, partial
        self.open_at, self.connections = open_at, connections
        self.pieces = deque(Piece(*gap) for gap in partial.missing()[:1])
        self.met = False  # whether the source has answered, so that the rest could be split
        self.threads: list[threading.Thread] = []
        self.busy = 0
        self.answers: set[Answer] = set()
        self.halt = threading.Event()
        self.error: Exception | None = None

    def run(self, cancelled: threading.Event, report: Callable[[int], object]) -> str:
        """Let the workers fetch, hash behind them, and leave a state to go on from."""
        try:
            self.partial.begin()
            self._start()
            return self._hash_behind(cancelled, report)
        finally:
            self._stop()
            with suppress(OSError):  # on a full disk the note before this one still holds
                self.partial.save() if self.partial.received else self.partial.reset()

    def _hash_behind(self, cancelled: threading.Event, report: Callable[[int], object]) -> str:
        digest, hashed, saved = hashlib.sha256(), 0, time.monotonic()
        seen, since = self.partial.received, saved
        # unbuffered: reading ahead would take the holes after the frontier for the file
        with self.partial.open("rb") as file:
            while True:
                ended = self._wait_beyond(hashed)
                if cancelled.is_set():
                    raise SourceError(
                        f"{self.asset.name}: stopped; the same command goes on from here."
                    )
                if self.error:
                    raise self.error
                block = file.read(min(BLOCK, self.partial.frontier - hashed))
                digest.update(block)
                hashed += len(block)
                report(self.partial.received)
                if ended and hashed == self.partial.frontier:
                    return digest.hexdigest()
                now = time.monotonic()
                if now - saved > SAVE_EVERY:
                    self.partial.save()
                    saved = now
                if now - since > WINDOW and not ended:
                    self._judge_speed((self.partial.received - seen) / (now - since))
                    seen, since = self.partial.received, now

    def _judge_speed(self, speed: float) -> None:
        """Leave a source that is too slow for our patience; tell once of one that crawls."""
        said = f"{self.location}: crawls, {speed:,.0f} bytes a second"
        if speed < self.patience.slowest:
            raise LaterError(f"{said}. Try again later, or another source.", 0.0)
        if 0 < speed < CRAWL and not self.slow:  # of a silent one, the tries are told
            self.patience.tell(f"{said}; whatever has arrived is kept if you stop it.")
        self.slow = speed < CRAWL

    def _wait_beyond(self, position: int) -> bool:
        """Wait a little for bytes after `position`; True if no more will come than are here."""
        changed = self.partial.changed
        with changed:
            changed.wait_for(lambda: self.partial.frontier > position or not self.busy, timeout=0.2)
            return not self.busy

    def _start(self) -> None:
        with self.partial.changed:
            self.busy += 1
        self.threads.append(threading.Thread(target=self._work, daemon=True))
        self.threads[-1].start()

    def _stop(self) -> None:
        self.halt.set()
        for answer in list(self.answers):
            with suppress(ValueError, RuntimeError, OSError):  # already at its end
                answer.stop()
        deadline = time.monotonic() + 2.0
        for thread in self.threads:  # one that still waits for a server changes nothing any more
            thread.join(max(0.0, deadline - time.monotonic()))

    def _work(self) -> None:
        try:
            with self.partial.open("r+b") as file:
                while self.pieces and not self.halt.is_set():
                    with suppress(IndexError):  # another worker was faster
                        self._fetch(self.pieces.popleft(), file)
        except Exception as error:  # raised again by the calling thread
            self.error = self.error or error
            self.halt.set()
        finally:
            with self.partial.changed:
                self.busy -= 1
                self.partial.changed.notify_all()

    def _fetch(self, piece: Piece, file: BinaryIO) -> None:
        advice = "Check the network; the same command goes on where this one stopped."
        read = patiently(
            self.location, piece, lambda: self._ask(piece), self.halt.wait, advice, self.patience
        )
        with closing(read) as chunks:
            for chunk in chunks:
                if self.halt.is_set():
                    return
                file.seek(piece.position)
                left = memoryview(chunk)
                while left:  # unbuffered: on the disk's side before it is claimed
                    left = left[file.write(left) :]
                self.partial.add(piece.position, piece.position + len(chunk))
        if piece.stop is None and not self.halt.is_set():
            self.partial.size = piece.stop = piece.position

    @contextmanager
    def _ask(self, piece: Piece) -> Iterator[Answer]:
        stop = None if piece.stop == self.partial.size else piece.stop
        validator = self.partial.validator
        if piece.position and validator is None and self.asset.sha256 is None:
            raise ChangedError("nothing tells whether the rest is of the same file")
        with self.open_at(piece.position, stop, validator) as answer:
            self.answers.add(answer)
            try:
                self._meet(answer, piece)
                self.partial.mixed |= piece.position > 0 and validator is None
                yield answer
            finally:
                self.answers.discard(answer)

    def _meet(self, answer: Answer, piece: Piece) -> None:
        """Hold an answer against what is known of the file; the first one lets others start."""
        partial = self.partial
        with partial.changed:
            if self.halt.is_set():
                return
            self._require_same(answer)
            partial.size = answer.size if answer.size is not None else partial.size
            partial.validator = answer.validator or partial.validator
            if self.met:
                return
            self.met = True
            left = (partial.size or 0) - partial.received
            require_space(partial.part.parent, left, "name another folder in MIXZOO_CACHE")
            gaps = [(start, stop) for start, stop in partial.missing() if stop is not None]
            if gaps:
                able = answer.ranges and (answer.validator or self.asset.sha256)
                first, *others = split(gaps, self.connections if able else 1)
                piece.stop = first.stop
                self.pieces.extend(others)
            for _ in range(min(self.connections - 1, len(self.pieces))):
                self._start()

    def _require_same(self, answer: Answer) -> None:
        partial, locked = self.partial, self.asset.size
        if answer.size is not None and locked not in (None, answer.size):
            raise IntegrityError(
                f"{self.asset.name} from {self.location}: expected {locked} bytes, got an offer of "
                f"{answer.size}. Use another source."
            )
        if answer.size is None and partial.size is None and self.asset.sha256 is None:
            raise SourceError(
                f"{self.location}: neither the lock nor the server says how long the file is; a "
                "cut one couldn't be told from a whole one. Lock its size or hash first."
            )
        if (answer.validator and partial.validator not in (None, answer.validator)) or (
            answer.size is not None and partial.size not in (None, answer.size)
        ):
            raise ChangedError("the file changed on the server during the download")
