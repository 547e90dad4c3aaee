"""Decoding processes hand over everything on every machine, are missed when gone, and end."""

import logging
import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mixzoo.eval.decoding as module
import pytest
import torch
from mixzoo.eval.decoding import HandedOver, decoded, explained
from mixzoo.zoo.errors import UsageError
from torch.utils.data import Dataset


@dataclass(frozen=True)
class Item(HandedOver):
    """large: 100 kB. small: one number. Beside them what isn't a tensor."""

    large: torch.Tensor
    small: torch.Tensor
    name: str


class Items(Dataset[Item]):
    """Item i is full of i. before: called with i in the decoding process."""

    def __init__(self, before: Callable[[int], object] = str) -> None:
        self.before = before

    def __getitem__(self, i: int) -> Item:
        self.before(i)
        return Item(torch.full((100_000,), i, dtype=torch.uint8), torch.tensor([i]), str(i))


class Wide(Dataset[bytes]):
    """Items that go through the pipe whole."""

    def __getitem__(self, i: int) -> bytes:
        return bytes(1 << 20)


@pytest.fixture(autouse=True)
def _leaves_no_process() -> Iterator[None]:
    module._warn.cache_clear()
    yield
    assert not multiprocessing.active_children()


def _values(workers: int, count: int = 5) -> list[tuple[int, int, str]]:
    made = decoded(Items(), range(count), workers)
    return [(int(item.large.unique()), int(item.small), item.name) for item in made]


EXPECTED = [(i, i, str(i)) for i in range(5)]


@pytest.mark.parametrize("workers", [0, 2])
def test_items_come_in_order(workers: int, caplog: pytest.LogCaptureFixture) -> None:
    """Whoever makes them, and without a word."""
    assert _values(workers) == EXPECTED
    assert caplog.text == ""


def test_a_full_shared_memory_is_one_warning(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As torch refuses it: everything comes through pipes."""

    def full(self: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("unable to allocate shared memory(shm) for file </torch_1_2_3>")

    monkeypatch.setattr(torch.Tensor, "share_memory_", full)

    with caplog.at_level(logging.WARNING):
        assert _values(2) == EXPECTED
        assert _values(2) == EXPECTED
    assert [m.split(":")[0] for m in caplog.messages] == [
        "/dev/shm has no room for what the decoding processes make"
    ]


@pytest.mark.parametrize("what", ["torch.multiprocessing.Queue", "multiprocessing.Process.start"])
def test_where_no_process_can_be_started_this_one_decodes(
    what: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Without /dev/shm, or at the limit of processes: a second one isn't to be had."""
    start, started = multiprocessing.Process.start, []

    def fail(*arguments: object) -> None:
        started.append(arguments)
        if "Queue" in what or len(started) == 2:
            raise OSError(28, "No space left on device")
        start(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(what, fail)

    with caplog.at_level(logging.WARNING):
        assert _values(2) == EXPECTED
    assert len(caplog.messages) == 1
    assert "(No space left on device; is there a /dev/shm with room?)" in caplog.text


def test_a_batch_that_does_not_come_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """One line; and processes that hang, deaf to signals, are ended."""
    monkeypatch.setattr(module, "PATIENCE", 0.5)
    monkeypatch.setattr(module, "GRACE", 0.1)
    made = decoded(Items(lambda i: time.sleep(60 * i)), range(5), 2)

    assert next(made).name == "0"
    with pytest.raises(UsageError, match=r"made nothing for .* --workers 0; what is done is kept"):
        next(made)


def test_a_killed_process_is_noticed() -> None:
    """As by a system that is short of memory."""
    made = decoded(Items(lambda i: i == 3 and os.kill(os.getpid(), signal.SIGKILL)), range(9), 1)

    with pytest.raises(UsageError, match="process was killed, likely for memory"):
        list(made)


def test_processes_end_with_a_parent_that_was_killed() -> None:
    """Though the pipe that nobody reads is full of what they made."""
    reader, writer = multiprocessing.Pipe(duplex=False)

    def parent() -> None:
        made = decoded(Wide(), range(99), 2, ahead=9)
        next(made)
        time.sleep(1)  # in which the pipe is filled
        writer.send([child.pid for child in multiprocessing.active_children()])
        os.kill(os.getpid(), signal.SIGKILL)

    process = multiprocessing.get_context("fork").Process(target=parent)
    process.start()
    children = reader.recv()
    process.join()

    assert len(children) == 2
    for _ in range(300):
        if not any(_is_running(child) for child in children):
            return
        time.sleep(0.1)
    for child in children:
        os.kill(child, signal.SIGKILL)
    pytest.fail("a decoding process outlived its parent by half a minute")


def _is_running(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"  # nobody may have asked for its end yet


def test_an_interrupted_start_leaves_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C between the first and the second: nobody would end the first, which ignores signals."""
    start, started = multiprocessing.Process.start, []

    def interrupt(process: multiprocessing.Process) -> None:
        started.append(process)
        if len(started) == 2:
            raise KeyboardInterrupt
        start(process)

    monkeypatch.setattr(multiprocessing.Process, "start", interrupt)

    with pytest.raises(KeyboardInterrupt):
        _values(2)
    assert len(started) == 2


def test_what_cannot_be_handed_over_is_noticed(capfd: pytest.CaptureFixture[str]) -> None:
    """At once, in two lines: torch would drop it, and wait for it."""

    class Unsendable(Items):
        def __getitem__(self, i: int) -> Any:
            return open(os.devnull)  # noqa: PTH123

    with pytest.raises(UsageError, match="decoding process was killed"):
        list(decoded(Unsendable(), range(3), 1))
    err = capfd.readouterr().err
    assert "error: a decoding process can't hand over what it made: TypeError" in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    "said", ["Too many open files. Communication", "received 0 items of ancdata"]
)
def test_too_few_open_files_are_explained(said: str) -> None:
    """torch's and Python's words for it are neither's own error type."""
    with pytest.raises(UsageError, match="ulimit -n"), explained():
        raise RuntimeError(said)
