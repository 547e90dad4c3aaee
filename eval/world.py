"""The few things that processes of one evaluation say to each other.

Everything said is small and lies on the CPU (counts, predictions, errors), so gloo carries it on
every kind of machine, and a process that dies closes its connections: the others learn it at once
when they listen, and within a minute while they compute.

Which process this is among those that a launcher started: torchrun, or SLURM's srun.

Ends this process when another one of the same job has ended, so that nobody waits for it.

Launchers stop a job whose process failed, but not all do, and none sees a machine that lost its
power. Every process counts up a number in the store that brought them together; who sees one
stand still for `SILENCE` says whose it is and leaves.

How a process that computes on the CPU keeps its memory.
"""

import ctypes
import math
import os
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch.distributed.rendezvous import rendezvous

from ..zoo.errors import LostRankError, MixzooError, UsageError

T = TypeVar("T")
PATIENCE = timedelta(hours=12)  # the leader may have to fetch many weights first


@dataclass(frozen=True)
class World:
    """This process among those that torchrun or SLURM started; alone if none did."""

    rank: int
    size: int
    local_size: int  # processes on this machine
    device: torch.device
    local_rank: int = 0

    @property
    def leads(self) -> bool:
        """Whether this process prints, downloads and writes reports."""
        return self.rank == 0

    def gather(self, value: T) -> list[T]:
        """Every rank's value, in the order of ranks, on every rank.

        Raises LostRankError if a process ended.
        """
        if self.size == 1:
            return [value]
        values: list[T] = [value] * self.size
        try:
            dist.all_gather_object(values, value)
        except RuntimeError as error:
            raise LostRankError(
                f"Rank {self.rank} of {self.size} lost its connection: another process of this "
                f"job ended, and its own output says why ({str(error).splitlines()[0]}). "
                "Run the same command again: what was done is kept."
            ) from None
        return values

    def mean(self, values: Sequence[float]) -> list[float]:
        """The mean over ranks of some numbers, summed in float64, the same on every rank."""
        columns = zip(*self.gather(tuple(values)), strict=True)
        return [math.fsum(column) / self.size for column in columns]

    def leader_first(self, work: Callable[[], T]) -> T:
        """Do the same work on every rank, the leader before the others, so that it fetches for all.

        Raises on every rank what the first failing rank raised.
        """
        results: list[T] = []
        for my_turn in (self.leads, not self.leads):
            error = None
            if my_turn:
                try:
                    results.append(work())
                except MixzooError as raised:
                    error = raised
            self.agree(error)
        return results[0]

    def agree(self, error: MixzooError | None) -> None:
        """Raise on every rank the first error that any rank brings; else return on all."""
        first = next((e for e in self.gather(error) if e is not None), None)
        if first is not None:
            raise first


ALONE = World(rank=0, size=1, local_size=1, device=torch.device("cpu"))


@contextmanager
def join(device: str = "auto") -> Iterator[World]:
    """Join the processes that torchrun's or SLURM's environment describes, or stay alone.

    device: "auto" (CUDA if there is one), "cpu", "cuda" or "cuda:N". Raises UsageError for a
    device that isn't there, or an environment that contradicts itself.
    """
    place = launched(os.environ)
    world = World(
        rank=place.rank,
        size=place.size,
        local_size=place.local_size,
        device=_device(device, place.local_rank),
        local_rank=place.local_rank,
    )
    if world.size == 1:
        yield world
        return
    os.environ.update(place.rendezvous)
    store, _, _ = next(
        rendezvous("env://", rank=world.rank, world_size=world.size, timeout=PATIENCE)
    )
    if world.size == world.local_size:
        # With a port of its own, torchrun keeps one store over restarts, full of the dead's addresses.
        # (Agents of several nodes count restarts differently, but get a new store for each.)
        attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
        store = dist.PrefixStore(f"attempt/{attempt}", store)  # pyright: ignore[reportPrivateImportUsage]
    dist.init_process_group(
        "gloo", store=store, rank=world.rank, world_size=world.size, timeout=PATIENCE
    )
    try:
        with watch(store, world.rank, world.size):
            yield world
            world.gather(None)  # nobody leaves, and takes the store along, before all are done
    finally:
        dist.destroy_process_group()


def _device(name: str, local_rank: int) -> torch.device:
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError:
        raise UsageError(f"--device: expected auto, cpu, cuda or cuda:N, got {name!r}.") from None
    if device.type == "cuda":
        if not torch.cuda.is_available():
            raise UsageError(f"--device {name}: this machine has no CUDA device. Use --device cpu.")
        device = torch.device("cuda", local_rank if device.index is None else device.index)
        if device.index >= torch.cuda.device_count():
            raise UsageError(
                f"--device {name}: expected cuda:0 to cuda:{torch.cuda.device_count() - 1}, got "
                f"{device}. Start at most one process per GPU."
            )
        torch.cuda.set_device(device)
    return device


PORTS = range(20000, 40000)  # one is picked by SLURM's job id, so that jobs on one node don't meet


@dataclass(frozen=True)
class Place:
    """One process among `size`. rendezvous: variables that torch needs and the launcher didn't set."""

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    local_size: int = 1
    rendezvous: Mapping[str, str] = field(default_factory=dict)


