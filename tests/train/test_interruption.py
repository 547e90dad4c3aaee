"""Signals become a wish, and a person who insists is heard."""

import os
import signal
import subprocess
import sys
import threading

import mixzoo.train.interruption as module
import pytest
from mixzoo.train.interruption import SIGNALS, interruption, leave_to_the_parent


def _send(*numbers: int) -> None:
    for number in numbers:
        os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_is_noted(number: signal.Signals) -> None:
    """By its name, and nobody dies."""
    with interruption() as asked:
        before = asked.signal
        _send(number)

    assert (before, asked.signal) == ("", signal.Signals(number).name)


def test_signals_of_schedulers_are_all_known() -> None:
    """SIGUSR1 is SLURM's warning."""
    assert {number.name for number in SIGNALS} == {"SIGTERM", "SIGINT", "SIGUSR1"}


def test_handlers_are_put_back() -> None:
    """Also after an error."""
    before = [signal.getsignal(number) for number in SIGNALS]

    with pytest.raises(ValueError, match="within"), interruption():
        raise ValueError("within")

    assert [signal.getsignal(number) for number in SIGNALS] == before


def test_insisting_ends_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second SIGINT, some time after the first."""
    monkeypatch.setattr(module, "INSISTING", 0.0)

    with pytest.raises(KeyboardInterrupt), interruption():
        _send(signal.SIGINT, signal.SIGINT)


def test_one_key_press_that_arrives_twice_is_one() -> None:
    """A terminal sends it to all processes, and torchrun passes it on."""
    with interruption() as asked:
        _send(signal.SIGINT)
        _send(signal.SIGINT)

    assert asked.signal == "SIGINT"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_only_people_insist(monkeypatch: pytest.MonkeyPatch, number: signal.Signals) -> None:
    """A scheduler may repeat itself."""
    monkeypatch.setattr(module, "INSISTING", 0.0)

    with interruption() as asked:
        _send(signal.SIGTERM)
        _send(number)

    assert asked.signal == "SIGTERM"


def test_a_person_is_told_what_happens(capfd: pytest.CaptureFixture[str]) -> None:
    """Once, at the first Ctrl-C, on the process that speaks."""
    for hint in (True, False):
        with interruption(hint):
            _send(signal.SIGINT)
            _send(signal.SIGINT)

    assert capfd.readouterr().err.count("Ctrl-C again stops at once") == 1


def test_other_threads_train_without_signals() -> None:
    """Python gives them to the main thread alone."""
    noted = []

    def work() -> None:
        with interruption() as asked:
            noted.append(asked.signal)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()

    assert noted == [""]


def test_decoding_processes_live_through_signals() -> None:
    """Those of the whole group don't end them."""
    program = (
        "import os, sys; sys.modules['torch'] = None\n"  # not needed, and slow
        f"exec(open({module.__file__!r}).read())\n"
        "leave_to_the_parent(0)\n"
        "for number in SIGNALS: os.kill(os.getpid(), number)\n"
        "print('alive')"
    )

    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert done.stdout == "alive\n"
    assert leave_to_the_parent.__module__ == module.__name__
