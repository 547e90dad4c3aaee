"""Reads files to the last byte and hashes them, several at once."""

import hashlib
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor
from io import FileIO
from pathlib import Path
from typing import TypeVar

from .parallel import as_completed

CHUNK = 1 << 20  # bytes read at a time: large enough that threads seldom meet

OnBytes = Callable[[int], object]  # told how many more bytes have been dealt with
T = TypeVar("T")
R = TypeVar("R")


def ignore(count: int) -> None:
    """An OnBytes for who doesn't want to know."""


def sha256_of(path: Path, on_bytes: OnBytes = ignore) -> str:
    """Hex sha256 of a file's bytes."""
    with path.open("rb", buffering=0) as file:
        return sha256_of_open(file, on_bytes)


def sha256_of_open(file: FileIO, on_bytes: OnBytes = ignore) -> str:
    """Hex sha256 of what is left to read in an open, unbuffered file."""
    digest = hashlib.sha256()
    buffer = memoryview(bytearray(CHUNK))
    while count := file.readinto(buffer):
        digest.update(buffer[:count])
        on_bytes(count)
    return digest.hexdigest()


def size_of(path: Path) -> int:
    """Bytes in a file; 0 if it isn't there or can't be looked at."""
    try:
        return path.stat().st_size
    except OSError:
        return 0


def each_in_parallel(
    work: Callable[[T, OnBytes], R],
    items: Sequence[T],
    sizes: Sequence[int],
    on_bytes: OnBytes = ignore,
) -> list[R]:
    """Call `work(item, on_bytes)` in as many threads as there are processors.

    hashlib and file reading release the GIL, so threads do. sizes: of the items, the largest are
    begun first. on_bytes: never called by two threads at once. Ctrl-C and errors stop all at their
    next chunk. Returns the results in the order of the items.
    """
    stop, lock = threading.Event(), threading.Lock()

    def report(count: int) -> None:
        if stop.is_set():
            raise CancelledError
        with lock:
            on_bytes(count)

    order = sorted(range(len(items)), key=lambda i: -sizes[i])
    with ThreadPoolExecutor(_processors()) as pool:
        tasks = {i: pool.submit(work, items[i], report) for i in order}
        try:
            for task in as_completed(tasks.values()):
                task.result()
        except BaseException:
            stop.set()
            pool.shutdown(cancel_futures=True)
            raise
    return [tasks[i].result() for i in range(len(items))]


def _processors() -> int:
    """How many this process may use: in a container fewer than there are."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
