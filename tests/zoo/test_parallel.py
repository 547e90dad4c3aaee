"""A signal ends a wait, whichever thread the system gives it to."""

import signal
import threading
import time
from collections.abc import Callable, Iterator
from queue import SimpleQueue

import pytest
from mixzoo.zoo.parallel import each_in_parallel, taken


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


def test_a_signal_in_another_thread_ends_the_wait(handler: None) -> None:
    """Long before what is waited for."""
    released = threading.Event()

    def work() -> bool:
        time.sleep(0.3)  # so that the main thread waits
        signal.pthread_kill(threading.get_ident(), signal.SIGUSR1)
        return released.wait(30)

    ended: SimpleQueue[bool] = SimpleQueue()
    thread = threading.Thread(target=lambda: ended.put(work()))
    thread.start()
    try:
        with pytest.raises(SignalError):
            taken(ended)
        waits = thread.is_alive()
    finally:
        released.set()
        thread.join()

    assert waits


def test_a_signal_at_any_step_ends_the_work(handler: None) -> None:
    """Also where it comes while something is locked: no thread waits for ever, none goes on."""
    main, running = threading.main_thread().ident or 0, threading.active_count()

    for delay in range(60):
        left = iter(range(delay))

        def work(item: int, on_bytes: Callable[[int], object]) -> int:
            if next(left, None) is None:  # noqa: B023
                signal.pthread_kill(main, signal.SIGUSR1)
            on_bytes(1)
            return item

        with pytest.raises(SignalError):
            each_in_parallel(work, range(5000), [0] * 5000)

    assert threading.active_count() == running


def test_results_and_errors_come_through() -> None:
    """Results in the order of the items; an error as it was raised, and the rest isn't begun."""
    begun: list[int] = []

    def work(item: int, _: object) -> int:
        begun.append(item)
        if item == 7:
            raise ValueError("of the work")
        return -item

    assert each_in_parallel(work, [3, 1, 2], [1, 2, 3]) == [-3, -1, -2]
    with pytest.raises(ValueError, match="of the work"):
        each_in_parallel(work, range(5000), range(5000, 0, -1))
    assert len(begun) < 5000
