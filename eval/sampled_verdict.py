"""What a sample may conclude about a published number, and what it can't see."""

from collections.abc import Callable
from math import ceil, floor

from .sampling import Estimate
from .verdict import CLOSE

WIDTH = 2.0  # points: an interval wider than this can't tell most rows of a table apart

CONSISTENT = "consistent with the published number"
CONTRADICTS = "contradicts the published number"
UNDECIDED = "undecided at this width"

RULES = {
    CONSISTENT: f"the interval reaches within {CLOSE:.2f} points of the published number and is no "
    "wider than asked for",
    CONTRADICTS: f"the whole interval is more than {CLOSE:.2f} points from the published number",
    UNDECIDED: f"the interval reaches within {CLOSE:.2f} points of the published number, but is "
    "wider than asked for",
}
"""Words for samples alone: none of them says "reproduced", which takes all images."""


def conclude(estimate: Estimate, reported: float, *, width: float = WIDTH) -> str:
    """The word, a key of RULES, that a sample's interval allows.

    reported: percent. width: widest interval, in points, that counts as an answer. A faithful
    checkpoint may be 0.10 points from the table (see `verdict`), so that much is no contradiction.
    """
    slack = CLOSE + 1e-9
    if not estimate.low - slack <= reported <= estimate.high + slack:
        return CONTRADICTS
    return CONSISTENT if estimate.width <= width + 1e-9 else UNDECIDED


def explain(estimate: Estimate, reported: float, *, width: float = WIDTH) -> str:
    """The word with its rule and numbers, one sentence."""
    word = conclude(estimate, reported, width=width)
    return (
        f"{word}: {RULES[word]}. {estimate.correct} of {estimate.seen} sampled images give "
        f"{estimate.top1:.2f}, all {estimate.total} lie between {estimate.low:.2f} and "
        f"{estimate.high:.2f} (95%), published {reported:.2f}, width asked for {width:g}"
    )


def chance_to_contradict(
    gap: float, *, seen: int, total: int, reported: float, confidence: float = 0.95
) -> float:
    """Chance that a fixed sample contradicts the number when all images give `reported + gap`.

    gap: points, of either sign. Computed for a simple random sample; a proportionally stratified
    one does no worse but for rounding.
    """
    from scipy.stats import hypergeom

    true = min(max(round((reported + gap) * total / 100), 0), total)
    # Totals at the edge of what agrees with the number, and the hits that exclude them.
    most = min(floor((reported + CLOSE) * total / 100 + 1e-6), total)
    fewest = max(ceil((reported - CLOSE) * total / 100 - 1e-6), 0)
    tail = (1 - confidence) / 2
    too_many = hypergeom.isf(tail, total, most, seen) + 1
    too_few = hypergeom.ppf(tail, total, fewest, seen) - 1
    if hypergeom.cdf(too_few + 1, total, fewest, seen) <= tail:
        too_few += 1
    return float(
        hypergeom.sf(too_many - 1, total, true, seen) + hypergeom.cdf(too_few, total, true, seen)
    )


def cannot_detect(
    *, seen: int, total: int, classes: int, reported: float, confidence: float = 0.95
) -> list[str]:
    """Plain sentences on what a sample of `seen` of `total` images can't see, with its numbers.

    classes: in the list. reported: published top-1 in percent. confidence: of the interval at the
    end. An audit that stops early has seen less and contradicts only larger gaps.
    """

    def noticed(images: int) -> float:
        gap = -100 * images / total
        return chance_to_contradict(
            gap, seen=seen, total=total, reported=reported, confidence=confidence
        )

    right = floor(reported * total / 100)
    even = _first(lambda images: noticed(images) >= 0.5, right)
    sure = _first(lambda images: noticed(images) >= 0.95, right)
    unseen = _first(lambda images: _misses_all(images, seen, total) < 0.5, total) - 1
    per_class = total / classes
    spoilt = floor((even - 1) / (per_class * reported / 100)) if reported else 0
    missed = _misses_all(round(per_class), seen, total)
    return [
        f"A sample of {seen} of {total} images never says that a number is reproduced to the "
        "image: for that, evaluate all of them.",
        f"A loss of fewer than {even} images ({100 * even / total:.2f} points) against the published "
        f"number has less than an even chance of being noticed; {sure} images "
        f"({100 * sure / total:.2f} points) are noticed in 95 of 100 samples.",
        f"If {max(unseen, 0)} predictions were changed, the sample would hold none of them with at "
        "least an even chance.",
        f"Errors in few classes hide: a class of {per_class:.3g} images is missed altogether with "
        f"{missed:.0%} chance, and even {spoilt} of {classes} classes that went wrong entirely "
        "have less than an even chance of being noticed.",
    ]


def _misses_all(images: int, seen: int, total: int) -> float:
    """Chance that a sample holds none of `images` certain images."""
    from scipy.stats import hypergeom

    return float(hypergeom.pmf(0, total, images, seen))


def _first(holds: Callable[[int], bool], most: int) -> int:
    """Smallest number of images from 1 on for which something growing holds; `most` if none."""
    from bisect import bisect_left

    return min(1 + bisect_left(range(1, most + 1), True, key=holds), most)
