"""Training logs in the format of the published ones: mmcv's `.log.json`, one JSON object a line.

Golden data: tests/golden/runs. The first line describes the run; then come `train` lines, each a
mean over the iterations since the last one, and one `val` line per epoch.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..eval.evaluator import Counts

DECIMALS = 5


class JsonLog:
    """Appends lines to a log file, each written out at once so that a killed run keeps its log."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._sums: dict[str, float] = {}
        self._count = 0
        path.write_text("", encoding="utf-8")

    def header(self, *, env_info: str, config: str, seed: int, exp_name: str) -> None:
        """The first line: software versions, the recipe's text, the seed and the run's name."""
        self._write({"env_info": env_info, "config": config, "seed": seed, "exp_name": exp_name})

    def add(self, values: Mapping[str, float]) -> None:
        """Take in one iteration: data_time, loss, acc, time, in the order of the line."""
        for name, value in values.items():
            self._sums[name] = self._sums.get(name, 0.0) + value
        self._count += 1

    def train(self, *, epoch: int, iteration: int, lr: float) -> None:
        """Write the means since the last train line. epoch, iteration: counted from 1."""
        means = {name: total / self._count for name, total in self._sums.items()}
        self._write({"mode": "train", "epoch": epoch, "iter": iteration, "lr": lr, **means})
        self._sums, self._count = {}, 0

    def val(self, *, epoch: int, batches: int, lr: float, heads: Mapping[str, Counts]) -> None:
        """Write every head's top-1 and top-5 in percent. batches: validation batches per rank.

        Iterations that no train line has covered are forgotten, as in mmcv.
        """
        accuracies: dict[str, float] = {}
        for head, counts in heads.items():
            accuracies |= {f"{head}_top1": counts.top1, f"{head}_top5": counts.top5}
        self._write({"mode": "val", "epoch": epoch, "iter": batches, "lr": lr, **accuracies})
        self._sums, self._count = {}, 0

    def _write(self, line: Mapping[str, Any]) -> None:
        rounded = {k: round(v, DECIMALS) if isinstance(v, float) else v for k, v in line.items()}
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(rounded) + "\n")
