"""Intervals for accuracies."""


def wilson_interval(correct: int, total: int, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson score interval of an accuracy (Wilson, 1927), in percent.

    It says how far the accuracy on another sample of as many images could lie. It says nothing
    about recomputing the number on the same images, where only arithmetic can differ.
    """
    from scipy.stats import binomtest

    interval = binomtest(correct, total).proportion_ci(confidence, method="wilson")
    return 100 * float(interval.low), 100 * float(interval.high)
