"""The few things that processes of one evaluation say to each other."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import torch
import torch.distributed as dist

from ..zoo.errors import MixzooError, UsageError

T = TypeVar("T")


@dataclass(frozen=True)
class World:
    """This process among those that torchrun started; alone if none did."""

    rank: int
    size: int
    local_size: int  # processes on this machine
    device: torch.device

    @property
    def leads(self) -> bool:
        """Whether this process prints, downloads and writes reports."""
        return self.rank == 0

    def sum(self, counts: torch.Tensor) -> torch.Tensor:
        """Sum an integer tensor over all ranks; every rank gets the result."""
        if self.size > 1:
            counts = counts.to(self.device)
            dist.all_reduce(counts)
        return counts.cpu()

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
        if self.size == 1:
            errors: list[MixzooError | None] = [error]
        else:
            errors = [None] * self.size
            dist.all_gather_object(errors, error)
        first = next((e for e in errors if e is not None), None)
        if first is not None:
            raise first


@contextmanager
def join(device: str = "auto") -> Iterator[World]:
    """Join the process group that torchrun's environment describes, or stay alone.

    device: "auto" (CUDA if there is one), "cpu", "cuda" or "cuda:N". Backend: nccl on CUDA, gloo
    on CPU. Raises UsageError for a device that isn't there.
    """
    size = _variable("WORLD_SIZE", 1)
    world = World(
        rank=_variable("RANK", 0),
        size=size,
        local_size=_variable("LOCAL_WORLD_SIZE", size),
        device=_device(device, _variable("LOCAL_RANK", 0)),
    )
    if size == 1:
        yield world
        return
    dist.init_process_group("nccl" if world.device.type == "cuda" else "gloo")
    try:
        yield world
    finally:
        dist.destroy_process_group()


def _variable(name: str, default: int) -> int:
    return int(os.environ.get(name, default=str(default)))


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
        torch.cuda.set_device(device)
    return device
