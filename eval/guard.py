"""How large a margin must be for fast arithmetic to be believed: measured, never assumed.

Fast arithmetic changes a prediction only if it moves a difference of logits by more than the
image's margin. How far it moves them is measured on images that are computed both ways: the first
`CALIBRATION` of a run, then every image whose margin is doubted, and a few that aren't
(`spot`). The bound is `SAFETY` times the largest movement seen, of any class of any such image.

What moves the logits of all images alike, as rounded weights do, changes no bound: its mean over
the first images is taken off (`Guard.offset`). An image's deviation is the largest change that is
left of a difference that could decide; a class that is far from deciding counts by its distance
(`deviations`). What decides is less: the change for the few classes within the margin.
So a prediction that was believed is wrong only if the image deviates by more than SAFETY times
everything seen, and just in a close competitor. How likely that is, step by step:

- Among exchangeable images the next one exceeds the largest of n with probability 1 / (n + 1),
  whatever the distribution. That alone wouldn't do for 24,426 images.
- Twice the largest is another matter. Deviations within a model were seen to spread by a
  standard deviation of 0.3 to 0.6 of their logarithm (1.2 in a net that was hardly trained; 0.3 to
  0.4 in trained ones since the mean is taken off), where
  the largest of 128 lies about 2.5 of them above the median, and twice that 3.6 or more (3.1).
- Tried on 16 trained heads, 200 random samples of 128 of their 1,000 images each, without learning
  afterwards: 0 to 0.04 images per try deviated by more than the bound, and none was believed and
  wrong. Nor was any at half the safety; at a quarter it was one image in 100 tries of one
  head (benchmarks/guard.py, in bf16).
- The sample grows: doubted images and spot checks come from the whole run, not from its start.
- Simulated with lognormal deviations: runs of 24,426
  images, 40 classes. Spread by 0.3 (0.6), 1 image in 70,000 (3,500) lies above the first bound, so
  in a fifth (three quarters) of the runs some image does; of 100 runs none had a wrong belief.
  Spread by 1.2, 30 beliefs in 60 runs were wrong under the first bound, none under the last.
- A deviation above all before raises the bound, and `stale` names what was believed under
  the smaller one. So the first sample decides the cost, the last bound the predictions.

**What comes out doesn't depend on order, processes or interruptions.** The images that are computed
in fp32 are the first ones, the spot checks, those beyond `Reach`, and those whose margin the bound
doubts; the bound is of all of them. A larger bound doubts more images, and more images give no
smaller bound, so there is one smallest set that agrees with itself; whoever starts from the same
first images and goes on until nothing is stale arrives there. What a summary says is counted in the
predictions, not on the way.

That is no theorem. An image whose error is unlike all others', and whose margin is large, is found
by no rule that learns from a sample unless it computes that image: not by more spot checks, a wider
bound, or one that follows the tail seen (benchmarks/guard_rules.py, docs/precision.md). But
rounding is relative, so what errs a hundredfold was large somewhere on its way. `Reach` therefore
doubts an image with an activation above SAFETY times the largest of those that the bound was learnt
from.

Why not relative to the scale of the logits: it predicts the deviation for random weights
(correlation 0.9), hardly for trained ones (0.02 to 0.4, by rank), and would need a column of its
own. Why a hundred classes and not close competitors only: that bound is two to three times smaller
and rests on so few numbers that half of the samples of 128 left images above it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from .predictions import EXACT, TOP, Mask, Precision, Predictions, Rows

if TYPE_CHECKING:
    import torch

Numbers = npt.NDArray[np.float32]

SAFETY = 2.0
CALIBRATION = 128  # images
SPOT_CHECKS = 64  # one in so many believed images is computed both ways
NEAREST = 100  # classes, of which a change counts whatever their distance
TIE = 1e-4  # logit units: fp32 itself differs by as much between machines and layouts


def deviations(
    fast: "torch.Tensor", exact: "torch.Tensor", labels: "torch.Tensor"
) -> "torch.Tensor":
    """How far fast arithmetic moves what decides an image's prediction, in logit units.

    fast, exact: logits (B, C). labels: (B,). Returns (B,) float32: the largest change of a
    difference between the fast best class and any other, or between the label and the classes on
    the other side of the line below the fifth. The NEAREST classes count fully, a farther one by
    their distance over its own: to matter it must come all that way, and with 8,142 classes the
    largest of all changes says little of those few that compete.
    """
    moved, pivot = fast.float() - exact.float(), labels.to(fast.device)[:, None]
    first = fast.topk(min(TOP, fast.shape[1])).indices
    inside = moved.new_zeros(moved.shape).bool().scatter_(1, first, value=True)
    sides = (first[:, :1], inside | True), (pivot, inside != inside.gather(1, pivot))
    return _change(fast, moved, *sides[0]).maximum(_change(fast, moved, *sides[1]))


def _change(
    fast: "torch.Tensor", moved: "torch.Tensor", pivot: "torch.Tensor", others: "torch.Tensor"
) -> "torch.Tensor":
    """Of each row, the largest change between a class and others. pivot: (B, 1). others: (B, C)."""
    gap = (fast - fast.gather(1, pivot)).abs().masked_fill(~others, np.inf)
    near = gap.topk(min(NEAREST, fast.shape[1]), largest=False).values[:, -1:]
    change = (moved - moved.gather(1, pivot)).abs()
    return change.where(gap <= near, change * near / gap).where(others, 0).amax(1)


def changes(fast: Rows, exact: Rows, labels: np.ndarray) -> Mask:
    """(n,) whether the best class, or the label's being among the first five, differs."""
    first = fast.top[:, 0] != exact.top[:, 0]
    hit, exact_hit = ((rows.top == labels[:, None]).any(axis=1) for rows in (fast, exact))
    return first | (hit != exact_hit)


