"""What a run's own config says about its schedule and its validation; read, never executed.

mmcv logs carry the config as Python text (`name = dict(key=value, ...)`), mixzoo's own a recipe of
`name = value` lines.
"""

import re
from dataclasses import dataclass
from typing import Any

from ...zoo.checkpoint.config import parse

# The one thing asked for that isn't a literal: the launcher writes the number of processes so.
_GPU_IDS = re.compile(r"^gpu_ids = range\(0, (\d{1,6})\)$", re.MULTILINE | re.ASCII)


@dataclass(frozen=True)
class Settings:
    """Each is None where the config doesn't say it. val_batch: validation images per rank and batch.

    train_batch: training images per rank and batch. ranks: processes.
    """

    epochs: int | None = None
    lr: float | None = None
    min_lr: float | None = None
    train_batch: int | None = None
    val_batch: int | None = None
    ranks: int | None = None


def read_settings(text: str) -> Settings:
    """Settings from the text of a config; what isn't a plain value there isn't said."""
    config = parse(text)
    ranks = _GPU_IDS.search(text)
    floor = config.get("lr_config", "min_lr")
    return Settings(
        epochs=_count(config.get("runner", "max_epochs") or config.get("epochs")),
        lr=_number(config.get("optimizer", "lr") or config.get("lr")),
        min_lr=_number(config.get("min_lr") if floor is None else floor),
        train_batch=_count(config.get("data", "imgs_per_gpu") or config.get("batch_size")),
        val_batch=_count(config.get("evaluation", "imgs_per_gpu")),
        ranks=_count(int(ranks[1])) if ranks else None,
    )


def _count(value: Any) -> int | None:
    return value if type(value) is int and 0 < value < 10**9 else None


def _number(value: Any) -> float | None:
    return float(value) if type(value) in (int, float) and 0 <= value < 10**9 else None
