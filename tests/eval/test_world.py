"""Each process learns its place; ranks meet under any launcher, and none waits for the lost."""

import json
import os
import platform
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from mixzoo.eval.world import keep_freed_memory

PROGRAM = """
import os, sys, time
import mixzoo.eval.world as w
w.BEAT, w.SILENCE, w.GRACE = 0.2, 2.0, 1.0
from mixzoo.zoo.errors import MixzooError
try:
    with w.join("cpu") as world:
        world.gather("here")
        print("met", world.rank, world.size, world.local_rank, flush=True)
        if sys.argv[1] == "listen":
            world.gather("a second time") if world.rank != 1 else time.sleep(60)
        elif sys.argv[1] == "compute":
            time.sleep(60)
        print("all", world.gather(world.rank), flush=True)
except MixzooError as error:
    print("error:", error, file=sys.stderr, flush=True)
    sys.exit(error.exit_code)
"""
Start = Callable[..., list["subprocess.Popen[str]"]]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts the ranks of one job, as a launcher would that watches nobody."""
    (tmp_path / "program.py").write_text(PROGRAM)
    started: list[subprocess.Popen[str]] = []

    def start(doing: str, size: int, slurm: bool = False) -> list["subprocess.Popen[str]"]:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = str(probe.getsockname()[1])
        for rank in range(size):
            place = {"RANK": str(rank), "WORLD_SIZE": str(size), "LOCAL_RANK": str(rank)}
            if slurm:
                place = {"SLURM_PROCID": str(rank), "SLURM_STEP_NUM_TASKS": str(size)}
                place |= {"SLURM_LOCALID": str(rank), "SLURM_STEP_NODELIST": "localhost"}
            meeting = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "OMP_NUM_THREADS": "1"}
            started.append(
                subprocess.Popen(
                    [sys.executable, str(tmp_path / "program.py"), doing],
                    env=os.environ | place | meeting,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    text=True,
                )
            )
        return started

    yield start
    for process in started:
        process.kill()
        process.communicate()


def met(process: "subprocess.Popen[str]") -> str:
    """The line with which a process says that it has met the others."""
    assert process.stdout is not None
    return process.stdout.readline().strip()


@pytest.mark.parametrize("slurm", [False, True])
def test_ranks_meet_and_part(start: Start, slurm: bool) -> None:
    """Every rank gets every rank's value, and all end well; by RANK or by SLURM's variables."""
    ranks = start("finish", size=3, slurm=slurm)

    results = [(*process.communicate(timeout=120), process.returncode) for process in ranks]

    for rank, (out, err, code) in enumerate(results):
        assert (code, err) == (0, "")
        assert out.splitlines() == [f"met {rank} 3 {rank}", "all [0, 1, 2]"]


@pytest.mark.parametrize(
    ("doing", "how", "lost"),
    [
        ("listen", signal.SIGKILL, 1),
        ("listen", signal.SIGSTOP, 1),
        ("compute", signal.SIGKILL, 1),
        ("compute", signal.SIGKILL, 0),
        ("compute", signal.SIGINT, 1),
    ],
)
def test_a_lost_rank_ends_the_others(
    start: Start, doing: str, how: signal.Signals, lost: int
) -> None:
    """Killed or frozen, noticed while the other waits or computes: a message, and exit code 8."""
    ranks = start(doing, size=2)
    for process in ranks:
        met(process)

    ranks[lost].send_signal(how)
    begun = time.monotonic()
    _, err = ranks[1 - lost].communicate(timeout=60)

    assert time.monotonic() - begun < 30  # far from the hours that a collective would wait
    assert ranks[1 - lost].returncode == 8
    assert "Run the same command again" in err
    assert "Traceback" not in err


LONELY = """
import mixzoo.app.cli as cli, mixzoo.eval.world as w
w.SOON = 0.1
cli.main()
"""


@pytest.mark.parametrize(
    ("rank", "how", "code"), [(0, signal.SIGTERM, 143), (1, signal.SIGINT, 130), (0, None, 8)]
)
def test_who_waits_alone_says_so_and_hears_signals(
    rank: int, how: signal.Signals | None, code: int
) -> None:
    """As with variables that a launcher left behind: for whom, where, how to run alone; without a
    signal it gives up after MIXZOO_MEETING_SECONDS."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        at = f"127.0.0.1:{probe.getsockname()[1]}"
    left = {"WORLD_SIZE": "2", "RANK": str(rank), "MASTER_ADDR": "127.0.0.1"}
    left |= {"MASTER_PORT": at[10:], "MIXZOO_MEETING_SECONDS": "60" if how else "1"}
    process = subprocess.Popen(
        [sys.executable, "-c", LONELY, "eval", "x.pth", "--device", "cpu"],
        env=os.environ | left,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None

    said = process.stderr.readline()
    if how:
        process.send_signal(how)
    _, err = process.communicate(timeout=30)

    assert f"Rank {rank} of 2 waits at {at} for rank {1 - rank}" in said
    assert "To run alone: env -u WORLD_SIZE mixzoo" in said
    assert process.returncode == code
    assert err.count("\n") <= 1


FAULTS = """
import json, resource, sys
import torch
from mixzoo.eval.world import keep_freed_memory
done = keep_freed_memory() if "keep" in sys.argv else False
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(5):
        torch.empty(1 << 24).fill_(1)  # 64 MiB
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
for _ in range(4):
    faults()  # the heap grows
print(json.dumps([done, faults()]))
"""
glibc = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another libc")


def faults(*arguments: str) -> tuple[bool, int]:
    """Whether freed memory is kept, and the page faults of five tensors of 64 MiB."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("MALLOC_", "GLIBC_", "LD_"))}
    run = subprocess.run(
        [sys.executable, "-c", FAULTS, *arguments], env=clean, check=True, capture_output=True
    )
    done, count = json.loads(run.stdout)
    return done, count


@glibc
def test_freed_memory_is_used_again() -> None:
    """Five tensors cost next to no page faults once memory is kept."""
    _, plain = faults()
    kept, few = faults("keep")

    assert kept
    assert few < plain / 10


@pytest.mark.parametrize("name", ["MALLOC_ARENA_MAX", "GLIBC_TUNABLES", "LD_PRELOAD"])
def test_what_the_user_chose_is_left_alone(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Variables that tune malloc or replace it."""
    monkeypatch.setenv(name, "2")

    assert not keep_freed_memory()
