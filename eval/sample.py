"""Draws a stratified sample of a list, and says what it tells of all images and what it can't see.

Nothing is assumed of the images but that they were drawn at random by the plan. The list is finite:
the interval shrinks as the sample grows and has no width when all images were seen.
"""

import math
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import ceil, floor

import numpy as np
import numpy.typing as npt

from ..zoo.looks import SAMPLE_AGREES, SAMPLE_CONTRADICTS, SAMPLE_UNDECIDED
from .predictions import Ints

BLOCK = 8  # images; larger ones limit the bets of a sequential audit, see `stopping`


@dataclass(frozen=True)
class Estimate:
    """What `seen` images, `correct` of them right, say about all `total`.

    low, high: limits of the top-1 of all images, in percent.
    """

    seen: int
    correct: int
    total: int
    low: float
    high: float

    @property
    def top1(self) -> float:
        """Estimated top-1 of all images in percent; nan before any was seen."""
        return 100 * self.correct / self.seen if self.seen else math.nan

    @property
    def width(self) -> float:
        """Of the interval, in points."""
        return self.high - self.low


@dataclass(frozen=True)
class AuditPlan:
    """In which order to look at the images of a list.

    order: (N,) positions in the list; any first n of them are a stratified random sample. strata:
    (N,) stratum of each image, in the list's order. ends: (blocks,) where in the order the blocks
    end, if blocks stand in random order, as a sequential audit needs; else None.
    """

    order: Ints
    strata: Ints
    ends: Ints | None = None

    def __len__(self) -> int:
        return len(self.order)

    @cached_property
    def sizes(self) -> Ints:
        """Images of each stratum."""
        return np.bincount(self.strata)

    def drawn(self, seen: int) -> Ints:
        """How many of the first `seen` images belong to each stratum."""
        return np.bincount(self.strata[self.order[:seen]], minlength=len(self.sizes))


def plan(strata: Sequence[str | int], *, seed: int, block: int | None = None) -> AuditPlan:
    """Draw the order in which to look at a list's images.

    strata: (N,) group of each image (supercategories; classes where they have many images), or one
    value for all to draw without strata. Any first n images hold each stratum's share, give or take
    an image or two. block: for a sequential audit, cut this order into blocks of so many images
    and shuffle the blocks: they are then exchangeable, and shares are kept within blocks.
    The same seed gives the same order. Raises ValueError for an empty list.
    """
    if not len(strata):
        raise ValueError("expected images to sample from, got none")
    _, codes = np.unique(np.asarray(strata), return_inverse=True)
    sizes = np.bincount(codes)
    rng = np.random.default_rng(seed)
    shuffled = np.argsort(rng.random(len(codes)))
    shuffled = shuffled[np.argsort(codes[shuffled], kind="stable")]
    rank = np.concatenate([np.arange(size) for size in sizes])
    # The r-th image of a stratum of size s stands at (r + u) / s of the way: even shares
    # throughout, and a stratum's random start u leaves no image with a chance other than the
    # others'.
    start = rng.random(len(sizes))
    order = shuffled[np.argsort((rank + np.repeat(start, sizes)) / np.repeat(sizes, sizes))]
    if block is None:
        return AuditPlan(order, codes)
    blocks = np.split(order, range(block, len(order), block))
    blocks = [blocks[i] for i in np.argsort(rng.random(len(blocks)))]
    return AuditPlan(np.concatenate(blocks), codes, np.cumsum([len(b) for b in blocks]))


def estimate(plan: AuditPlan, correct: npt.ArrayLike, *, confidence: float = 0.95) -> Estimate:
    """Estimate the top-1 of all images from the first ones in the plan's order.

    correct: (n,) whether each of the first n images is right; unreadable ones are not. The number
    n must have been settled before looking: for looking again and again see `stopping`.
    """
    flags = np.asarray(correct, bool)
    hits, seen, total = int(flags.sum()), len(flags), len(plan)
    low, high = sample_limits(hits, plan.drawn(seen), plan.sizes, confidence=confidence)
    return Estimate(seen, hits, total, 100 * low / total, 100 * high / total)


