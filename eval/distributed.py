"""The few things that processes of one evaluation say to each other.

Everything said is small and lies on the CPU (counts, predictions, errors), so gloo carries it on
every kind of machine, and a process that dies closes its connections: the others learn it at once
when they listen, and within a minute while they compute.
"""

import math
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import torch
import torch.distributed as dist
from torch.distributed.rendezvous import rendezvous

from ..zoo.errors import LostRankError, MixzooError, UsageError
from .launch import launched
from .watch import watch

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
