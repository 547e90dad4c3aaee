"""A signal ends a wait, whichever thread the system gives it to."""

import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
from mixzoo.zoo.parallel import as_completed, result_of


class SignalError(Exception):
    """Raised by the handler."""


@pytest.fixture
def handler() -> Iterator[None]:
    """SIGUSR1 raises, in the main thread."""

    def handle(*_: object) -> None:
        raise SignalError

    before = signal.signal(signal.SIGUSR1, handle)
    yield
    signal.signal(signal.SIGUSR1, before)


WAITS: dict[str, Callable[[Future[Any]], object]] = {
    "one": result_of,
    "several": lambda future: list(as_completed([future])),
}


@pytest.mark.parametrize("name", WAITS)
def test_a_signal_in_another_thread_ends_the_wait(name: str, handler: None) -> None:
    """Long before what is waited for."""
    released = threading.Event()

    def work() -> bool:
        time.sleep(0.3)  # so that the main thread waits
        signal.pthread_kill(threading.get_ident(), signal.SIGUSR1)
        return released.wait(30)

    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(work)
        try:
            with pytest.raises(SignalError):
                WAITS[name](future)
            ended = future.done()
        finally:
            released.set()

    assert not ended


def test_results_and_errors_come_through() -> None:
    """In the order of their ends."""
    first = threading.Event()

    def fails() -> None:
        first.wait(30)
        raise ValueError("of the work")

    with ThreadPoolExecutor(2) as pool:
        futures = [pool.submit(fails), pool.submit(lambda: 7)]
        ended = as_completed(futures)
        assert result_of(next(ended)) == 7
        first.set()

        with pytest.raises(ValueError, match="of the work"):
            result_of(next(ended))
