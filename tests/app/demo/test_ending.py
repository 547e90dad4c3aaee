"""How the demo ends when it is asked to."""

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest
from mixzoo.app.demo import ending
from mixzoo.app.demo.ending import Ending, until_asked

SIGNALS = [(signal.SIGINT, 0), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]


@pytest.fixture(autouse=True)
def handlers():
    """Puts the signals' handlers back."""
    before = {number: signal.getsignal(number) for number, _ in SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize(("number", "code"), SIGNALS)
def test_each_signal_has_its_code(number: int, code: int) -> None:
    """Whatever the signal interrupts, and whatever becomes of its exception on the way."""

    def interrupted() -> None:
        with until_asked():
            try:
                signal.raise_signal(number)
            except SystemExit:
                raise ImportError("half of a library") from None

    with pytest.raises(SystemExit) as ended:
        interrupted()
    assert ended.value.code == code


def test_swallowed_signal_is_still_heard() -> None:
    """A library that catches everything doesn't keep the demo running."""

    def interrupted() -> None:
        with until_asked() as one:
            with suppress(SystemExit):
                signal.raise_signal(signal.SIGTERM)
            one.wait()

    with pytest.raises(SystemExit) as ended:
        interrupted()
    assert ended.value.code == 143


def test_second_signal_takes_the_patience_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is computed gets some seconds; whoever asks again waits for nothing."""
    released = threading.Event()
    threading.Thread(target=released.wait, name="AnyIO worker thread", daemon=True).start()
    monkeypatch.setattr(ending, "PATIENCE", 60.0)
    one = Ending()
    with pytest.raises(SystemExit):
        one.ask(signal.SIGINT)
    one.ask(signal.SIGINT)

    one.let_finish()  # would wait for a minute

    released.set()


def test_ignored_signal_stays_ignored() -> None:
    """Under nohup the demo outlives its terminal."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)

    with until_asked():
        signal.raise_signal(signal.SIGHUP)


def test_demo_can_be_stopped_while_it_starts(tmp_path: Path) -> None:
    """The hang-up of a terminal, in the midst of imports: the documented code, nothing left behind."""
    program = "from mixzoo.app.serve import command; command()"
    with subprocess.Popen(
        [sys.executable, "-c", program, "--port", "0", "--no-browser"],
        env=os.environ | {"TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        while not [*tmp_path.glob("mixzoo-app-*")]:
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(signal.SIGHUP)

        told, _ = process.communicate(timeout=15)

    assert process.returncode == 129
    assert "Traceback" not in told  # the address, where it had started before the signal came
    assert [*tmp_path.iterdir()] == []
