"""What a run tells while it trains: a log in the format of published ones, and TensorBoard's files.

The log is mmcv's `.log.json`, one JSON object a line (golden data: tests/golden/runs): first what
the run is, then `train` lines, each a mean over the iterations since the last one, and one `val`
line per epoch.
"""

import json
import os
import platform
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import PIL
import torch

from .. import __version__
from ..eval.predictions import Counts
from ..zoo.errors import DataError, UsageError

DECIMALS = 5
Show = Callable[[str, int, Mapping[str, float]], None]


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

        What was written so far is on the disk by then: it must outlive whatever the checkpoint
        does.
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

    def val(
        self, *, epoch: int, batches: int, lr: float, heads: Mapping[str, Counts]
    ) -> dict[str, float]:
        """Write every head's top-1 and top-5 in percent, and return them.

        batches: validation batches per rank.

        Iterations that no train line has covered are forgotten, as in mmcv.
        """
        accuracies: dict[str, float] = {}
        for head, counts in heads.items():
            accuracies |= {f"{head}_top1": counts.top1, f"{head}_top5": counts.top5}
        self._write({"mode": "val", "epoch": epoch, "iter": batches, "lr": lr, **accuracies})
        self._sums, self._count = {}, 0
        return accuracies

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


@contextmanager
def tensorboard(folder: Path | None, steps: int) -> Iterator[Show]:
    """What shows numbers in TensorBoard: `show(group, step, values)`. folder: None shows nothing.

    steps: that lie behind the run; what an interrupted run wrote after its checkpoint is hidden.
    """
    if folder is None:
        yield lambda group, step, values: None
        return
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise UsageError(
            "--tensorboard: the package tensorboard isn't installed. Run: "
            "pip install 'mixzoo[tensorboard]', or leave the option out."
        ) from None
    writer = SummaryWriter(str(folder), purge_step=steps + 1)

    def show(group: str, step: int, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            writer.add_scalar(f"{group}/{name}", value, step)
        writer.flush()

    try:
        yield show
    finally:
        writer.close()
