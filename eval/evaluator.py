"""Exact accuracy: integer hits, summed once over all ranks, divided once at the end."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import torch

from ..zoo.data import LabelledImages
from ..zoo.errors import CheckpointError, DataError, MixzooError
from ..zoo.manifest import Protocol
from .distributed import World
from .loader import Batch, batches, default_workers
from .predictions import Counts
from .protocol import normalise

HeadLogits = Callable[[torch.Tensor], Mapping[str, torch.Tensor]]
BATCH_SIZE = 64


def evaluate(
    logits: HeadLogits,
    images: LabelledImages,
    protocol: Protocol,
    *,
    batch_size: int = BATCH_SIZE,
    workers: int | None = None,
    world: World | None = None,
    progress: Callable[[int], object] | None = None,
) -> dict[str, Counts]:
    """Count hits of every head on all images, in fp32.

    logits: (N, 3, crop, crop) float32 -> {head name: (N, C)}; a model in eval mode on the world's
    device. workers: decoding processes per rank, None picks by cores. world: from
    `distributed.join`; None evaluates in this process on the CPU. progress: called with the
    number of images done, per batch, on this rank.
    Raises DataError (an undecodable image, a label that the head doesn't have) or CheckpointError
    (logits that aren't finite) on every rank if any rank meets one.
    """
    world = world or World(0, 1, 1, torch.device("cpu"))
    workers = default_workers(world.local_size) if workers is None else workers
    hits: dict[str, torch.Tensor] = {}
    failure: MixzooError | None = None
    try:
        with exact_fp32():
            for batch in batches(
                images,
                protocol,
                batch_size=batch_size,
                workers=workers,
                rank=world.rank,
                world_size=world.size,
            ):
                for head, counted in _count(logits, batch, protocol, world.device).items():
                    hits[head] = hits.get(head, torch.zeros_like(counted)) + counted
                if progress:
                    progress(len(batch.labels))
    except MixzooError as error:
        failure = error
    world.agree(failure)
    return _totals(hits, len(images), world)


def _count(
    logits: HeadLogits, batch: Batch, protocol: Protocol, device: torch.device
) -> dict[str, torch.Tensor]:
    """Hits of one batch per head: int64 (3,) = top-1 hits, top-5 hits, images."""
    labels = batch.labels.to(device)
    with torch.inference_mode():
        outputs = logits(normalise(batch.crops.to(device), protocol))
    counted = {}
    for head, z in outputs.items():  # z: (B, C)
        if int(labels.max()) >= z.shape[1]:
            raise DataError(
                f"The data has label {int(labels.max())}, but head {head} has only {z.shape[1]} "
                "classes (labels start at 0). Is this the data set that the checkpoint knows?"
            )
        if not bool(torch.isfinite(z).all()):
            raise CheckpointError(
                f"Head {head} gives logits that aren't finite numbers, so there is nothing to rank. "
                "The weights are damaged, or were saved after training diverged."
            )
        ranked = z.topk(min(5, z.shape[1]), dim=1).indices  # (B, 5)
        top1 = z.argmax(dim=1) == labels
        top5 = (ranked == labels[:, None]).any(dim=1)
        counted[head] = torch.tensor([int(top1.sum()), int(top5.sum()), len(labels)])
    return counted


def _totals(hits: dict[str, torch.Tensor], images: int, world: World) -> dict[str, Counts]:
    """Sum over ranks, in one call and with heads in one order, also where a rank had no batch."""
    names = _head_names(list(hits), world)
    none = torch.zeros(3, dtype=torch.int64)
    summed = world.sum(torch.stack([hits.get(name, none) for name in names]))
    counts = {name: Counts(*row.tolist()) for name, row in zip(names, summed, strict=True)}
    for name, count in counts.items():
        if count.total != images:
            raise AssertionError(f"head {name}: counted {count.total} of {images} images")
    return counts


def _head_names(mine: list[str], world: World) -> list[str]:
    if world.size == 1:
        return mine
    gathered: list[list[str]] = [[] for _ in range(world.size)]
    torch.distributed.all_gather_object(gathered, mine)
    return max(gathered, key=len)  # a rank without a batch has no names


@contextmanager
def exact_fp32() -> Iterator[None]:
    """IEEE fp32 on every device; cuDNN would otherwise use TF32 for convolutions."""
    matmul = torch.backends.cuda.matmul
    before, matmul.allow_tf32 = matmul.allow_tf32, False
    try:
        with torch.backends.cudnn.flags(benchmark=False, deterministic=True, allow_tf32=False):
            yield
    finally:
        matmul.allow_tf32 = before