def launched(environment: Mapping[str, str]) -> Place:
    """Read the launcher's variables; a process that nobody launched is alone.

    torchrun sets WORLD_SIZE and RANK. srun sets SLURM_STEP_NUM_TASKS for the tasks of this step;
    a batch script itself has none and is alone, whatever its job reserved.
    Raises UsageError naming a variable that is missing or no number.
    """
    if "WORLD_SIZE" in environment:
        size = _number(environment, "WORLD_SIZE")
        return Place(
            rank=_number(environment, "RANK"),
            size=size,
            local_rank=_number(environment, "LOCAL_RANK", "0"),
            local_size=_number(environment, "LOCAL_WORLD_SIZE", str(size)),
        )
    if _number(environment, "SLURM_STEP_NUM_TASKS", "1") > 1:
        return _slurm(environment)
    return Place()


def _slurm(environment: Mapping[str, str]) -> Place:
    rendezvous = {}
    if "MASTER_ADDR" not in environment:
        nodes = environment.get("SLURM_STEP_NODELIST") or environment.get("SLURM_JOB_NODELIST", "")
        rendezvous["MASTER_ADDR"] = first_node(nodes)
    if "MASTER_PORT" not in environment:
        job = _number(environment, "SLURM_JOB_ID", "0") + _number(environment, "SLURM_STEP_ID", "0")
        rendezvous["MASTER_PORT"] = str(PORTS[job % len(PORTS)])
    per_node = environment.get("SLURM_STEP_TASKS_PER_NODE") or environment["SLURM_STEP_NUM_TASKS"]
    node = _number(environment, "SLURM_NODEID", "0")
    return Place(
        rank=_number(environment, "SLURM_PROCID"),
        size=_number(environment, "SLURM_STEP_NUM_TASKS"),
        local_rank=_number(environment, "SLURM_LOCALID", "0"),
        local_size=_tasks_on(per_node, node),
        rendezvous=rendezvous,
    )


def first_node(nodes: str) -> str:
    """The first host of SLURM's list, like `node-[007-009,12],login`: "node-007".

    Raises UsageError if there is none.
    """
    match = re.match(r"([^\[,\s]+)(?:\[(\w+)[^\]]*\]([^,\s\[]*))?", nodes.strip())
    if not match:
        raise UsageError(
            f"SLURM_STEP_NODELIST: expected the names of this step's nodes, got {nodes!r}. "
            "Set MASTER_ADDR to the first node's name."
        )
    return "".join(part or "" for part in match.groups())


def _tasks_on(per_node: str, node: int) -> int:
    """SLURM's `4(x2),3` means 4, 4, 3 tasks on the nodes 0, 1, 2."""
    counts: list[int] = []
    for tasks, repeated in re.findall(r"(\d+)(?:\(x(\d+)\))?", per_node):
        counts += [int(tasks)] * int(repeated or 1)
    return counts[min(node, len(counts) - 1)] if counts else 1


def _number(environment: Mapping[str, str], name: str, default: str | None = None) -> int:
    text = environment.get(name, default)
    if text is None or not text.strip().isdecimal():
        raise UsageError(
            f"{name}: expected a number from the launcher, got {text!r}. Start with "
            "torchrun --nproc_per_node N -m mixzoo.eval ..., or srun mixzoo eval ..."
        )
    return int(text)


BEAT = 2.0  # seconds
SILENCE = 60.0
_DONE = 1 << 40  # what a finished process adds to its number: it may be silent from now on


@contextmanager
def watch(store: Any, rank: int, size: int) -> Iterator[None]:
    """Watch the other processes while the body runs. store: torch's `Store` that they share.

    A process that leaves the body, also by an exception, is done and isn't missed.
    """
    store = store.clone()  # a connection of its own: waiting on the other must not stop the beats
    stop = threading.Event()
    thread = threading.Thread(
        target=_listen, args=(store, rank, size, stop), daemon=True, name="watch"
    )
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _listen(store: Any, rank: int, size: int, stop: threading.Event) -> None:
    seen = {other: (0, time.monotonic()) for other in range(size) if other != rank}
    try:
        while not stop.wait(BEAT):
            store.add(f"beat/{rank}", 1)
            for other, (count, since) in seen.items():
                now = store.add(f"beat/{other}", 0)
                if now != count:
                    seen[other] = (now, time.monotonic())
                elif count < _DONE and time.monotonic() - since > SILENCE:
                    _leave(rank, f"rank {other} has not been heard of for {SILENCE:.0f} seconds")
        store.add(f"beat/{rank}", _DONE)
    except RuntimeError:  # torch's errors of the store: the process that holds it is gone
        if not stop.wait(BEAT):  # at the end of a job the store may go first
            _leave(rank, "the process that the others met at (rank 0, or torchrun's agent) is gone")


def _leave(rank: int, reason: str) -> None:
    sys.stderr.write(
        f"error: rank {rank} gives up: {reason}. Its own output says why. Run the same command "
        "again: what was done is kept.\n"
    )
    sys.stderr.flush()
    os._exit(
        LostRankError.exit_code
    )  # the main thread may wait in a collective that nothing interrupts


M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # malloc.h


def keep_freed_memory() -> bool:
    """Let glibc keep what tensors free for the next ones, from now on in this process.

    By default it asks the kernel for every large block and gives it back when it is freed, so that
    each page is cleared anew for each tensor: a third of ResNet-50's forward pass in fp32 on the
    machine of benchmarks/forward.py. Afterwards the process holds its peak of memory to its end.

    Not where the user tuned malloc or put another allocator in its place, nor with another libc.
    Returns whether it was done.
    """
    tuned = any(name.startswith("MALLOC_") for name in os.environ)
    if tuned or {"GLIBC_TUNABLES", "LD_PRELOAD"} & os.environ.keys() or sys.platform != "linux":
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
    return bool(mallopt and mallopt(M_MMAP_MAX, 0) and mallopt(M_TRIM_THRESHOLD, -1))
