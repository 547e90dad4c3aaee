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
from mixzoo.eval.world import World, first_node, keep_freed_memory, launched
from mixzoo.zoo.errors import UsageError

SLURM = {
    "SLURM_STEP_NUM_TASKS": "6",
    "SLURM_PROCID": "4",
    "SLURM_LOCALID": "0",
    "SLURM_NODEID": "1",
    "SLURM_STEP_TASKS_PER_NODE": "4,2",
    "SLURM_STEP_NODELIST": "gpu-[07-08]",
    "SLURM_JOB_ID": "123456",
}
TORCHRUN = {"WORLD_SIZE": "4", "RANK": "3", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "2"}
BATCH_SCRIPT = {"SLURM_NTASKS": "8", "SLURM_PROCID": "0", "SLURM_JOB_ID": "1"}


@pytest.mark.parametrize(
    ("environment", "world"),
    [
        ({}, World()),
        (TORCHRUN, World(rank=3, size=4, local_size=2, local_rank=1)),
        (
            BATCH_SCRIPT,
            World(),
        ),  # sbatch tells the script of the job's tasks, but it is one process
        (SLURM, World(rank=4, size=6, local_size=2, local_rank=0)),
        (SLURM | {"SLURM_STEP_TASKS_PER_NODE": "2(x3)"}, World(rank=4, size=6, local_size=2)),
    ],
)
def test_the_launcher_tells_the_place(environment: dict[str, str], world: World) -> None:
    """torchrun's and srun's variables are taken as they are; whom nobody launched is alone."""
    assert launched(environment)[0] == world


def test_all_tasks_of_a_step_meet_at_one_address() -> None:
    """The step's first node; a port that depends on the job, not on the task, and is free to use."""
    met = [launched(SLURM | {"SLURM_PROCID": str(i)})[1] for i in range(6)]

    assert met == [met[0]] * 6
    assert met[0]["MASTER_ADDR"] == "gpu-07"
    assert 20000 <= int(met[0]["MASTER_PORT"]) < 40000


def test_srun_keeps_an_address_that_was_given() -> None:
    """MASTER_ADDR and MASTER_PORT of the user win."""
    assert launched(SLURM | {"MASTER_ADDR": "10.0.0.1", "MASTER_PORT": "29500"})[1] == {}


@pytest.mark.parametrize(
    ("nodes", "first"),
    [
        ("node7", "node7"),
        ("node[3-5,9],login1", "node3"),
        ("a-[012-015]", "a-012"),
        ("rack1-node2.cluster,rack1-node3.cluster", "rack1-node2.cluster"),
        ("n[1-2]-ib", "n1-ib"),
    ],
)
def test_first_node_of_a_list(nodes: str, first: str) -> None:
    """SLURM's compressed host lists, with their zeros and what follows the brackets."""
    assert first_node(nodes) == first


@pytest.mark.parametrize(
    "broken",
    [
        {"WORLD_SIZE": "two", "RANK": "0"},
        {"WORLD_SIZE": "2"},
        SLURM | {"SLURM_PROCID": ""},
        SLURM | {"SLURM_STEP_NODELIST": ""},
    ],
)
def test_a_broken_environment_is_named(broken: dict[str, str]) -> None:
    """The variable, what it holds, and how to start instead."""
    with pytest.raises(UsageError, match=r"(WORLD_SIZE|RANK|SLURM_\w+): expected"):
        launched(broken)


PROGRAM = """
import os, sys, time
import mixzoo.eval.world as w
w.BEAT, w.SILENCE = 0.2, 2.0
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
