"""Looks at a sample while it grows, and may stop any time without cheating itself.

An ordinary 95% interval holds for one look at a size settled beforehand; who looks after every
batch and stops when the answer pleases errs far more often. A sequential audit therefore divides
its error probability: 1% goes to looking all the time, by a confidence sequence for sampling
without replacement, 4% to one last look at a size planned beforehand, by the exact interval.
"""

import numpy as np
import numpy.typing as npt

from .predictions import Ints
from .sample import AuditPlan, Estimate, images_for_width, sample_limits

ERROR = 0.05
LOOKING = 0.01  # of ERROR, for all looks before the last
SCALES = (1, 2, 4, 8)  # bets on gaps of so many half-widths
LAST_LOOK = 1 - (ERROR - LOOKING)  # confidence of the planned one
CAUTION = 0.75  # largest share of the capital that one bet may lose


class Audit:
    """A sequential audit of one head. The limits that it tells hold all at once, 95% of the time.

    plan: drawn with a block. width: of the final interval, in points. batch: the last look comes
    after a whole number of so many images.
    Raises ValueError for a plan without blocks and for a width that isn't positive.
    """

    def __init__(self, plan: AuditPlan, *, width: float, batch: int = 1) -> None:
        if plan.ends is None:
            raise ValueError(
                "expected a plan drawn with block=..., so that blocks are exchangeable"
            )
        self.plan, self.width = plan, width
        needed = images_for_width(width, plan.sizes, confidence=LAST_LOOK)
        self.target = min(len(plan), -(-needed // batch) * batch)
        self.flags = np.zeros(0, bool)
        """(seen,) whether each image seen was right, in the plan's order."""
        self._sequence = ConfidenceSequence(plan.ends, gap=width / 200)

    def update(self, correct: npt.ArrayLike) -> Estimate:
        """Add the next images of the plan's order. correct: (n,) bool; unreadable images are False.

        Raises ValueError if that is more than `target` images.
        """
        more = np.asarray(correct, bool)
        if len(self.flags) + len(more) > self.target:
            raise ValueError(
                f"expected at most {self.target - len(self.flags)} more images, got {len(more)}"
            )
        self.flags = np.concatenate([self.flags, more])
        self._sequence.extend(self.flags)
        return self.estimate

    @property
    def estimate(self) -> Estimate:
        """What is known by now."""
        seen, hits, total = len(self.flags), int(self.flags.sum()), len(self.plan)
        low, high = self._sequence.low, self._sequence.high
        if seen == self.target:
            drawn, sizes = self.plan.drawn(seen), self.plan.sizes
            last = sample_limits(hits, drawn, sizes, confidence=LAST_LOOK)
            # Both hold at once; if they exclude each other one has erred, and the last one is
            # exact.
            met = max(low, last[0]), min(high, last[1])
            low, high = met if met[0] <= met[1] else last
        return Estimate(seen, hits, total, 100 * low / total, 100 * high / total)

    def stops(self, *, reported: float | None = None, tolerance: float = 0.0) -> bool:
        """Whether to stop: at the target, or once the interval excludes the published number.

        reported: percent. tolerance: points by which a faithful number may differ from it.
        """
        if len(self.flags) == self.target:
            return True
        now = self.estimate
        return reported is not None and not (
            now.low - tolerance <= reported <= now.high + tolerance
        )


class ConfidenceSequence:
    """Limits for the number of right images of all, true at all times at once with 99%.

    Each possible number is a game: if it is the true one, the hits of the next block are worth,
    on average, what is left of it divided by the blocks left, since blocks come in random order.
    Bets for and against more hits are then fair, and a fair game multiplies a capital of 1 by 100
    with a chance of at most 1% however long it lasts (Ville, 1939). A number whose game has done so
    is excluded (Waudby-Smith and Ramdas, 2020, arXiv:2010.09686, section 5; sampling without
    replacement as in their arXiv:2006.04347). Guesses enter only the stakes: bad ones make
    the limits wide, never wrong.

    ends: (blocks,) where blocks end; their sizes may differ. gap: smallest distance of accuracies,
    as a fraction, that the bets are sized for.
    """

    def __init__(self, ends: Ints, *, gap: float, error: float = LOOKING) -> None:
        self._ends, self._error = ends, error
        total = int(ends[-1])
        self._block = int(np.diff(ends, prepend=0).max())
        self._gaps = gap * total * np.array(SCALES, float)[:, None]
        self._played, self._seen, self._hits = 0, 0, 0
        self._begin(np.arange(total + 1))

    @property
    def low(self) -> int:
        """Fewest right images that are not excluded."""
        return int(self._candidates[0])

    @property
    def high(self) -> int:
        """Most right images that are not excluded."""
        return int(self._candidates[-1])

    def extend(self, correct: npt.NDArray[np.bool_]) -> None:
        """Play on. correct: (seen,) all images so far in order; whole blocks are played."""
        for end in self._ends[self._played :].tolist():
            if end > len(correct):
                return
            self._play(int(correct[self._seen : end].sum()))
            self._seen = end
            self._keep()

    def _begin(self, candidates: npt.NDArray[np.intp]) -> None:
        self._candidates = candidates
        self._capital = np.ones((2, len(SCALES), len(candidates)))

    def _play(self, hits: int) -> None:
        """Bet on one block and settle. The stakes depend on earlier blocks alone."""
        left = len(self._ends) - self._played
        fair = (self._candidates - self._hits) / left  # expected hits of the block
        guess = (self._hits + 0.5) / (self._seen + 1)
        stake = self._gaps / (left * self._block * guess * (1 - guess))
        tiny = 1e-9  # a fair value of 0 admits any stake: nothing can be lost
        on_more = np.minimum(stake, CAUTION / np.maximum(fair, tiny))
        on_less = np.minimum(stake, CAUTION / np.maximum(self._block - fair, tiny))
        self._capital[0] *= 1 + on_more * (hits - fair)
        self._capital[1] *= 1 - on_less * (hits - fair)
        self._played += 1
        self._hits += hits

    def _keep(self) -> None:
        """Drop numbers that are impossible by now or whose game was won."""
        most = self._hits + int(self._ends[-1]) - self._seen
        kept = (self._candidates >= self._hits) & (self._candidates <= most)
        kept &= self._capital.mean(axis=(0, 1)) < 1 / self._error
        if kept.any():
            self._candidates, self._capital = self._candidates[kept], self._capital[..., kept]
        else:  # the 1% case: the true number was excluded. What is possible remains.
            self._begin(np.arange(self._hits, most + 1))
