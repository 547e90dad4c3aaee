"""Which values a recipe can be trained with, checked before any data is read."""

import math
from typing import Any, NamedTuple

from ..zoo.errors import UsageError


class Range(NamedTuple):
    """Numbers from `low` to `high`, `high` itself excluded where `below` says so."""

    low: float
    high: float = math.inf
    below: bool = True

    def holds(self, value: float) -> bool:
        """Whether a number is in it; NaN and infinity never are."""
        return self.low <= value and (value < self.high if self.below else value <= self.high)

    def __str__(self) -> str:
        if self.high == math.inf:
            return f"{self.low:g} or more, and finite"
        return f"{self.low:g} to {'below ' if self.below else ''}{self.high:g}"


RANGES = {
    "num_classes": Range(1),
    "epochs": Range(1),
    "batch_size": Range(1),
    "micro_batch": Range(1),
    "crop": Range(1),
    "mix_repeat": Range(1),
    "lr": Range(0),
    "min_lr": Range(0),
    "momentum": Range(0, 1),
    "weight_decay": Range(0),
    "seed": Range(0, 2**63),  # what torch's and numpy's generators both take
    "log_every": Range(1),
    "automix.mask_loss": Range(0),
    "automix.mask_adjust": Range(0, 1, below=False),
    "automix.lam_margin": Range(0, 0.5, below=False),
    "automix.momentum": Range(0, 1, below=False),
    "automix.momentum_end": Range(0, 1, below=False),
    "automix.min_lr": Range(0),
}
"""Field -> its values."""


def require_in_range(name: str, value: Any) -> None:
    """Raise UsageError for a number that the field of this name can't have."""
    numbers: tuple[Any, ...] = value if isinstance(value, tuple) else (value,)
    for number in numbers:
        if isinstance(number, float) and not math.isfinite(number):
            raise UsageError(f"expected {name} to be finite, got {number}; correct the value")
    if name in RANGES and not RANGES[name].holds(numbers[0]):
        raise UsageError(f"expected {name} of {RANGES[name]}, got {value}; correct the value")
