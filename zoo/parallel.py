"""Work in several threads, and waiting for them so that a signal always ends it.

Python handles a signal in its main thread, between two steps. A signal that comes in the moment
before that thread blocks, or that the system gives to another thread, is handled only when the
block ends; so no wait here goes on for long without a step.
"""

import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor, wait
from queue import Empty, SimpleQueue
from typing import TypeVar

from .files import OnBytes, ignore

T = TypeVar("T")
R = TypeVar("R")
MOMENT = 0.2  # seconds


def result_of(future: "Future[T]") -> T:
    """What a future gives; raises what it raises."""
    while not wait([future], timeout=MOMENT).done:
        pass
    return future.result()


def as_completed(futures: "Iterable[Future[T]]") -> "Iterator[Future[T]]":
    """Futures in the order in which they end."""
    ended: SimpleQueue[Future[T]] = SimpleQueue()
    pending = 0
    for future in futures:
        future.add_done_callback(ended.put)
        pending += 1
    while pending:
        try:
            future = ended.get(timeout=MOMENT)
        except Empty:
            continue
        pending -= 1
        yield future


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
    with ThreadPoolExecutor(processors()) as pool:
        tasks = {i: pool.submit(work, items[i], report) for i in order}
        try:
            for task in as_completed(tasks.values()):
                task.result()
        except BaseException:
            stop.set()
            pool.shutdown(cancel_futures=True)
            raise
    return [tasks[i].result() for i in range(len(items))]


def processors() -> int:
    """How many this process may use: in a container fewer than there are."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
