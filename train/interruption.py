"""Turns the signals of schedulers and people into a wish that the loop asks for between steps."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

# SLURM's --signal=USR1@120 warns before the time is up.
SIGNALS = tuple(
    getattr(signal, name) for name in ("SIGTERM", "SIGINT", "SIGUSR1") if hasattr(signal, name)
)
INSISTING = 2.0
"""Seconds after which a further SIGINT is a person's: torchrun passes on what a terminal has sent to
its processes already."""

HINT = b"\nStopping after this step, with a checkpoint. Ctrl-C again stops at once, without one.\n"


@dataclass
class Interruption:
    """Whether this process has been asked to stop, and by which signal."""

    signal: str = ""


@contextmanager
def interruption(hint: bool = False) -> Iterator[Interruption]:
    """Note signals while the body runs, instead of dying of them.

    A further SIGINT, INSISTING seconds after the first signal, raises KeyboardInterrupt. hint:
    whether to say so on stderr at the first. Outside the main thread, which alone gets signals,
    nothing is noted.
    """
    noted = Interruption()
    since = 0.0

    def note(number: int, _: FrameType | None) -> None:
        nonlocal since
        if not noted.signal:
            since = time.monotonic()
            noted.signal = signal.Signals(number).name
            if hint and number == signal.SIGINT:
                os.write(2, HINT)  # a buffered stream may be in use right now
        elif number == signal.SIGINT and time.monotonic() - since > INSISTING:
            raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield noted
        return
    before = {number: signal.signal(number, note) for number in SIGNALS}
    try:
        yield noted
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def leave_to_the_parent(_: int) -> None:
    """Ignore these signals in a decoding process: they reach the whole group, and its parent still
    needs it until the step is done."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
