"""Waiting for threads so that a signal always ends it.

Python handles a signal in its main thread, between two steps. A signal that comes in the moment
before that thread blocks, or that the system gives to another thread, is handled only when the block
ends; so no wait here goes on for long without a step.
"""

from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from typing import TypeVar

T = TypeVar("T")
MOMENT = 0.2  # seconds


def result_of(future: "Future[T]") -> T:
    """What a future gives; raises what it raises."""
    while not wait([future], timeout=MOMENT).done:
        pass
    return future.result()


def as_completed(futures: "Iterable[Future[T]]") -> "Iterator[Future[T]]":
    """Futures in the order in which they end."""
    pending = set(futures)
    while pending:
        done, pending = wait(pending, timeout=MOMENT, return_when=FIRST_COMPLETED)
        yield from done
