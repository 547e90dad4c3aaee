"""What the processes of a run share: micro batches, gradients, the checkpoint to go on from."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from ..eval.world import World
from ..zoo.errors import CheckpointError, LostRankError, UsageError
from .checkpoints import latest
from .recipe import Recipe


def accumulation(recipe: Recipe, processes: int) -> int:
    """Micro batches of each process in a step. Raises UsageError unless they come out even."""
    micro = recipe.batch_size // recipe.micro_batch
    if micro % processes:
        fitting = ", ".join(str(n) for n in range(1, micro + 1) if micro % n == 0)
        raise UsageError(
            f"batch_size {recipe.batch_size} is {micro} micro batches of {recipe.micro_batch}, which "
            f"{processes} processes can't share evenly; start as many as fit ({fitting}), or set "
            "micro_batch to a smaller divisor"
        )
    return micro // processes


def checkpoint_to_go_on_from(out: Path, world: World) -> dict[str, Any] | None:
    """The leader's newest checkpoint, on all ranks: other machines may not see its folder, or late.

    Raises CheckpointError on all ranks.
    """
    error = None
    found: list[dict[str, Any] | None] = [None]
    if world.leads:
        try:
            found = [latest(out)]
        except CheckpointError as raised:
            error = raised
    world.agree(error)
    if world.size > 1:
        dist.broadcast_object_list(found)
    return found[0]


def parallel(step: nn.Module, world: World) -> nn.Module:
    """The step, its gradients averaged over all processes; rank 0's batch norm counts for all.

    Looking for unused parameters keeps the buckets in which gradients are summed as they are: torch
    would regroup them after the first step, and so again after an interruption, and the last bits of
    a sum over three or more processes may depend on it.
    """
    if world.size == 1:
        return step
    gpu = world.device.type == "cuda"
    group = dist.new_group(backend="nccl") if gpu else None
    return DistributedDataParallel(step, process_group=group, find_unused_parameters=not gpu)


def share_buffers(model: nn.Module, step: nn.Module) -> None:
    """Give all processes the first one's statistics of batch norm, in place. step: of `parallel`."""
    if isinstance(step, DistributedDataParallel):
        for buffer in model.buffers():
            dist.broadcast(buffer, src=0, group=step.process_group)


@contextmanager
def explained_losses(world: World) -> Iterator[None]:
    """Say what happened where gradients can't be averaged because a process is gone, or memory is."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise UsageError(
            f"Out of memory on the device ({str(error).splitlines()[0]}). Begin anew in another "
            "folder with a smaller micro_batch, or with precision=bf16."
        ) from None
    except RuntimeError as error:
        text = str(error)
        if "DataLoader worker" in text:
            raise UsageError(
                "A decoding process was killed, likely for memory. Give the same command with fewer "
                "--workers: it goes on from the last checkpoint."
            ) from None
        if world.size > 1 and any(word in text for word in ("gloo", "NCCL", "Connection closed")):
            raise LostRankError(
                f"Rank {world.rank} of {world.size} lost its connection: another process of this "
                f"job ended, and its own output says why ({text.splitlines()[0]}). "
                "Run the same command again: it goes on from the last checkpoint."
            ) from None
        raise