def sample_limits(
    correct: int, drawn: npt.ArrayLike, sizes: npt.ArrayLike, *, confidence: float = 0.95
) -> tuple[int, int]:
    """Fewest and most right images of all that agree with `correct` right ones in a sample.

    drawn, sizes: (strata,) images in the sample and in all. Exact and equal-tailed: a total is
    left out if so few, or so many, right ones in the sample have at most half the error
    probability under it. With one stratum that is the hypergeometric interval (Clopper and
    Pearson's, for a finite population). With several, a total is tried as spread evenly over them:
    any other spread scatters the sample less (Hoeffding, 1956, for independent draws), so the
    interval covers at least as often as it says.
    """
    drawn, sizes = np.asarray(drawn), np.asarray(sizes)
    kinds = Counter(zip(sizes.tolist(), drawn.tolist(), strict=True))
    unseen = int(sizes.sum() - drawn.sum())
    tail = (1 - confidence) / 2
    totals = range(correct, correct + unseen + 1)
    low = bisect_left(totals, True, key=lambda k: _hits(k, kinds)[correct:].sum() > tail)
    high = bisect_right(totals, False, key=lambda k: _hits(k, kinds)[: correct + 1].sum() <= tail)
    # Of a single candidate each tail is the whole, whatever rounding makes of it.
    return min(totals[0] + low, totals[-1]), max(totals[0] + high - 1, totals[0])


def _hits(right: int, kinds: Counter[tuple[int, int]]) -> npt.NDArray[np.float64]:
    """Probability of 0, 1, ... right images in the sample if `right` of all are, spread evenly.

    kinds: (size, drawn) of a stratum -> how many strata are such.
    """
    total = sum(size * count for (size, _), count in kinds.items())
    outcomes = 1 + sum(drawn * count for (_, drawn), count in kinds.items())
    length = 2 ** outcomes.bit_length()  # at least as long, and fast to transform
    spectrum = np.ones(length // 2 + 1, complex)
    for (size, drawn), count in kinds.items():
        whole, rest = divmod(right * size, total)
        # An even share is rarely whole: the stratum then has one more with the right probability.
        chance = _hypergeometric(size, whole, drawn)
        if rest:
            chance += rest / total * (_hypergeometric(size, whole + 1, drawn) - chance)
        spectrum *= np.fft.rfft(chance, length) ** count
    return np.fft.irfft(spectrum, length)[:outcomes]


def _hypergeometric(size: int, right: int, drawn: int) -> npt.NDArray[np.float64]:
    """Probability of 0 to `drawn` right ones. (scipy.stats.hypergeom is far slower here.)"""
    from scipy.special import gammaln

    def log_ways(n: int, k: npt.NDArray[np.intp]) -> npt.NDArray[np.float64]:
        return gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1)

    here = np.arange(max(0, drawn - (size - right)), min(drawn, right) + 1)
    chance = np.zeros(drawn + 1)
    ways = log_ways(right, here) + log_ways(size - right, drawn - here)
    chance[here] = np.exp(ways - log_ways(size, np.array(drawn)))
    return chance


