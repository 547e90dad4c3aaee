"""The progress bar of bytes that are fetched, read or hashed, and lines beside it."""

import os
import sys
import threading
from collections.abc import Callable
from typing import Any

from ..looks import printable


def tell(line: str) -> None:
    """A printable line on stderr, which breaks no bar; of a job only the leading process speaks."""
    from tqdm import tqdm

    if os.environ.get("RANK", "0") == "0":
        tqdm.write(printable(line), file=sys.stderr)


def byte_bar(name: str, size: int | None, here: int = 0, *, quiet: bool = False) -> Any:
    """A tqdm bar on stderr with speed and time left; none where that is no terminal, or `quiet`.

    size: in bytes, None if unknown. here: bytes that have been dealt with before.
    """
    from tqdm import tqdm

    return tqdm(
        total=size,
        initial=here,
        desc=name,
        unit="B",
        unit_scale=True,
        unit_divisor=1024,
        disable=True if quiet else None,
    )


class Progress:
    """One bar for several downloads at once, shown from the first byte on that comes."""

    def __init__(self, name: str, size: int | None, *, quiet: bool) -> None:
        self._name, self._size, self._quiet = name, size, quiet
        self._lock = threading.Lock()
        self._bar: Any = None
        self._here = 0

    def here_already(self, count: int) -> None:
        """Count bytes that aren't fetched, so that they are no measure of speed."""
        with self._lock:
            self._here += count
            if self._bar is not None and not self._bar.disable:
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
                    self._bar = byte_bar(self._name, self._size, self._here, quiet=self._quiet)
                self._bar.update(received - (received if before is None else before))
            before = received

        return report

    def tell(self, text: str) -> None:
        """A line on stderr that doesn't break the bar."""
        if not self._quiet:
            with self._lock:
                tell(text)

    def close(self) -> None:
        """Leave the bar as it is."""
        if self._bar is not None:
            self._bar.close()
