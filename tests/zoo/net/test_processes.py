"""Several processes and files, kills, interruptions and odd clocks: the right bytes in the end."""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from mixzoo.zoo.catalog import open_catalog
from mixzoo.zoo.errors import IntegrityError
from mixzoo.zoo.net.fetch import fetch_all

from ...emulator.server import Emulator, Fault, always, burst
from .one_file import ADDRESS, BYTES, OTHER, SOURCE, final, get, ranges

pytestmark = pytest.mark.usefixtures("small_and_quick")

CHILD = """
import sys
from pathlib import Path
from mixzoo.zoo.net import fetch, http, transfer
from mixzoo.zoo.catalog import open_catalog
http.CHUNK, transfer.PIECE, transfer.SAVE_EVERY = 4096, 20_000, 0.005
benchmark, row = open_catalog([Path(sys.argv[1])]).row("resnet18_w4.vanilla_own")
import requests, filelock
print("ready", flush=True)
sys.stdin.readline()
asset, connections = benchmark.asset(row.id), int(sys.argv[2])
if sys.argv[3] == "all":
    print(*[one.done for one in fetch.fetch_all([(benchmark, asset)], connections=connections)])
else:
    fetch.fetch(benchmark, asset, connections=connections)
"""


@contextmanager
def process(
    manifest: Path, connections: int = 1, how: str = "one"
) -> Iterator[subprocess.Popen[str]]:
    """Another process that fetches the file once a line is written to it."""
    command = [sys.executable, "-c", CHILD, str(manifest), str(connections), how]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, text=True, **pipes) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        yield child
        child.kill()


def test_two_processes_fetch_one_file_once(emulator: Emulator, manifest: Path) -> None:
    """The second waits, then finds the file done."""
    emulator.rate = 1_000_000
    with process(manifest, how="all") as first, process(manifest, how="all") as second:
        first_out, second_out = [], []
        threads = [
            threading.Thread(target=lambda c=c, o=o: o.extend(c.communicate("go\n", timeout=30)))
            for c, o in ((first, first_out), (second, second_out))
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert sorted([first_out[0], second_out[0]]) == ["already here\n", "fetched\n"]
    assert "another process is fetching it; waiting" in first_out[1] + second_out[1]
    assert final(manifest).read_bytes() == BYTES
    assert len(emulator.store.requests) == 1


@pytest.mark.parametrize("connections", [1, 4])
def test_killed_processes_leave_what_the_next_goes_on_from(
    emulator: Emulator, manifest: Path, connections: int
) -> None:
    """SIGKILL at 10 random moments each: no wrong bytes ever, and the last run completes."""
    rng = random.Random(connections)
    emulator.rate = 1_000_000 / connections  # the file in about 0.3 s
    for _ in range(10):
        with process(manifest, connections) as child:
            assert child.stdin is not None
            child.stdin.write("go\n")
            child.stdin.flush()
            time.sleep(rng.uniform(0, 0.25))
            child.kill()
        assert not final(manifest).exists() or final(manifest).read_bytes() == BYTES
    emulator.rate = None

    path = get(manifest, connections)

    assert path.read_bytes() == BYTES
    assert any(asked and not asked.startswith("bytes=0-") for asked in ranges(emulator))


@pytest.mark.skipif(os.name != "posix", reason="signals as POSIX has them")
@pytest.mark.parametrize("how", ["one", "all"])
@pytest.mark.parametrize("connections", [1, 4])
def test_interrupt_is_quick_and_leaves_what_the_next_goes_on_from(
    emulator: Emulator, manifest: Path, connections: int, how: str
) -> None:
    """Ctrl-C doesn't wait for a stalled server; what had come by then is kept."""
    emulator.store.plan = always(Fault(stall=15_000))
    with process(manifest, connections, how) as child:
        assert child.stdin is not None
        child.stdin.write("go\n")
        child.stdin.flush()
        part = final(manifest).with_name(".w.pth.part")
        for _ in range(1000):
            if part.exists() and part.stat().st_size >= 15_000:
                break
            time.sleep(0.01)
        time.sleep(0.1)
        child.send_signal(signal.SIGINT)
        assert child.wait(10) != 0
    emulator.store.plan = lambda _: None
    before = len(emulator.store.requests)

    assert get(manifest).read_bytes() == BYTES
    assert ranges(emulator)[before].startswith("bytes=")


@pytest.mark.skipif(os.name != "posix", reason="signals as POSIX has them")
@pytest.mark.parametrize(("sent", "said"), [(signal.SIGINT, "Interrupted"),
                                            (signal.SIGTERM, "Terminated")])  # fmt: skip
def test_signal_to_the_command_is_one_line_and_keeps_what_arrived(
    emulator: Emulator, manifest: Path, sent: signal.Signals, said: str
) -> None:
    """With the documented exit code; the same command goes on."""
    emulator.store.plan = always(Fault(stall=100_000))
    command = [sys.executable, "-m", "mixzoo", "zoo", "download", "own", "--manifest", manifest]
    part = final(manifest).with_name(".w.pth.part")
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as child:
        for _ in range(3000):
            if part.exists() and part.stat().st_size >= 100_000:
                break
            time.sleep(0.01)
        time.sleep(0.1)
        child.send_signal(sent)
        _, err = child.communicate(timeout=20)

    assert child.returncode == 128 + sent
    assert err.startswith(f"error: {said}")
    assert err.endswith("what has arrived is kept, and the same command goes on.\n")
    assert err.count("\n") == 1
    emulator.store.plan = lambda _: None
    assert get(manifest).read_bytes() == BYTES
    assert ranges(emulator)[-1] == "bytes=100000-"


def test_several_files_come_in_the_order_asked_for(
    emulator: Emulator, write_benchmark: Callable[..., Path]
) -> None:
    """Errors are outcomes of their file; the others arrive."""
    emulator.files[ADDRESS] = BYTES
    source = SOURCE.format(url=emulator.front.url)
    good = write_benchmark(source, BYTES, benchmark="good")
    bad = write_benchmark(source, OTHER, benchmark="bad")
    wanted = [
        (benchmark, benchmark.asset(row.id))
        for benchmark, row in open_catalog([good, bad]).select(["bad", "good"])
    ]

    outcomes = list(fetch_all(wanted, jobs=2))

    assert isinstance(outcomes[0].error, IntegrityError)
    assert (outcomes[1].done, outcomes[1].path.read_bytes()) == ("fetched", BYTES)


def test_clock_that_goes_backwards_changes_nothing(
    emulator: Emulator, manifest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Waits and saves go by the monotonic clock, rate limits by the server's."""
    clock = iter(range(10**6, 0, -1000))
    monkeypatch.setattr(time, "time", lambda: float(next(clock)))
    limit = {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "1661155200"}
    headers = limit | {"Date": "Mon, 22 Aug 2022 08:00:00 GMT"}
    emulator.front.plan = burst(Fault(status=429, headers=headers))
    emulator.store.plan = burst(*[Fault(cut=50_000)] * 3)

    assert get(manifest).read_bytes() == BYTES
