"""Ends this process when another one of the same job has ended, so that nobody waits for it.

Launchers stop a job whose process failed, but not all do, and none sees a machine that lost its
power. Every process counts up a number in the store that brought them together; who sees one
stand still for `SILENCE` says whose it is and leaves.
"""

import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ..zoo.errors import LostRankError

BEAT = 2.0  # seconds
SILENCE = 60.0
_DONE = 1 << 40  # what a finished process adds to its number: it may be silent from now on


@contextmanager
def watch(store: Any, rank: int, size: int) -> Iterator[None]:
    """Watch the other processes while the body runs. store: torch's `Store` that they share.

    A process that leaves the body, also by an exception, is done and isn't missed.
    """
    store = store.clone()  # a connection of its own: waiting on the other must not stop the beats
    stop = threading.Event()
    thread = threading.Thread(
        target=_listen, args=(store, rank, size, stop), daemon=True, name="watch"
    )
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _listen(store: Any, rank: int, size: int, stop: threading.Event) -> None:
    seen = {other: (0, time.monotonic()) for other in range(size) if other != rank}
    try:
        while not stop.wait(BEAT):
            store.add(f"beat/{rank}", 1)
            for other, (count, since) in seen.items():
                now = store.add(f"beat/{other}", 0)
                if now != count:
                    seen[other] = (now, time.monotonic())
                elif count < _DONE and time.monotonic() - since > SILENCE:
                    _leave(rank, f"rank {other} has not been heard of for {SILENCE:.0f} seconds")
        store.add(f"beat/{rank}", _DONE)
    except RuntimeError:  # torch's errors of the store: the process that holds it is gone
        if not stop.wait(BEAT):  # at the end of a job the store may go first
            _leave(rank, "the process that the others met at (rank 0, or torchrun's agent) is gone")


def _leave(rank: int, reason: str) -> None:
    sys.stderr.write(
        f"error: rank {rank} gives up: {reason}. Its own output says why. Run the same command "
        "again: what was done is kept.\n"
    )
    sys.stderr.flush()
    os._exit(
        LostRankError.exit_code
    )  # the main thread may wait in a collective that nothing interrupts
