"""Intervals and tests for accuracies, alone and in pairs.

They speak about other images of the same kind. Recomputing a number on the same images is no
sampling: there only arithmetic can differ, and no interval excuses it.
"""

import math
from collections.abc import Sequence

import numpy as np

EXACT_BELOW = 25  # discordant pairs


def wilson_interval(correct: int, total: int, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson score interval of an accuracy (Wilson, 1927), in percent.

    It says how far the accuracy on another sample of as many images could lie. It says nothing
    about recomputing the number on the same images, where only arithmetic can differ.
    """
    from scipy.stats import norm

    z = float(norm.isf((1 - confidence) / 2))
    middle = correct + z * z / 2
    spread = z * math.sqrt(correct * (total - correct) / total + z * z / 4)
    return 100 * (middle - spread) / (total + z * z), 100 * (middle + spread) / (total + z * z)


def mcnemar(only_a: int, only_b: int) -> float:
    """Two-sided p-value that two classifiers are right equally often (McNemar, 1947).

    only_a, only_b: images that one of them alone gets right; the others carry no information.
    Below 25 such images the exact binomial test, which never errs more often than it says; from
    there on its mid-p version, which is less timid and keeps the level in practice (Fagerland,
    Lydersen and Laake, 2013, BMC Medical Research Methodology 13:91).
    """
    from scipy.stats import binom, binomtest

    discordant = only_a + only_b
    if discordant == 0:
        return 1.0
    exact = float(binomtest(only_a, discordant).pvalue)
    if discordant < EXACT_BELOW or only_a == only_b:
        return exact
    return exact - float(binom.pmf(only_a, discordant, 0.5))


def paired_difference_interval(
    only_a: int, only_b: int, total: int, confidence: float = 0.95
) -> tuple[float, float]:
    """Score interval of the difference between two accuracies on the same images, in points.

    All differences a - b that the score test does not reject (Tango, 1998, Statistics in Medicine
    17:891); at zero this test is McNemar's, so interval and test agree but for borderline cases.
    only_a, only_b: images that one classifier alone gets right. total: all images.
    """
    from scipy.optimize import root_scalar
    from scipy.stats import norm

    z = float(norm.ppf((1 + confidence) / 2))
    estimate = (only_a - only_b) / total

    def excess(difference: float, side: int) -> float:
        return _tango(only_a, only_b, total, difference) - side * z

    def limit(end: float, side: int) -> float:
        # At the end of the scale the score diverges, unless the estimate lies there itself.
        if abs(estimate - end) < 1e-15:
            return end
        return float(root_scalar(excess, args=(side,), bracket=(estimate, end), xtol=1e-12).root)

    return 100 * limit(-1.0, 1), 100 * limit(1.0, -1)


def _tango(only_a: int, only_b: int, total: int, difference: float) -> float:
    """Tango's score statistic: standard normal if `difference` is the true one."""
    surplus = only_a - only_b - total * difference
    if abs(surplus) < 1e-12 * total:
        return 0.0
    # Of P(only b right), the likeliest value under this difference solves a x^2 + b x + c = 0.
    a = 2 * total
    b = -only_a - only_b + (2 * total - only_a + only_b) * difference
    c = -only_b * difference * (1 - difference)
    likeliest = (math.sqrt(max(b * b - 4 * a * c, 0.0)) - b) / (2 * a)
    variance = total * (2 * likeliest + difference * (1 - difference))
    return surplus / math.sqrt(variance) if variance > 0 else math.copysign(math.inf, surplus)


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values corrected for asking several questions at once (Holm, 1979), in the same order.

    The chance of even one false "different" among all of them stays below the level tested at.
    """
    p = np.asarray(p_values, float)
    order = np.argsort(p)
    steps = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    corrected = np.empty_like(p)
    corrected[order] = np.minimum(steps, 1)
    return corrected.tolist()


def student(draws: int, confidence: float = 0.95) -> tuple[float, float]:
    """Half the intervals around the mean of two or more draws, in their standard deviations.

    The draws are independent and of one normal distribution. With this confidence its mean lies in
    the first interval, and one more draw in the second (Student, 1908).
    """
    from scipy.stats import t

    quantile = float(t.isf((1 - confidence) / 2, draws - 1))
    return quantile / math.sqrt(draws), quantile * math.sqrt(1 + 1 / draws)


def chance_of_a_hit(values: Sequence[float], reported: float, decimals: int) -> float:
    """Probability that some value gives the digits of a number that has nothing to do with them.

    That number is taken as uniform over the span of the values and the published one; each value
    covers what rounds to its digits, and overlaps count once. All in percent. It tells what trying
    several heads, protocols or rules costs in certainty.
    """
    half = 0.5 * 10**-decimals
    low, high = min(*values, reported) - half, max(*values, reported) + half
    covered, end = 0.0, low
    for value in sorted(values):
        covered += max(0.0, value + half - max(end, value - half))
        end = max(end, value + half)
    return min(1.0, covered / (high - low))
