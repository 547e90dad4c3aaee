"""What visitors' files take of the disk: promised before they come, measured beside, removed when old."""

import hashlib
import logging
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ...zoo.errors import UsageError
from ...zoo.files import becoming
from .settings import Settings

log = logging.getLogger(__name__)

A_FILE = 64 << 10  # bytes that a file counts at least, so that their number is bounded, too
CLEANING = 600.0  # seconds between two looks for old files
REST = 2.0  # seconds between two measurements, however much was promised
FULL = "The server's room for uploads is full. Try again in a minute."


class Store:
    """A folder of uploads and results, and how full it is.

    Who uploads promises the most that it will take. A measurement, which never runs in the event
    loop, takes the place of the promises that were over when it began: the room is never
    underestimated, and nobody walks the folder while a visitor waits.
    """

    def __init__(self, folder: Path, settings: Settings) -> None:
        """folder: made if it isn't there; what it holds already isn't counted and stays."""
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._most, self._keep = settings.max_stored, settings.keep_files + CLEANING
        self._own = frozenset(entry.path for entry in _files(folder))
        self._lock = threading.Lock()
        self._flying = self._over = self._measured = 0  # bytes
        self._results: OrderedDict[Path, int] = OrderedDict()  # the longest unused first; bytes
        self._kept = 0  # bytes of results
        self._due, self._ended = threading.Event(), False

    @contextmanager
    def promise(self, size: int, files: int = 1) -> Iterator[None]:
        """Keep room while up to `size` bytes in up to `files` files are uploaded.

        Raises UsageError if there isn't so much.
        """
        size += files * A_FILE
        with self._lock:
            taken = self._measured + self._over + self._flying
            most = self._most // 2  # the other half is for results
            if self._over and taken + size > most - most // 8:
                self._due.set()  # promises are generous: ask what they really became
            if taken + size > most:
                raise UsageError(FULL)
            self._flying += size
        try:
            yield
        finally:
            with self._lock:
                self._flying -= size
                self._over += size
                if self._over > self._most // 16:
                    self._due.set()

    def keep(self, content: bytes, name: str) -> str:
        """Store a result under its hash and name; its path.

        One that is here is never rewritten, since somebody may be reading it. Results have half of
        the room; those that nobody has asked for the longest make way for new ones.
        """
        path = self._folder / hashlib.sha256(content).hexdigest() / name
        cost = max(len(content), A_FILE)
        with self._lock:
            self._kept += cost - self._results.pop(path, 0)
            self._results[path] = cost
            gone = []
            while self._kept > self._most // 2:
                oldest, freed = self._results.popitem(last=False)
                self._kept -= freed
                gone.append(oldest)
        for old in gone:
            _remove(old)
        try:
            os.utime(path)  # as if it had come just now
        except FileNotFoundError:
            path.parent.mkdir(exist_ok=True)
            with becoming(path) as part:
                part.write_bytes(content)
        return str(path)

    @contextmanager
    def looked_after(self) -> Iterator[None]:
        """Measure and remove what is old as long as the block runs. What is here now stays."""
        self._own = frozenset(entry.path for entry in _files(self._folder))
        threading.Thread(target=self._look_after, name="store", daemon=True).start()
        try:
            yield
        finally:
            self._ended = True
            self._due.set()

    def measure(self) -> None:
        """Count what is here, and remove what is old: Gradio forgets uploads that were cut off."""
        with self._lock:
            over = self._over
        measured, oldest = 0, time.time() - self._keep
        for entry in _files(self._folder):
            if entry.path in self._own:
                continue
            with suppress(OSError):  # removed meanwhile
                facts = entry.stat(follow_symlinks=False)
                if facts.st_ctime < oldest:
                    _remove(Path(entry.path))
                elif Path(entry.path) not in self._results:
                    measured += max(facts.st_blocks * 512, A_FILE)
        with self._lock:
            self._measured = measured
            self._over -= over

    def _look_after(self) -> None:
        while not self._ended:
            self._due.wait(CLEANING)
            self._due.clear()
            try:
                self.measure()
            except OSError:
                log.exception("%s can't be measured", self._folder)
            time.sleep(REST)


def _remove(path: Path) -> None:
    """Remove a file, and its folder if that is empty then."""
    with suppress(OSError):
        path.unlink()
        path.parent.rmdir()


def _files(folder: Path) -> "Iterator[os.DirEntry[str]]":
    """The files below a folder, one after the other."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                with suppress(FileNotFoundError):
                    yield from _files(Path(entry.path))
            else:
                yield entry
