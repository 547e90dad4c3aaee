"""The processes of one job: which of them this is, the few things they say, and how they end.

torchrun or SLURM's srun starts them. Everything said is small and lies on the CPU (counts,
predictions, errors), so gloo carries it on every kind of machine, and a process that dies closes
its connections: the others learn it at once when they listen, and within a minute while they
compute.
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
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch.distributed.rendezvous import rendezvous

from ..zoo.errors import LostRankError, MixzooError, UsageError

T = TypeVar("T")
CPU = torch.device("cpu")
PATIENCE = timedelta(hours=12)  # the leader may have to fetch many weights first
PORTS = range(20000, 40000)  # one is picked by SLURM's job id, so that jobs on one node don't meet
BEAT = 2.0  # seconds
SILENCE = 60.0
_DONE = 1 << 40  # what a finished process adds to its number: it may be silent from now on
M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # malloc.h


@dataclass(frozen=True)
class World:
    """This process among those that torchrun or SLURM started; alone if none did."""

    rank: int = 0
    size: int = 1
    local_size: int = 1  # processes on this machine
    device: torch.device = CPU
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


ALONE = World()


@contextmanager
def join(device: str = "auto") -> Iterator[World]:
    """Join the processes that torchrun's or SLURM's environment describes, or stay alone.

    From here on this process is one that computes: see `keep_freed_memory`.
    device: "auto" (CUDA if there is one), "cpu", "cuda" or "cuda:N". Raises UsageError for a
    device that isn't there, or an environment that contradicts itself.
    """
    keep_freed_memory()
    place, meeting = launched(os.environ)
    world = replace(place, device=_device(device, place.local_rank))
    if world.size == 1:
        yield world
        return
    os.environ.update(meeting)
    store, _, _ = next(
        rendezvous("env://", rank=world.rank, world_size=world.size, timeout=PATIENCE)
    )
    if world.size == world.local_size:
        # With a port of its own, torchrun keeps one store over restarts, full of the dead's
        # addresses. (Agents of several nodes count restarts differently, but get a new store for
        # each.)
        attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
        store = dist.PrefixStore(f"attempt/{attempt}", store)  # pyright: ignore[reportPrivateImportUsage]
    dist.init_process_group(
        "gloo", store=store, rank=world.rank, world_size=world.size, timeout=PATIENCE
    )
    try:
        with _watched(store, world):
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


def launched(environment: Mapping[str, str]) -> tuple[World, dict[str, str]]:
    """This process by the launcher's variables, and those that torch needs and nobody set.

    torchrun sets WORLD_SIZE and RANK. srun sets SLURM_STEP_NUM_TASKS for the tasks of this step;
    a batch script itself has none and is alone, whatever its job reserved. The device stays CPU.
    Raises UsageError naming a variable that is missing or no number.
    """

    def number(name: str, default: str | None = None) -> int:
        text = environment.get(name, default)
        if text is None or not text.strip().isdecimal():
            raise UsageError(
                f"{name}: expected a number from the launcher, got {text!r}. Start with "
                "torchrun --nproc_per_node N -m mixzoo.eval ..., or srun mixzoo eval ..."
            )
        return int(text)

    if "WORLD_SIZE" in environment:
        size = number("WORLD_SIZE")
        local_size, local_rank = number("LOCAL_WORLD_SIZE", str(size)), number("LOCAL_RANK", "0")
        return World(number("RANK"), size, local_size, local_rank=local_rank), {}
    size = number("SLURM_STEP_NUM_TASKS", "1")
    if size == 1:
        return World(), {}
    meeting = {}
    if "MASTER_ADDR" not in environment:
        nodes = environment.get("SLURM_STEP_NODELIST") or environment.get("SLURM_JOB_NODELIST", "")
        meeting["MASTER_ADDR"] = first_node(nodes)
    if "MASTER_PORT" not in environment:
        job = number("SLURM_JOB_ID", "0") + number("SLURM_STEP_ID", "0")
        meeting["MASTER_PORT"] = str(PORTS[job % len(PORTS)])
    per_node = environment.get("SLURM_STEP_TASKS_PER_NODE") or str(size)
    local_size = _tasks_on(per_node, number("SLURM_NODEID", "0"))
    local_rank = number("SLURM_LOCALID", "0")
    return World(number("SLURM_PROCID"), size, local_size, local_rank=local_rank), meeting


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


@contextmanager
def _watched(store: Any, world: World) -> Iterator[None]:
    """End this process when another one has ended while the body runs, so that nobody waits for it.

    Launchers stop a job whose process failed, but not all do, and none sees a machine that lost its
    power. Every process counts up a number in the store (torch's) that brought them together; who
    sees one stand still for `SILENCE` says whose it is and leaves. A process that leaves the body,
    also by an exception, is done and isn't missed.
    """
    store = store.clone()  # a connection of its own: waiting on the other must not stop the beats
    stop = threading.Event()
    thread = threading.Thread(target=_listen, args=(store, world, stop), daemon=True, name="watch")
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _listen(store: Any, world: World, stop: threading.Event) -> None:
    others = [rank for rank in range(world.size) if rank != world.rank]
    seen = dict.fromkeys(others, (0, time.monotonic()))
    try:
        while not stop.wait(BEAT):
            store.add(f"beat/{world.rank}", 1)
            for other, (count, since) in seen.items():
                now = store.add(f"beat/{other}", 0)
                if now != count:
                    seen[other] = (now, time.monotonic())
                elif count < _DONE and time.monotonic() - since > SILENCE:
                    _leave(world, f"rank {other} was not heard of for {SILENCE:.0f} seconds")
        store.add(f"beat/{world.rank}", _DONE)
    except RuntimeError:  # torch's errors of the store: the process that holds it is gone
        if not stop.wait(BEAT):  # at the end of a job the store may go first
            _leave(world, "the process that the others met at (rank 0, torchrun's agent) is gone")


def _leave(world: World, reason: str) -> None:
    sys.stderr.write(
        f"error: rank {world.rank} gives up: {reason}. Its own output says why. Run the same "
        "command again: what was done is kept.\n"
    )
    sys.stderr.flush()
    # The main thread may wait in a collective that nothing interrupts.
    os._exit(LostRankError.exit_code)


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
