"""Progress bars, of bytes and of what else takes long, and lines beside them."""

import io
import shutil
import sys
import threading
from collections.abc import Callable
from typing import Any

from ..launcher import speaks
from ..looks import printable, shortened

EVERY = 30.0  # seconds between two lines where no bar can be seen
NUMBERS = 52  # columns of a bar's numbers, with a little of the bar
SHORTEST = 12  # columns of a name


def tell(line: str) -> None:
    """A printable line on stderr, which breaks no bar; of a job only the leading process speaks."""
    from tqdm import tqdm

    if speaks():
        tqdm.write(printable(line), file=sys.stderr)


class _Lines(io.TextIOBase):
    """Where a bar is written that nobody could watch: each state as a line of its own."""

    def write(self, text: str) -> int:
        if line := text.strip():
            tell(line)
        return len(text)


def count_bar(
    name: str, total: int | None, unit: str, *, quiet: bool = False, **numbers: Any
) -> Any:
    """A tqdm bar on stderr with speed and time left, or none if `quiet`.

    Where stderr is no terminal it is a line every half minute. A long name loses its middle, so
    that the numbers have room. total: None if unknown. numbers: more of tqdm's options.
    """
    from tqdm import tqdm

    numbers = {"total": total, "unit": unit} | numbers
    if quiet or sys.stderr.isatty():
        room = shutil.get_terminal_size().columns - NUMBERS
        name = shortened(name, max(SHORTEST, room))
        return tqdm(desc=name, disable=quiet, dynamic_ncols=True, **numbers)
    form = "{desc}: {n_fmt} of {total_fmt}, {percentage:.0f} %, {rate_fmt}, {remaining} left"
    return tqdm(
        desc=name,
        file=_Lines(),
        bar_format=form if total else "{desc}: {n_fmt}, {rate_fmt}",
        delay=EVERY,
        mininterval=EVERY,
        miniters=0,  # also while nothing comes
        leave=False,
        **numbers,
    )


def byte_bar(name: str, size: int | None, here: int = 0) -> Any:
    """A bar of bytes. size: None if unknown. here: bytes that were dealt with before."""
    return count_bar(name, size, "B", unit_scale=True, unit_divisor=1024, initial=here)


class Progress:
    """One bar for several downloads at once, shown from the first byte on that comes."""

    def __init__(self, name: str, size: int | None) -> None:
        self._name, self._size = name, size
        self._lock = threading.Lock()
        self._bar: Any = None
        self._here = 0

    def here_already(self, count: int) -> None:
        """Count bytes that aren't fetched, so that they are no measure of speed."""
        with self._lock:
            self._here += count
            if self._bar is not None:
                self._bar.initial += count
                self._bar.update(count)

    def meter(self) -> Callable[[int], None]:
        """What to call with how many bytes of a file are here; the first call counts as old."""
        before: int | None = None

        def report(received: int) -> None:
            nonlocal before
            if before is None:
                self.here_already(received)
            with self._lock:
                if self._bar is None:
                    self._bar = byte_bar(self._name, self._size, self._here)
                self._bar.update(received - (received if before is None else before))
            before = received

        return report

    def tell(self, text: str) -> None:
        """A line on stderr that doesn't break the bar."""
        with self._lock:
            tell(text)

    def close(self) -> None:
        """Leave the bar as it is."""
        if self._bar is not None:
            self._bar.close()
