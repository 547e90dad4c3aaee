"""How far a model's confidence is from how often it is right.

The Brier score and the log loss of a classifier need the probabilities of all classes; what is kept
of a prediction is the best class's alone, so they can't be computed from it. The calibration of
that one probability can.
"""

import numpy as np
import numpy.typing as npt

from ..zoo.report import Bin, Calibration
from .predictions import Predictions

BINS = 15

Numbers = npt.NDArray[np.float64]


def calibrate(predictions: Predictions, bins: int = BINS) -> Calibration:
    """Measure the calibration of the best class's probability; errors are in [0, 1].

    ece: expected calibration error over 15 equally wide bins (Guo et al., 2017, arXiv:1706.04599).
    ece_equal_counts: the same over 15 bins with equally many predictions (Nguyen and O'Connor,
    2015, arXiv:1508.05154), which doesn't hinge on sparse bins. mce: the largest gap of any bin.
    noise: the ece that a perfectly calibrated model of these confidences would show on average,
    since bins of finitely many images scatter (Roelofs et al., 2022, arXiv:2012.08668): an ece
    near it is no evidence of miscalibration. Images without a prediction have no confidence and
    are left out. Raises ValueError if there is no prediction at all.
    """
    known = np.isfinite(predictions.confidence)
    confidence = predictions.confidence[known].astype(np.float64)
    right = predictions.correct[known].astype(np.float64)
    if not len(confidence):
        raise ValueError("expected predictions with a confidence, got none")
    edges = np.linspace(0, 1, bins + 1)
    # Right-closed, as in the paper: a confidence of exactly 1 belongs to the last bin.
    which = np.clip(np.searchsorted(edges, confidence, side="left") - 1, 0, bins - 1)
    found = tuple(
        _bin(edges[i], edges[i + 1], confidence[which == i], right[which == i]) for i in range(bins)
    )
    return Calibration(
        ece=sum(b.count * abs(_gap(b)) for b in found) / len(confidence),
        ece_equal_counts=_equal_counts(confidence, right, bins),
        mce=max(abs(_gap(b)) for b in found),
        noise=_noise(confidence, which, bins),
        confidence=float(confidence.mean()),
        accuracy=float(right.mean()),
        count=len(confidence),
        without_prediction=int((~known).sum()),
        bins=found,
    )


def _bin(low: float, high: float, confidence: Numbers, right: Numbers) -> Bin:
    means = (float(confidence.mean()), float(right.mean())) if len(confidence) else (None, None)
    return Bin(
        low=float(low),
        high=float(high),
        count=len(confidence),
        confidence=means[0],
        accuracy=means[1],
    )


def _gap(one: Bin) -> float:
    """Accuracy minus confidence, negative where the model is too sure; 0 in an empty bin."""
    return (one.accuracy or 0.0) - (one.confidence or 0.0) if one.count else 0.0


def _equal_counts(confidence: Numbers, right: Numbers, bins: int) -> float:
    """ECE over bins of equal counts; equal confidences share their mean, so no order matters."""
    _, which, counts = np.unique(confidence, return_inverse=True, return_counts=True)
    gap = np.repeat(np.bincount(which, weights=right - confidence) / counts, counts)
    return sum(abs(float(part.sum())) for part in np.array_split(gap, bins)) / len(gap)


def _noise(confidence: Numbers, which: npt.NDArray[np.intp], bins: int) -> float:
    """Mean ECE if each prediction is right with the probability that its confidence states.

    A bin's hits minus its summed confidence then have mean 0 and variance sum c (1 - c); of a
    normal variable the mean size is sqrt(2 / pi) standard deviations.
    """
    variance = np.bincount(which, weights=confidence * (1 - confidence), minlength=bins)
    return float(np.sqrt(2 / np.pi * variance).sum()) / len(confidence)
