"""Each process learns its place; ranks meet under any launcher, and none waits for the lost."""

import json
import platform
import signal

import pytest
from mixzoo.eval.world import keep_freed_memory

from ..nursery import Job, Nursery, free_port

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


def started(nursery: Nursery, doing: str, size: int, *, slurm: bool = False) -> list[Job]:
    """The ranks of one job, as a launcher would start them that watches nobody."""
    if not slurm:
        return nursery.ranks([doing], size, program=PROGRAM)
    meeting = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": free_port()}
    place = {"SLURM_STEP_NUM_TASKS": size, "SLURM_STEP_NODELIST": "localhost"} | meeting
    return [
        nursery.start([doing], PROGRAM, SLURM_PROCID=rank, SLURM_LOCALID=rank, **place)
        for rank in range(size)
    ]


@pytest.mark.parametrize("slurm", [False, True])
def test_ranks_meet_and_part(nursery: Nursery, slurm: bool) -> None:
    """Every rank gets every rank's value, and all end well; by RANK or by SLURM's variables."""
    ranks = started(nursery, "finish", size=3, slurm=slurm)

    for rank, job in enumerate(ranks):
        assert (job.wait(), job.err) == (0, "")
        assert job.out.splitlines() == [f"met {rank} 3 {rank}", "all [0, 1, 2]"]


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
    nursery: Nursery, doing: str, how: signal.Signals, lost: int
) -> None:
    """Killed or frozen, noticed while the other waits or computes: a message, and exit code 8."""
    ranks = started(nursery, doing, size=2)
    for job in ranks:
        job.first_line()

    ranks[lost].signal(how)

    assert ranks[1 - lost].wait(30) == 8  # far from the hours that a collective would wait
    assert "Run the same command again" in ranks[1 - lost].err
    assert "Traceback" not in ranks[1 - lost].err
    ranks[lost].signal(signal.SIGKILL)  # a frozen one


LONELY = """
import mixzoo.app.cli as cli, mixzoo.eval.world as w
w.SOON = 0.1
cli.main()
"""


@pytest.mark.parametrize(
    ("rank", "how", "code"), [(0, signal.SIGTERM, 143), (1, signal.SIGINT, 130), (0, None, 8)]
)
def test_who_waits_alone_says_so_and_hears_signals(
    nursery: Nursery, rank: int, how: signal.Signals | None, code: int
) -> None:
    """As with variables that a launcher left behind: for whom, where, how to run alone; without a
    signal it gives up after MIXZOO_MEETING_SECONDS."""
    at = f"127.0.0.1:{free_port()}"
    left = {"WORLD_SIZE": 2, "RANK": rank, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": at[10:]}
    patience = {"MIXZOO_MEETING_SECONDS": 60 if how else 1}
    job = nursery.start(["eval", "x.pth", "--device", "cpu"], LONELY, **left, **patience)

    said = job.first_line("err")
    if how:
        job.signal(how)

    assert job.wait(30) == code
    assert f"Rank {rank} of 2 waits at {at} for rank {1 - rank}" in said
    assert "To run alone: env -u WORLD_SIZE mixzoo" in said
    assert job.err.count("\n") <= 2


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


def faults(nursery: Nursery, *words: str) -> tuple[bool, int]:
    """Whether freed memory is kept, and the page faults of five tensors of 64 MiB."""
    job = nursery.start(words, FAULTS)
    assert job.wait() == 0, job.err
    done, count = json.loads(job.out)
    return done, count


@glibc
def test_freed_memory_is_used_again(nursery: Nursery) -> None:
    """Five tensors cost next to no page faults once memory is kept."""
    _, plain = faults(nursery)
    kept, few = faults(nursery, "keep")

    assert kept
    assert few < plain / 10


@pytest.mark.parametrize("name", ["MALLOC_ARENA_MAX", "GLIBC_TUNABLES", "LD_PRELOAD"])
def test_what_the_user_chose_is_left_alone(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Variables that tune malloc or replace it."""
    monkeypatch.setenv(name, "2")

    assert not keep_freed_memory()
