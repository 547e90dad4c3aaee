"""What a run shows to TensorBoard: losses, accuracies, and the images that it trains on."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from ..eval.predictions import Counts
from ..zoo.errors import UsageError
from ..zoo.manifest import Protocol
from ..zoo.nets import MixClassifier
from .run import Run

SHOWN = 8  # images in a sample grid


class Board:
    """Receives a run's numbers; this one, of a run without TensorBoard, forgets them."""

    def train(self, iteration: int, values: Mapping[str, float]) -> None:
        """The values of a train line of the log. iteration: steps done."""

    def val(self, iteration: int, heads: Mapping[str, Counts]) -> None:
        """The counts of a validation."""


class TensorBoard(Board):
    """Writes event files; after each epoch also a grid of mixed images."""

    def __init__(self, writer: Any, model: nn.Module, protocol: Protocol) -> None:
        self.writer, self.protocol = writer, protocol
        self.seen: Tensor | None = None
        backbone = "backbone_q" if isinstance(model, MixClassifier) else "backbone"
        model.get_submodule(backbone).register_forward_pre_hook(self._see)

    def train(self, iteration: int, values: Mapping[str, float]) -> None:
        """One curve for each value, below `train/`."""
        for name, value in values.items():
            self.writer.add_scalar(f"train/{name}", value, iteration)

    def val(self, iteration: int, heads: Mapping[str, Counts]) -> None:
        """Top-1 and top-5 of each head below `val/`, and what the backbone saw last."""
        for head, counts in heads.items():
            self.writer.add_scalar(f"val/{head}_top1", counts.top1, iteration)
            self.writer.add_scalar(f"val/{head}_top5", counts.top5, iteration)
        if self.seen is not None:
            self.writer.add_images("train/mixed", self._pixels(self.seen), iteration)
        self.writer.flush()

    def _see(self, module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        """Keep images that the backbone trains on; hidden states (ManifoldMix) are none."""
        if module.training and inputs[0].shape[1] == 3:
            self.seen = inputs[0][:SHOWN].detach().clone()

    def _pixels(self, x: Tensor) -> Tensor:
        """Normalised images (N, 3, H, W) as they look: float32 in [0, 1], on the CPU."""
        mean, std = (torch.tensor(v).view(3, 1, 1) for v in (self.protocol.mean, self.protocol.std))
        return (x.float().cpu() * std + mean).clamp(0, 1)


@contextmanager
def board_of(run: Run, protocol: Protocol) -> Iterator[Board]:
    """TensorBoard's files, where the run wants them and on one process only.

    protocol: how its images are normalised.
    """
    folder = run.how.tensorboard
    if folder is None or not run.world.leads:
        yield Board()
        return
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise UsageError(
            "--tensorboard: the package tensorboard isn't installed. Run: "
            "pip install 'mixzoo[tensorboard]', or leave the option out."
        ) from None
    # Hides what an interrupted run wrote after the checkpoint; the step of the checkpoint stays.
    writer = SummaryWriter(str(folder), purge_step=run.iteration + 1)
    try:
        yield TensorBoard(writer, run.model, protocol)
    finally:
        writer.close()