def images_for_width(width: float, sizes: npt.ArrayLike, *, confidence: float = 0.95) -> int:
    """About the fewest images of a fixed sample whose interval is at most `width` points wide.

    Sized for an accuracy of 50%, where the interval is widest. sizes: (strata,) images in all.
    Raises ValueError if the width isn't positive.
    """
    if width <= 0:
        raise ValueError(f"expected a width above 0 points, got {width:g}")
    shares = np.asarray(sizes)
    total = int(shares.sum())

    def narrow(seen: int, shares: Ints) -> bool:
        drawn = _apportion(seen, shares)
        low, high = sample_limits(seen // 2, drawn, shares, confidence=confidence)
        return 100 * (high - low) <= width * total

    # Without strata it is quickly found; strata ask for a little more, never for less.
    whole = np.array([total])
    seen = 1 + bisect_left(range(1, total), True, key=lambda n: narrow(n, whole))
    while not narrow(seen, shares):
        seen = min(total, seen + 1 + seen // 500)
    return seen


def _apportion(seen: int, sizes: Ints) -> Ints:
    """Share `seen` images out to strata in proportion, by largest remainders."""
    exact = seen * sizes / sizes.sum()
    drawn = np.floor(exact).astype(np.int64)
    most = np.argsort(drawn - exact, kind="stable")[: seen - int(drawn.sum())]
    drawn[most] += 1
    return drawn


WIDTH = 2.0  # points: an interval wider than this can't tell most rows of a table apart

RULES = {
    SAMPLE_AGREES: "the interval comes as near to the published number as all images of a faithful "
    f"checkpoint may lie from it, and is no wider than {WIDTH:g} points, or than --until says",
    SAMPLE_CONTRADICTS: "the whole interval is farther from the published number than all images "
    "of a faithful checkpoint may lie from it",
    SAMPLE_UNDECIDED: "the interval comes near enough to the published number, but is wider than "
    f"{WIDTH:g} points, or than --until says",
}
"""Words for samples alone: none of them says "reproduced", which takes all images."""


def conclude(
    estimate: Estimate, reported: float, *, slack: float, width: float = WIDTH
) -> tuple[str, str]:
    """The word, a key of RULES, that a sample's interval allows, and the numbers that decided.

    reported: percent. slack: points by which all images of a faithful checkpoint may differ from
    it, as the judge of whole evaluations has it; as much is no contradiction. width: widest
    interval, in points, that counts as an answer.
    """
    rounding = 1e-9
    word = SAMPLE_AGREES if estimate.width <= width + rounding else SAMPLE_UNDECIDED
    if not estimate.low - slack - rounding <= reported <= estimate.high + slack + rounding:
        word = SAMPLE_CONTRADICTS
    return word, (
        f"{estimate.correct} of {estimate.seen} sampled images give {estimate.top1:.2f}, all "
        f"{estimate.total} lie between {estimate.low:.2f} and {estimate.high:.2f} (95%), published "
        f"{reported:.2f}, give or take {slack:.2f}, an answer is at most {width:g} wide"
    )


def chance_to_contradict(
    gap: float, *, seen: int, total: int, reported: float, slack: float, confidence: float = 0.95
) -> float:
    """Chance that a fixed sample contradicts the number when all images give `reported + gap`.

    gap: points, of either sign. Computed for a simple random sample; a proportionally stratified
    one does no worse but for rounding.
    """
    true = min(max(round((reported + gap) * total / 100), 0), total)
    # The totals at either edge of what agrees with the number, and the hits that exclude them.
    most = min(floor((reported + slack) * total / 100 + 1e-6), total)
    fewest = max(ceil((reported - slack) * total / 100 - 1e-6), 0)
    tail = (1 - confidence) / 2
    too_few = _hypergeometric(total, fewest, seen).cumsum() <= tail
    too_many = _hypergeometric(total, most, seen)[::-1].cumsum()[::-1] <= tail
    return float(_hypergeometric(total, true, seen)[too_few | too_many].sum())


def cannot_detect(
    *,
    seen: int,
    total: int,
    classes: int,
    reported: float,
    slack: float,
    confidence: float = 0.95,
) -> list[str]:
    """Plain sentences on what a sample of `seen` of `total` images can't see, with its numbers.

    classes: in the list. reported: published top-1 in percent. slack: see `conclude`. confidence:
    of the interval at the end. An audit that stops early has seen less and contradicts only larger
    gaps.
    """

    def noticed(images: int) -> float:
        gap = -100 * images / total
        return chance_to_contradict(
            gap, seen=seen, total=total, reported=reported, slack=slack, confidence=confidence
        )

    def missed(images: int) -> float:
        return float(_hypergeometric(total, images, seen)[0])

    def first(holds: Callable[[int], bool], most: int) -> int:
        """Smallest number of images for which something growing holds; `most` if none."""
        return min(1 + bisect_left(range(1, most + 1), True, key=holds), most)

    right = floor(reported * total / 100)
    even = first(lambda images: noticed(images) >= 0.5, right)
    sure = first(lambda images: noticed(images) >= 0.95, right)
    unseen = first(lambda images: missed(images) < 0.5, total) - 1
    changed = [
        f"If {unseen} predictions were changed, the sample would hold none of them with at least "
        "an even chance."
    ] * (unseen > 0)
    per_class = total / classes
    spoilt = floor((even - 1) / (per_class * reported / 100)) if reported else 0
    return [
        f"A sample of {seen} of {total} images never says that a number is reproduced to the "
        "image: for that, evaluate all of them.",
        f"A loss of fewer than {even} images ({100 * even / total:.2f} points) against the "
        f"published number has less than an even chance of being noticed; {sure} images "
        f"({100 * sure / total:.2f} points) are noticed in 95 of 100 samples.",
        *changed,
        f"Errors in few classes hide: a class of {per_class:.3g} images is missed altogether with "
        f"{missed(round(per_class)):.0%} chance, and even {spoilt} of {classes} classes that went "
        "wrong entirely have less than an even chance of being noticed.",
    ]
