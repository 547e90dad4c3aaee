"""Calibration errors agree with their definitions and with models made to be calibrated."""

import numpy as np
import pytest
from mixzoo.eval.calibration import calibrate
from mixzoo.eval.predictions import Predictions


def predicted(confidence: np.ndarray, right: np.ndarray) -> Predictions:
    known = Predictions.empty(np.zeros(len(right), int))
    known.top[:, 0] = np.where(right, 0, 1)
    known.confidence[:] = confidence
    known.state[:] = 2
    return known


def calibrated(n: int, seed: int) -> Predictions:
    """Right with exactly the probability that the confidence states."""
    rng = np.random.default_rng(seed)
    confidence = rng.beta(4, 2, n)
    return predicted(confidence, rng.random(n) < confidence)


def test_ece_is_the_papers_sum() -> None:
    """Against a loop over 15 bins ((m-1)/15, m/15]."""
    row = calibrated(500, 0)
    expected, worst = 0.0, 0.0
    for m in range(15):
        inside = (row.confidence > m / 15) & (row.confidence <= (m + 1) / 15)
        if inside.any():
            gap = abs(row.correct[inside].mean() - row.confidence[inside].astype(float).mean())
            expected += inside.mean() * gap
            worst = max(worst, gap)
    found = calibrate(row)

    assert found.ece == pytest.approx(expected)
    assert found.mce == pytest.approx(worst)


def test_equal_counts_is_the_sum_over_sorted_parts() -> None:
    """15 parts of the sorted confidences, each weighted by its size."""
    row = calibrated(450, 1)
    order = np.argsort(row.confidence)
    parts = zip(
        *(np.split(x[order].astype(float), 15) for x in (row.confidence, row.correct)), strict=True
    )
    expected = np.mean([abs(c.mean() - r.mean()) for c, r in parts])

    assert calibrate(row).ece_equal_counts == pytest.approx(expected)


def test_a_constant_boast_is_off_by_its_excess() -> None:
    """Always sure, right in a quarter: every error is 0.75, and chance explains none of it."""
    found = calibrate(predicted(np.ones(8), np.arange(8) < 2))

    assert (found.ece, found.ece_equal_counts, found.mce) == pytest.approx((0.75, 0.75, 0.75))
    assert found.noise == 0
    assert found.bins[-1].count == 8


def test_a_calibrated_model_shows_the_noise_alone() -> None:
    """The mean ECE of calibrated models is what `noise` says."""
    found = [calibrate(calibrated(2000, seed)) for seed in range(100)]

    assert np.mean([c.ece for c in found]) == pytest.approx(
        np.mean([c.noise for c in found]), rel=0.06
    )


def test_order_does_not_matter() -> None:
    """Shuffled images, tied confidences included, give the same errors."""
    rng = np.random.default_rng(3)
    confidence, right = rng.integers(1, 5, 200) / 4, rng.random(200) < 0.5
    shuffle = rng.permutation(200)
    one, other = (calibrate(predicted(confidence[i], right[i])) for i in (np.arange(200), shuffle))

    assert one.ece_equal_counts == pytest.approx(other.ece_equal_counts)
    assert one.ece == pytest.approx(other.ece)


def test_unreadable_images_are_left_out_and_counted() -> None:
    """They have no confidence."""
    row = calibrated(20, 2)
    row.put_unreadable([3, 4])
    found = calibrate(row)

    assert (found.count, found.without_prediction) == (18, 2)
    assert sum(b.count for b in found.bins) == 18


def test_empty_bins_have_no_means() -> None:
    """In a report they are null."""
    bins = calibrate(predicted(np.array([0.99]), np.array([True]))).bins

    assert (bins[0].low, bins[0].high, bins[0].count) == (0.0, pytest.approx(1 / 15), 0)
    assert (bins[0].confidence, bins[0].accuracy) == (None, None)
    assert len(bins) == 15


def test_no_prediction_is_an_error() -> None:
    """Nothing can be said."""
    with pytest.raises(ValueError, match="got none"):
        calibrate(Predictions.empty([1, 2]))


def test_bins_hold_their_upper_end() -> None:
    """Of four bins the second is (0.25, 0.5]."""
    found = calibrate(predicted(np.array([0.25, 0.5, 0.75]), np.array([True] * 3)), bins=4)

    assert [b.count for b in found.bins] == [1, 1, 1, 0]
