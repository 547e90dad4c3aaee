"""Processes meet under plain launchers too, and none waits for one that ended."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

PROGRAM = """
import os, sys, time
import mixzoo.eval.world as world_
world_.BEAT, world_.SILENCE = 0.2, 2.0
from mixzoo.eval.world import join
from mixzoo.zoo.errors import MixzooError
try:
    with join("cpu") as world:
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
