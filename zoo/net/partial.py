"""The part file of a download that isn't whole yet, and the note of what is in it.

`.NAME.part` lies beside the file it will become, so that the last move is atomic; `.NAME.part.json`
says which ranges are in it and of which file they were, so that another process, after a crash or a
reboot, can go on. The note never claims bytes that aren't on the disk. Both names are known to
everybody who shares the folder: what isn't this user's own is never written through.
"""

import threading
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Literal, cast

import msgspec

from ..files import own, sync, write

Range = tuple[int, int]  # bytes [start, stop)


class Note(msgspec.Struct):
    """What a part file holds, as it is written beside it. size, source, validator: see Partial."""

    format: Literal[1] = 1
    source: str = ""
    validator: str | None = None
    size: int | None = None
    done: list[Range] = []


class Partial:
    """Which bytes of a file are here. Safe to use from several threads.

    size: of the whole file, None while unknown. source, validator: where the bytes came from, and
    the If-Range value that tells whether it is still the same file. mixed: some bytes are from
    another run or another source, so that a wrong hash may be the fault of the mixture.
    """

    def __init__(self, path: Path) -> None:
        """path: the final name. Takes up what an earlier run left, if its note can be trusted."""
        self.path = path
        self.part = path.with_name(f".{path.name}.part")
        self.note = path.with_name(f".{path.name}.part.json")
        self.changed = threading.Condition()
        here = self._read_note()
        self.size, self.source, self.validator = here.size, here.source, here.validator
        self.done = here.done
        self.mixed = bool(self.done)

    @property
    def received(self) -> int:
        """How many bytes are here."""
        with self.changed:
            return sum(stop - start for start, stop in self.done)

    @property
    def frontier(self) -> int:
        """Up to where the file is here without a gap."""
        with self.changed:
            return self.done[0][1] if self.done and self.done[0][0] == 0 else 0

    def missing(self) -> list[tuple[int, int | None]]:
        """The gaps in order; the last has no end while the size is unknown."""
        with self.changed:
            starts = [0, *(stop for _, stop in self.done)]
            stops = [*(start for start, _ in self.done), self.size]
        return [(a, b) for a, b in zip(starts, stops, strict=True) if b is None or a < b]

    def adopt(self, source: str, size: int | None, *, hash_known: bool) -> None:
        """Go on from `source`, dropping what can't be of use with it.

        size: the locked one, if known. hash_known: a locked hash decides in the end, so bytes that
        no validator vouches for, from this source or another, may be kept.
        """
        other = source != self.source
        if (self.size is not None and size not in (None, self.size)) or (
            self.done and not hash_known and (other or self.validator is None)
        ):
            self.reset()
        if other:
            self.source, self.validator, self.mixed = source, None, bool(self.done)
        self.size = size if self.size is None else self.size

    def begin(self) -> None:
        """Have a part file to write to: of another origin than what is noted, it begins anew."""
        if not self.done:
            self.part.unlink(missing_ok=True)
            self.part.open("xb").close()

    def open(self, mode: str) -> BinaryIO:
        """The part file, unbuffered. Raises OSError if it has become a link or another user's."""
        return cast(BinaryIO, open(self.part, mode, buffering=0, opener=own))

    def reset(self) -> None:
        """Begin anew, from nothing."""
        with self.changed:
            self.done, self.validator, self.size, self.mixed = [], None, None, False
        self.note.unlink(missing_ok=True)
        self.part.unlink(missing_ok=True)

    def add(self, start: int, stop: int) -> None:
        """Note that the bytes [start, stop) have been written, and wake who waits for them."""
        with self.changed:
            merged: list[Range] = []
            for piece in sorted([*self.done, (start, stop)]):
                if merged and piece[0] <= merged[-1][1]:
                    merged[-1] = (merged[-1][0], max(merged[-1][1], piece[1]))
                else:
                    merged.append(piece)
            self.done = merged
            self.changed.notify_all()

    def save(self) -> None:
        """Put what is here on the disk, first the bytes, then the note that claims them."""
        with self.changed:
            done = list(self.done)
        if not done:
            return
        sync(self.part)
        note = Note(source=self.source, validator=self.validator, size=self.size, done=done)
        write(self.note, msgspec.json.encode(note))

    def finish(self) -> None:
        """Give the whole, verified file its name; after a power cut it has it too, or not yet."""
        with self.open("ab") as file:
            file.truncate(self.size)  # off goes what an older, longer file left behind
        sync(self.part)
        self.part.replace(self.path)
        sync(self.path.parent)
        self.note.unlink(missing_ok=True)

    def _read_note(self) -> Note:
        """Believe a note only as far as the part file bears it out."""
        with suppress(OSError, ValueError, RecursionError, msgspec.MsgspecError):
            with open(self.note, "rb", opener=own) as file, self.open("rb") as part:
                note = msgspec.json.decode(file.read(), type=Note)
                bounds = [0, *(b for piece in note.done for b in piece), part.seek(0, 2)]
            whole = note.size is None or note.size >= bounds[-2]
            if note.done and whole and bounds == sorted(bounds):
                return note
        return Note()
