"""What a run tells while it trains: a log in the format of the published ones, and TensorBoard's files.

The log is mmcv's `.log.json`, one JSON object a line (golden data: tests/golden/runs): first what the
run is, then `train` lines, each a mean over the iterations since the last one, and one `val` line per
epoch.
"""

import json
import os
import platform
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import PIL
import torch
from torch import Tensor, nn

from .. import __version__
from ..eval.predictions import Counts
from ..zoo.errors import DataError, UsageError
from ..zoo.manifest import Protocol
from ..zoo.nets import MixClassifier

DECIMALS = 5
SHOWN = 8  # images in a sample grid


class JsonLog:
    """Appends lines to a log file, each written out at once so that a killed run keeps its log."""

    def __init__(self, path: Path | None, state: Mapping[str, Any] | None = None) -> None:
        """Begin a log, or go on with one as it was when `state()` was taken.

        path: None writes nothing. Lines that were written after `state` are cut off: the run will
        write them again. Raises DataError for a file that has lost lines since.
        """
        self.path = path
        self._sums: dict[str, float] = dict(state["sums"]) if state else {}
        self._count = state["count"] if state else 0
        if path:
            self._cut(path, state["bytes"] if state else 0)

    def state(self) -> dict[str, Any]:
        """What a checkpoint needs so that the log can go on after an interruption.

        What was written so far is on the disk by then: it must outlive whatever the checkpoint does.
        """
        size = 0
        if self.path:
            with self.path.open("rb") as file:
                os.fsync(file.fileno())
                size = os.fstat(file.fileno()).st_size
        return {"bytes": size, "sums": self._sums, "count": self._count}

    def header(self, *, env_info: str, config: str, seed: int, exp_name: str) -> None:
        """The first line: software versions, the recipe's text, the seed and the run's name."""
        self._write({"env_info": env_info, "config": config, "seed": seed, "exp_name": exp_name})

    def add(self, values: Mapping[str, float]) -> None:
        """Take in one iteration: data_time, loss, acc, time, in the order of the line."""
        for name, value in values.items():
            self._sums[name] = self._sums.get(name, 0.0) + value
        self._count += 1

    def train(self, *, epoch: int, iteration: int, lr: float) -> dict[str, float]:
        """Write the means since the last train line, and return them. Counted from 1."""
        means = {name: total / self._count for name, total in self._sums.items()}
        self._write({"mode": "train", "epoch": epoch, "iter": iteration, "lr": lr, **means})
        self._sums, self._count = {}, 0
        return means

    def val(self, *, epoch: int, batches: int, lr: float, heads: Mapping[str, Counts]) -> None:
        """Write every head's top-1 and top-5 in percent. batches: validation batches per rank.

        Iterations that no train line has covered are forgotten, as in mmcv.
        """
        accuracies: dict[str, float] = {}
        for head, counts in heads.items():
            accuracies |= {f"{head}_top1": counts.top1, f"{head}_top5": counts.top5}
        self._write({"mode": "val", "epoch": epoch, "iter": batches, "lr": lr, **accuracies})
        self._sums, self._count = {}, 0

    @staticmethod
    def _cut(path: Path, size: int) -> None:
        path.touch()
        if path.stat().st_size < size:
            raise DataError(
                f"{path}: expected {size} bytes or more, as when the checkpoint was written, got "
                f"{path.stat().st_size}. Put the log back, or train anew in another folder."
            )
        os.truncate(path, size)

    def _write(self, line: Mapping[str, Any]) -> None:
        if not self.path:
            return
        rounded = {k: round(v, DECIMALS) if isinstance(v, float) else v for k, v in line.items()}
        try:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(rounded) + "\n")
        except OSError as error:
            raise DataError(
                f"{self.path}: can't be written: {error.strerror}. Make room, then give the same "
                "command: it goes on from the last checkpoint."
            ) from None


def environment() -> str:
    """The versions that a run depends on, one a line."""
    versions = {
        "sys.platform": platform.system().lower(),
        "Python": platform.python_version(),
        "PyTorch": torch.__version__,
        "Pillow": PIL.__version__,
        "mixzoo": __version__,
    }
    return "\n".join(f"{name}: {version}" for name, version in versions.items())


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
def board_in(
    folder: Path | None, model: nn.Module, protocol: Protocol, iteration: int
) -> Iterator[Board]:
    """TensorBoard's files in a folder; None shows nothing.

    protocol: how the model's images are normalised. iteration: steps that lie behind the run.
    """
    if folder is None:
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
    writer = SummaryWriter(str(folder), purge_step=iteration + 1)
    try:
        yield TensorBoard(writer, model, protocol)
    finally:
        writer.close()