@dataclass
class Guard:
    """The bound of one head: SAFETY times the largest deviation seen.

    offset: (C,) how far fast arithmetic moves the logits on average; it is taken off them.
    """

    bound: float = 0.0
    offset: "torch.Tensor | float" = 0.0

    def calibrate(
        self, fast: "torch.Tensor", exact: "torch.Tensor", labels: "torch.Tensor"
    ) -> None:
        """Learn offset and bound from the first images; arguments as of `deviations`."""
        moved = (fast.double() - exact)[fast.isfinite().all(1)]
        self.offset = moved.mean(0).float() if len(moved) else 0.0
        self.observe(deviations(fast - self.offset, exact, labels).cpu().numpy())

    def observe(self, deviation: np.ndarray) -> None:
        """Learn from images that were computed both ways.

        deviation: (n,), see `deviations`; what isn't finite (fp16 overflowed) teaches nothing.
        """
        finite = deviation[np.isfinite(deviation)]
        self.raise_to(SAFETY * float(finite.max(initial=0)))

    def raise_to(self, bound: float) -> None:
        """Use at least this bound."""
        self.bound = max(self.bound, bound)

    def doubts(self, rows: Rows) -> Mask:
        """(n,) whether a prediction, or the label's place among the first five, could change."""
        return ~(np.minimum(rows.margin, rows.margin5) > self.bound)


@dataclass
class Reach:
    """The activations of one backbone that its bounds speak for: those of the first images.

    largest: (L,) in each of L convolutions, of any image of the calibration. Not of what was
    computed both ways later: which images those are hangs on the order, and this must not.
    """

    largest: Numbers = field(default_factory=lambda: np.zeros(1, np.float32))

    def observe(self, peaks: Numbers) -> None:
        """Learn from images of the calibration. peaks: (n, L); overflow teaches nothing."""
        finite = peaks[np.isfinite(peaks).all(axis=1)]
        self.largest = np.maximum(self.largest, finite.max(axis=0, initial=0))

    def exceeded(self, peaks: Numbers) -> Mask:
        """(n,) whether an image has an activation above SAFETY times the largest. peaks: (n, L)."""
        return np.logical_or.reduce(~(peaks <= SAFETY * self.largest), axis=1)


def spot(indices: np.ndarray) -> Mask:
    """Which images are spot checks: about one in SPOT_CHECKS, by index alone (SplitMix64)."""
    x = indices.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return (x ^ (x >> np.uint64(31))) % np.uint64(SPOT_CHECKS) == 0


def summary(
    precision: Precision,
    arithmetic: str,
    heads: Mapping[str, Predictions],
    bounds: Mapping[str, float],
    calibrated: int,
) -> dict[str, Any]:
    """What was computed how, for reports: counts of images, and per head what was measured.

    heads: head -> predictions of all images. calibrated: images of the calibration.
    """
    tied = [known.margin < TIE for known in heads.values()]
    told = {
        "precision": precision,
        "arithmetic": arithmetic,
        "ties": int(np.logical_or.reduce(tied).sum()),
        "heads": {},
    }
    if precision != "guarded":
        return told
    exact = {head: known.state == EXACT for head, known in heads.items()}
    return told | {
        "safety": SAFETY,
        "calibrated": calibrated,
        "recomputed": int(np.logical_or.reduce([*exact.values()]).sum()) - calibrated,
        "heads": {
            head: {
                "bound": bounds.get(head, 0.0),
                "largest_deviation": bounds.get(head, 0.0) / SAFETY,
                "compared": int(exact[head].sum()),
                "changed": int(known.changed.sum()),
            }
            for head, known in heads.items()
        },
    }
