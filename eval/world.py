"""The processes of one job: which of them this is, the few things they say, and how they end.

torchrun or SLURM's srun starts them. Everything said is small and lies on the CPU (counts,
predictions, errors), so gloo carries it on every kind of machine, and a process that dies closes
its connections: the others learn it at once when they listen, and within a minute while they
compute.
"""

import ctypes
import logging
import math
import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist

from ..zoo.devices import device_of
from ..zoo.errors import LostRankError, MixzooError, UsageError, several
from ..zoo.launcher import Place, launched
from ..zoo.parallel import MOMENT

logger = logging.getLogger(__name__)
T = TypeVar("T")
CPU = torch.device("cpu")
PATIENCE = timedelta(hours=12)  # the leader may have to fetch many weights first
SOON = 3.0  # seconds after which a process that waits says so
BEAT = 2.0  # seconds
SILENCE = 60.0
_DONE = 1 << 40  # what a finished process adds to its number: it may be silent from now on
_STOPPED = 1 << 41  # what one adds that was stopped, as by a signal: the others can't finish
GRACE = 8.0  # seconds in which they may notice by themselves, and save what is done
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
    device that isn't there, or an environment that contradicts itself; LostRankError if not all
    come.
    """
    keep_freed_memory()
    place = launched(os.environ)
    chosen = device_of(device, place.local_rank)
    if chosen.type == "cuda":
        torch.cuda.set_device(chosen)
    world = World(place.rank, place.size, place.local_size, chosen, place.local_rank)
    if world.size == 1:
        yield world
        return
    store = _met(place)
    try:
        with _watched(store, world):
            dist.init_process_group(
                "gloo", store=store, rank=world.rank, world_size=world.size, timeout=PATIENCE
            )
            yield world
            world.gather(None)  # nobody leaves, and takes the store along, before all are done
    except MixzooError as error:
        error.told = not world.leads and not isinstance(error, LostRankError)
        raise
    finally:
        if dist.is_initialized():
            dist.destroy_process_group()


def _met(place: Place) -> Any:
    """The store (torch's) that rank 0 or torchrun holds, once all ranks of this job are there.

    Waiting is done in short steps, so that a signal ends it. Raises LostRankError if some don't
    come within MIXZOO_MEETING_SECONDS, UsageError for an address that can't be.
    """
    says, ends = time.monotonic() + SOON, time.monotonic() + place.patience
    at = f"{place.host}:{place.port}"
    agent = os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True"  # torchrun holds the store

    def wait(missing: str) -> None:
        nonlocal says
        waits = f"Rank {place.rank} of {place.size} waits at {at} for {missing}"
        if time.monotonic() > ends:
            raise LostRankError(
                f"{waits}, in vain for {place.patience} seconds (MIXZOO_MEETING_SECONDS). "
                f"{place.advice}"
            )
        if time.monotonic() > says:
            logger.warning("%s, up to %d seconds. %s", waits, place.patience, place.advice)
            says = math.inf
        time.sleep(MOMENT)

    hosts = place.rank == 0 and not agent
    while not hosts and (silence := _silence(place)):
        wait(f"{'torchrun' if agent else 'rank 0'} ({silence})")
    try:
        store: Any = dist.TCPStore(  # pyright: ignore[reportPrivateImportUsage]
            "localhost" if hosts else place.host,
            place.port,
            is_master=hosts,
            wait_for_workers=False,
            multi_tenant=True,
            timeout=timedelta(seconds=10),
        )
    except RuntimeError as error:
        said = str(error).splitlines()[0]
        raise UsageError(
            f"MASTER_ADDR, MASTER_PORT: the processes of this job can't meet at {at} ({said}). "
            f"{place.advice}"
        ) from None
    store.set_timeout(PATIENCE)
    if place.size == place.local_size:
        # With a port of its own, torchrun keeps one store over restarts, full of the dead's
        # addresses. (Agents of several nodes count restarts differently, but get a new store for
        # each.)
        attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
        store = dist.PrefixStore(f"attempt/{attempt}", store)  # pyright: ignore[reportPrivateImportUsage]
    try:
        store.set(f"here/{place.rank}", "")
        while absent := [r for r in range(place.size) if not store.check([f"here/{r}"])]:
            wait(f"rank {several(absent)}")
    except RuntimeError as error:
        raise LostRankError(
            f"Rank {place.rank} of {place.size} met the others at {at}, but what they met at is "
            f"gone ({str(error).splitlines()[0]}). Run the same command again."
        ) from None
    return store


def _silence(place: Place) -> str:
    """Why nothing answers where the processes meet, "" if something does.

    torch would tell in many lines. A name may be known later: a cluster may start machines in turn.
    """
    try:
        socket.create_connection((place.host, place.port), timeout=SOON).close()
    except (OSError, UnicodeError) as error:
        return getattr(error, "strerror", None) or str(error)
    return ""


@contextmanager
def _watched(store: Any, world: World) -> Iterator[None]:
    """End this process when another one has ended while the body runs, so that nobody waits for it.

    Launchers stop a job whose process failed, but not all do, and none sees a machine that lost its
    power. Every process counts up a number in the store (torch's) that brought them together; who
    sees one stand still for `SILENCE` says whose it is and leaves. A process that leaves the body,
    also by an error, is done and isn't missed; one that a signal stopped takes the others along.
    """
    store = store.clone()  # a connection of its own: waiting on the other must not stop the beats
    stop, mark = threading.Event(), [_DONE]
    arguments = (store, world, stop, mark)
    thread = threading.Thread(target=_listen, args=arguments, daemon=True, name="watch")
    thread.start()
    try:
        yield
    except BaseException as error:
        if not isinstance(error, MixzooError):  # which all ranks raise, or learn of
            mark[0] = _STOPPED
        raise
    finally:
        stop.set()
        thread.join(BEAT)  # it may wait for a store whose machine has stopped


def _listen(store: Any, world: World, stop: threading.Event, mark: Sequence[int]) -> None:
    others = [rank for rank in range(world.size) if rank != world.rank]
    seen = dict.fromkeys(others, (0, time.monotonic()))
    try:
        while not stop.wait(BEAT):
            store.add(f"beat/{world.rank}", 1)
            for other, (count, since) in seen.items():
                now, silent = store.add(f"beat/{other}", 0), time.monotonic() - since
                if now != count:
                    seen[other] = (now, time.monotonic())
                elif count >= _STOPPED and silent > GRACE:
                    _leave(world, f"rank {other} was stopped")
                elif count < _DONE and silent > SILENCE:
                    _leave(world, f"rank {other} was not heard of for {SILENCE:.0f} seconds")
        store.add(f"beat/{world.rank}", mark[0])
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
