"""How large a margin must be for fast arithmetic to be believed: measured, never assumed."""

import numpy as np
import torch

from .predictions import Mask, Predictions, FAST, Rows

SAFETY = 2.0
CALIBRATION = 128
SPOT_CHECKS = 64  # one in so many confident images is recomputed


def deviations(fast: torch.Tensor, exact: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """How far fast arithmetic moves what decides an image's prediction, in logit units.

    fast, exact: logits (B, C). labels: (B,). Returns (B,) float32: the largest change of a
    difference between any logit and that of the fast best class or of the label.
    """
    moved = fast.float() - exact.float()
    pivots = torch.stack((fast.argmax(1), labels.to(fast.device)), 1)
    at_pivots = moved.gather(1, pivots)  # (B, 2)
    above = moved.amax(1, keepdim=True) - at_pivots
    below = at_pivots - moved.amin(1, keepdim=True)
    return torch.maximum(above, below).amax(1)


class Guard:
    """The bound of one head."""

    def __init__(self, safety: float = SAFETY) -> None:
        self.safety = safety
        self.largest = 0.0
        self.checked = 0
        self.bound = 0.0

    def observe(self, deviation: np.ndarray) -> None:
        """Learn from images whose logits are known by both arithmetics. deviation: (n,)."""
        finite = deviation[np.isfinite(deviation)]
        self.checked += len(finite)
        self.largest = max(self.largest, float(finite.max(initial=0)))
        self.raise_to(self.safety * self.largest)

    def raise_to(self, bound: float) -> None:
        """Use at least this bound."""
        self.bound = max(self.bound, bound)

    def doubts(self, rows: Rows) -> Mask:
        """(n,) whether a prediction could be another in fp32."""
        return ~(np.minimum(rows.margin, rows.margin5) >= self.bound)

    def stale(self, predictions: Predictions) -> np.ndarray:
        """Images settled by fast arithmetic that the present bound doubts: (m,) int64."""
        least = np.minimum(predictions.margin, predictions.margin5)
        return np.flatnonzero((predictions.state == FAST) & ~(least >= self.bound))


def spot(indices: np.ndarray) -> Mask:
    """Which images are spot checks: about one in SPOT_CHECKS, by index alone (SplitMix64)."""
    x = indices.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return (x ^ (x >> np.uint64(31))) % np.uint64(SPOT_CHECKS) == 0
