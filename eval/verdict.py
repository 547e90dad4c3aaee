"""Judges a recomputed accuracy against the published one, in words and with the rule.

Recomputing on the same images is no sampling: a faithful checkpoint under the faithful protocol
gives the number again, up to a handful of images on which arithmetic or a decoder decides. What
may differ beyond that is known: the table may report a median over the last epochs while a
checkpoint is one of them, which its training log settles where it is at hand. An interval says how
far accuracies on *other* images of the kind would spread: it can excuse no difference here, only
say whether it would matter.
"""

from dataclasses import dataclass

from ..zoo.manifest import Metric
from .statistics import wilson_interval

CLOSE = 0.10  # points; as much has been seen between fp32 and bf16
HANDFUL = 0.05  # points; other decoders and processors flip fewer images (12 of 24,426)

REPRODUCED = "reproduced"
AS_LOGGED = "reproduced as logged"
NEAR = "close"
DIFFERS = "differs"
NOT_REPRODUCED = "not reproduced"
NOT_COMPARABLE = "not comparable"
NO_NUMBER = "no published number"

RULES = {
    REPRODUCED: "rounds to the published digits",
    AS_LOGGED: (
        f"within {HANDFUL:.2f} points of what the training log says of this epoch, and the log's own "
        "summary rounds to the published digits: the table isn't about this epoch alone"
    ),
    NEAR: f"other digits, but at most {CLOSE:.2f} points away",
    DIFFERS: (
        f"more than {CLOSE:.2f} points away on the same images, which arithmetic doesn't explain; on "
        "other images of the kind as much could be chance (the published number lies inside the "
        "95% interval)"
    ),
    NOT_REPRODUCED: (
        f"more than {CLOSE:.2f} points away on the same images, and the published number lies "
        "outside the 95% interval too"
    ),
    NOT_COMPARABLE: "not known to be measured on the table's images",
    NO_NUMBER: "nothing to compare with",
}


@dataclass(frozen=True)
class Logged:
    """What a training log says of the head and epoch that were recomputed.

    top1: percent, to the log's decimals. epoch: counted from 1. reproduces: whether the statistic
    that the table names, taken from the log, rounds to the published number.
    """

    top1: float
    epoch: int
    reproduces: bool


@dataclass(frozen=True)
class Verdict:
    """word: a key of RULES. why: the rule and the numbers it was applied to, one sentence.

    gap_points, gap_images: recomputed minus published; None if there is nothing to compare.
    """

    word: str
    why: str
    gap_points: float | None = None
    gap_images: float | None = None


def judge(
    correct: int,
    total: int,
    reported: float | None,
    metric: Metric,
    *,
    other_images: str | None = None,
    logged: Logged | None = None,
) -> Verdict:
    """Judge `correct` of `total` against a published top-1.

    reported: percent, or None if nothing was published. other_images: why the images aren't those
    of the table, if so; the number is then shown, never judged. logged: the training log's word,
    if it is at hand.
    """
    if reported is None:
        return Verdict(NO_NUMBER, RULES[NO_NUMBER])
    top1 = 100 * correct / total
    gap, images = top1 - reported, correct - reported / 100 * total
    if other_images:
        return Verdict(NOT_COMPARABLE, f"{RULES[NOT_COMPARABLE]}: {other_images}", gap, images)
    word = _word(correct, total, reported, metric, logged)
    why = f"{RULES[word]}: {correct} of {total} is {top1:.{metric.decimals + 1}f}, published {reported:.{metric.decimals}f}"
    if logged:
        off = correct - logged.top1 / 100 * total
        why += f"; epoch {logged.epoch} of the log says {logged.top1:.5f} ({off:+.0f} images)"
    return Verdict(word, why, gap, images)


def _word(correct: int, total: int, reported: float, metric: Metric, logged: Logged | None) -> str:
    top1 = 100 * correct / total
    # Half a unit of the last digit, with room for the decimal that binary cannot hold.
    if abs(top1 - reported) <= 0.5 * 10**-metric.decimals + 1e-9:
        return REPRODUCED
    if logged and logged.reproduces and abs(top1 - logged.top1) <= max(HANDFUL, 100 / total) + 1e-5:
        return AS_LOGGED
    if abs(top1 - reported) <= CLOSE + 1e-9:
        return NEAR
    low, high = wilson_interval(correct, total)
    return DIFFERS if low <= reported <= high else NOT_REPRODUCED
