"""How the demo ends when it is asked to: at any moment, soon, with a documented exit code."""

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from ...zoo.parallel import MOMENT

CODES = {one: 128 + one for one in signal.Signals if one.name in ("SIGTERM", "SIGHUP")}
CODES[signal.SIGINT] = 0  # as the demo announces
WORKING = ("AnyIO worker", "ThreadPoolExecutor", "warm-up")  # begin the names of threads
PATIENCE = 6.0  # seconds that what is being computed gets to come to its end


class Ending:
    """Whether the end was asked for, and how it goes on from there."""

    code: int | None = None
    """The exit code, once a signal has come."""

    _in_haste = False

    def ask(self, number: int, _: FrameType | None = None) -> None:
        """Handle a signal: the first one ends the program, any other one only its patience."""
        if self.code is not None:
            self._in_haste = True
            return
        self.code = CODES[signal.Signals(number)]
        raise SystemExit(self.code)

    def wait(self) -> None:
        """Wait for the signal. Raises SystemExit, also if a library swallowed the first one."""
        while self.code is None:
            time.sleep(MOMENT)  # for good, a signal might go unheard: see zoo.parallel
        raise SystemExit(self.code)

    def let_finish(self) -> None:
        """Wait for what is still computed, until patience ends."""
        deadline = time.monotonic() + PATIENCE
        while _working() and not self._in_haste and time.monotonic() < deadline:
            time.sleep(MOMENT)


@contextmanager
def until_asked() -> Iterator[Ending]:
    """Hear Ctrl-C, SIGTERM and SIGHUP; whatever they interrupt, the program ends with their code.

    A signal that is ignored from outside, as under nohup, stays ignored. Raises SystemExit.
    """
    ending = Ending()
    before = {one: signal.getsignal(one) for one in CODES}
    heard = [one for one, handler in before.items() if handler is not signal.SIG_IGN]
    for one in heard:
        signal.signal(one, ending.ask)
    try:
        yield ending
    finally:
        if ending.code is not None:
            if _working():  # a thread in torch aborts a process that ends meanwhile, others hold it
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(ending.code)
            raise SystemExit(ending.code) from None
        for one in heard:
            signal.signal(one, before[one])


def _working() -> bool:
    return any(one.name.startswith(WORKING) for one in threading.enumerate())
