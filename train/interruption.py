"""Turns the signals of schedulers and people into a wish that the loop asks for between steps."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

# SLURM's --signal=USR1@120 warns before the time is up.
SIGNALS = tuple(
    getattr(signal, name) for name in ("SIGTERM", "SIGINT", "SIGUSR1") if hasattr(signal, name)
)


@dataclass
class Interruption:
    """Whether this process has been asked to stop, and by which signal."""

    signal: str = ""


@contextmanager
def interruption() -> Iterator[Interruption]:
    """Note signals while the body runs, instead of dying of them.

    A second SIGINT ends the process at once, without a checkpoint.
    """
    noted = Interruption()

    def note(number: int, _: FrameType | None) -> None:
        if number == signal.SIGINT and noted.signal:
            raise KeyboardInterrupt
        noted.signal = signal.Signals(number).name

    before = {number: signal.signal(number, note) for number in SIGNALS}
    try:
        yield noted
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
