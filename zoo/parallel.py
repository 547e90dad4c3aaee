"""Work in several threads, and waiting for them so that a signal always ends it.

Python handles a signal in its main thread, between two steps. A signal that comes in the moment
before that thread blocks, or that the system gives to another thread, is handled only when the
block ends; so no wait here goes on for long without a step. And what the handler raises may leave a
lock of Python's own (of a Condition, a Semaphore, an executor's `submit`) held for good, if it
comes between taking it and using it: so main and workers share a SimpleQueue, whose lock isn't
Python's.
"""

import os
import threading
import time
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import CancelledError
from contextlib import closing
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

from .files import OnBytes, ignore

T = TypeVar("T")
R = TypeVar("R")
MOMENT = 0.2  # seconds
PATIENCE = 10.0  # seconds for all threads to see that they shall end; one that doesn't ends with us


def taken(queue: "SimpleQueue[T]") -> T:
    """The next thing of a queue, whenever it comes."""
    while True:
        try:
            return queue.get(timeout=MOMENT)
        except Empty:
            continue


def as_they_end(
    work: Callable[[T], R], items: Sequence[T], threads: int, stopped: threading.Event
) -> Generator[tuple[int, R], None, None]:
    """Call `work` with each item in so many threads; yields place and result as each one ends.

    stopped: set at the end of the generator, whichever that is; a long work looks at it. Raises the
    first error.
    """
    todo = iter(list(enumerate(items)))
    ended: SimpleQueue[tuple[int, Any, BaseException | None]] = SimpleQueue()

    def crew() -> None:
        for place, item in todo:
            if stopped.is_set():
                return
            try:
                ended.put((place, work(item), None))
            except BaseException as error:  # main's to raise
                ended.put((place, None, error))
                stopped.set()

    crews = [threading.Thread(target=crew, daemon=True) for _ in range(threads)]
    try:
        for one in crews:
            one.start()
        for _ in items:
            place, result, error = taken(ended)
            if error:
                raise error
            yield place, result
    finally:
        stopped.set()
        until = time.monotonic() + PATIENCE
        for one in crews:
            if one.ident:
                one.join(max(0.0, until - time.monotonic()))


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
    stopped, lock = threading.Event(), threading.Lock()
    order = sorted(range(len(items)), key=lambda i: -sizes[i])

    def report(count: int) -> None:
        if stopped.is_set():
            raise CancelledError
        with lock:
            on_bytes(count)

    works = as_they_end(lambda i: work(items[i], report), order, processors(), stopped)
    with closing(works) as ended:
        results = {order[place]: result for place, result in ended}
    return [results[i] for i in range(len(items))]


def processors() -> int:
    """How many this process may use: in a container fewer than there are."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
