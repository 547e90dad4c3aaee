"""Progress bars of bytes: one a file, and the total of a download of several."""

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self


def byte_bar(
    name: str,
    size: int | None,
    *,
    received: int = 0,
    stays: bool = True,
    quiet: bool = False,
) -> Any:
    """A tqdm bar on stderr with speed and time left; none where that is no terminal, or `quiet`.

    size: in bytes, None if unknown. received: bytes that are here already and are no measure of
    speed. stays: whether it is left on the screen at its end.
    """
    from tqdm import tqdm

    return tqdm(
        total=size,
        initial=received,
        desc=name,
        unit="B",
        unit_scale=True,
        unit_divisor=1024,
        leave=stays,
        disable=True if quiet else None,
    )


class Progress:
    """The bars of one download.

    files, size: how many files and bytes there are altogether, None for an unknown sum.
    """

    def __init__(self, files: int = 1, size: int | None = None, *, quiet: bool = False) -> None:
        self._lock = threading.Lock()
        self._quiet = quiet
        self._several = files > 1
        self._total = byte_bar(f"{files} files", size, quiet=quiet) if self._several else None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._total is not None:
            self._total.close()

    @contextmanager
    def meter(self, name: str, size: int | None) -> Iterator[Callable[[int], None]]:
        """A file's bar, from its first byte on: call with how many bytes of it are here by now.

        What the first call tells came from an earlier run. At the end the bar goes if the total goes
        on, else it stays.
        """
        bar, before = None, 0

        def report(received: int) -> None:
            nonlocal bar, before
            if bar is None:
                bar = byte_bar(
                    name, size, received=received, stays=not self._several, quiet=self._quiet
                )
                self.count(received, earlier=True)
            else:
                bar.update(received - before)
                self.count(received - before)
            before = received

        try:
            yield report
        finally:
            if bar is not None:
                bar.close()

    def count(self, received: int, *, earlier: bool = False) -> None:
        """Add bytes to the total. earlier: they are no measure of speed."""
        if self._total is None:
            return
        with self._lock:
            if earlier and not self._total.disable:
                self._total.initial += received
            self._total.update(received)

    def tell(self, text: str) -> None:
        """A line on stderr that doesn't break the bars."""
        from tqdm import tqdm

        if not self._quiet:
            with self._lock:
                tqdm.write(text, file=sys.stderr)
