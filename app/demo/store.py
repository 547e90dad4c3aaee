"""What visitors' files take of the disk: claimed before they come, removed when they are old."""

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
from . import limits

log = logging.getLogger(__name__)

A_FILE = 64 << 10  # bytes that a file counts at least, so that their number is bounded, too
CLEANING = 600.0  # seconds between two looks for old files


class Store:
    """A folder of uploads and results, each of which may take half of the room."""

    def __init__(self, folder: Path) -> None:
        """folder: made if it isn't there; what it holds already isn't counted and stays."""
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._most = folder, limits.MAX_STORED // 2
        self._own = frozenset(entry.path for entry in _files(folder))
        self._lock = threading.Lock()
        self._claimed = self._kept = 0  # bytes of uploads on their way, and of results
        self._results: OrderedDict[Path, int] = OrderedDict()  # the longest unused first; bytes

    def claim(self, size: int, files: int = 1) -> int:
        """Room for `size` bytes in up to `files` files that are uploaded; give it to `release`.

        Walks the folder, so not for the event loop. Raises UsageError if there isn't so much.
        """
        size += files * A_FILE
        with self._lock:
            if self._claimed + self.measure() + size > self._most:
                raise UsageError("The server's room for uploads is full. Try again in a minute.")
            self._claimed += size
        return size

    def release(self, claimed: int) -> None:
        """Give room back, once what came lies in the folder."""
        with self._lock:
            self._claimed -= claimed

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
            while self._kept > self._most:
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

    def measure(self) -> int:
        """The bytes of uploads here. What is old goes: Gradio forgets uploads that were cut off."""
        measured, oldest = 0, time.time() - limits.KEEP_FILES - CLEANING
        for entry in _files(self._folder):
            path = Path(entry.path)
            if entry.path in self._own:
                continue
            with suppress(OSError):  # removed meanwhile
                facts = entry.stat(follow_symlinks=False)
                if facts.st_ctime < oldest:
                    _remove(path)
                elif path not in self._results:
                    measured += max(facts.st_blocks * 512, A_FILE)
        return measured

    @contextmanager
    def looked_after(self) -> Iterator[None]:
        """Remove what is old as long as the block runs. What is here now stays."""
        self._own = frozenset(entry.path for entry in _files(self._folder))
        ended = threading.Event()
        threading.Thread(target=self._look_after, args=[ended], name="store", daemon=True).start()
        try:
            yield
        finally:
            ended.set()

    def _look_after(self, ended: threading.Event) -> None:
        while not ended.wait(CLEANING):
            try:
                self.measure()
            except OSError:
                log.exception("%s can't be measured", self._folder)


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
