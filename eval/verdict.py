"""Judges a recomputed accuracy against the published one, in words and with the rule.

Recomputing on the same images is no sampling: a faithful checkpoint under the faithful protocol
gives the number again. What may differ is known: the table rounds, it may report a median over
the last epochs while a checkpoint is one epoch, and decoders, resamplers and precisions flip a few
predictions (up to 0.1 points have been seen between fp32 and bf16).
"""

from dataclasses import dataclass

from ..zoo.manifest import Metric
from .statistics import wilson_interval

CLOSE = 0.10  # points

REPRODUCED = "reproduced"
NEAR = "close"
PLAUSIBLE = "differs, within sampling error"
NOT_REPRODUCED = "not reproduced"
NOT_COMPARABLE = "not comparable"
NO_NUMBER = "no published number"

RULES = {
    REPRODUCED: "rounds to the published digits",
    NEAR: f"other digits, but at most {CLOSE:.2f} points away",
    PLAUSIBLE: f"more than {CLOSE:.2f} points away, with the published number inside the 95% interval",
    NOT_REPRODUCED: "the published number lies outside the 95% interval",
    NOT_COMPARABLE: "not known to be measured on the table's images",
    NO_NUMBER: "nothing to compare with",
}


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
) -> Verdict:
    """Judge `correct` of `total` against a published top-1.

    reported: percent, or None if nothing was published. other_images: why the images aren't those
    of the table, if so; the number is then shown, never judged.
    """
    if reported is None:
        return Verdict(NO_NUMBER, RULES[NO_NUMBER])
    top1 = 100 * correct / total
    gap, images = top1 - reported, correct - reported / 100 * total
    word = _word(correct, total, reported, metric)
    why = f"{RULES[word]}: {correct} of {total} is {top1:.{metric.decimals + 1}f}, published {reported:.{metric.decimals}f}"
    if other_images:
        return Verdict(NOT_COMPARABLE, f"{RULES[NOT_COMPARABLE]}: {other_images}", gap, images)
    return Verdict(word, why, gap, images)


def _word(correct: int, total: int, reported: float, metric: Metric) -> str:
    top1 = 100 * correct / total
    # Half a unit of the last digit, with room for the decimal that binary cannot hold.
    if abs(top1 - reported) <= 0.5 * 10**-metric.decimals + 1e-9:
        return REPRODUCED
    if abs(top1 - reported) <= CLOSE + 1e-9:
        return NEAR
    low, high = wilson_interval(correct, total)
    return PLAUSIBLE if low <= reported <= high else NOT_REPRODUCED
