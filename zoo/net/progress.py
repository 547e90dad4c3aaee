"""Progress bars of downloads: one a file, and their total where there are several."""

import sys
import threading
from types import TracebackType
from typing import Any, Self


class Meter:
    """One file's bar, shown from its first byte on, and its share of the total."""

    def __init__(self, progress: "Progress", name: str, size: int | None) -> None:
        self._progress, self._name, self._size = progress, name, size
        self._bar: Any = None
        self._bytes = 0

    def at(self, received: int) -> None:
        """Show that so many bytes are here. What the first call tells came from an earlier run."""
        if self._bar is None:
            self._bar = self._progress.bar(self._name, self._size, received)
            self._progress.count(received, earlier=True)
        else:
            self._bar.update(received - self._bytes)
            self._progress.count(received - self._bytes)
        self._bytes = received

    def close(self) -> None:
        """Take the bar away if the total goes on, else leave it."""
        if self._bar is not None:
            self._bar.close()


class Progress:
    """Bars on stderr with speed and time left; none where it is no terminal, or `quiet`.

    files, size: how many files and bytes there are altogether, None for an unknown sum.
    """

    def __init__(self, files: int = 1, size: int | None = None, *, quiet: bool = False) -> None:
        self._lock = threading.Lock()
        self._quiet = quiet
        self._several = files > 1
        self._total = self.bar(f"{files} files", size, 0) if self._several else None

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

    def meter(self, name: str, size: int | None) -> Meter:
        """A meter for a file that begins now."""
        return Meter(self, name, size)

    def bar(self, name: str, size: int | None, initial: int) -> Any:
        """A tqdm bar of bytes."""
        from tqdm import tqdm

        return tqdm(
            total=size,
            initial=initial,
            desc=name,
            unit="B",
            unit_scale=True,
            unit_divisor=1024,
            leave=not self._several,
            disable=True if self._quiet else None,
        )

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
