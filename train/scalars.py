"""What a run shows to TensorBoard: losses, accuracies, and the images that it trains on."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

from ..eval.predictions import Counts
from ..zoo.architectures import MixClassifier
from ..zoo.errors import UsageError
from .mixing.normalization import denormalize
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

    def __init__(self, writer: Any, model: nn.Module) -> None:
        self.writer = writer
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
            self.writer.add_images("train/mixed", self.seen, iteration)
        self.writer.flush()

    def _see(self, module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        """Keep images that the backbone trains on; hidden states (ManifoldMix) are none."""
        if module.training and inputs[0].shape[1] == 3:
            self.seen = denormalize(inputs[0][:SHOWN].detach()).clamp(0, 1).float().cpu()


@contextmanager
def board_of(run: Run) -> Iterator[Board]:
    """TensorBoard's files, where the run wants them and on one process only."""
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
    # After an interruption, later values of the run before it are hidden.
    writer = SummaryWriter(str(folder), purge_step=run.iteration)
    try:
        yield TensorBoard(writer, run.model)
    finally:
        writer.close()


__all__ = ["Board", "TensorBoard", "board_of"]
