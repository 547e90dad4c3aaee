"""Verdicts follow their stated rules, and intervals their closed form."""

import math

import pytest
from mixzoo.eval.statistics import wilson_interval
from mixzoo.eval.verdict import Logged, judge
from mixzoo.zoo.manifest import Metric

N = 24426
METRIC = Metric(statistic="median_of_last_epochs", epochs=5)


def images(points: float) -> int:
    """How many of N images a percentage is."""
    return round(points / 100 * N)


@pytest.mark.parametrize(
    ("correct", "word"),
    [
        (images(64.73), "reproduced"),
        (images(64.73) + 1, "reproduced"),
        (images(64.73) + 3, "close"),
        (images(64.73 - 0.09), "close"),
        (images(64.73 + 0.12), "differs"),
        (images(64.73 - 0.55), "differs"),
        (images(64.73 - 0.65), "not reproduced"),
        (images(64.73 + 0.65), "not reproduced"),
        (0, "not reproduced"),
    ],
)
def test_words_follow_the_rules(correct: int, word: str) -> None:
    """Rounding to the digits, 0.10 points and the Wilson interval part the verdicts."""
    assert judge(correct, N, 64.73, METRIC).word == word


def test_every_count_that_rounds_to_the_digits_is_reproduced() -> None:
    """Exactly the counts that print as the published number reproduce it."""
    reproduced = {k for k in range(15700, 15900) if judge(k, N, 64.73, METRIC).word == "reproduced"}

    assert reproduced == {k for k in range(15700, 15900) if f"{100 * k / N:.2f}" == "64.73"}


@pytest.mark.parametrize(
    ("off", "reproduces", "word"),
    [
        (0, True, "reproduced as logged"),
        (12, True, "reproduced as logged"),
        (-12, True, "reproduced as logged"),
        (13, True, "differs"),
        (0, False, "differs"),
    ],
)
def test_the_log_settles_a_median(off: int, reproduces: bool, word: str) -> None:
    """One epoch 0.2 points off the median is right if the log says so of both, else it differs."""
    logged = Logged(round(100 * images(64.93) / N, 5), epoch=100, reproduces=reproduces)

    verdict = judge(images(64.93) + off, N, 64.73, METRIC, logged=logged)

    assert verdict.word == word
    assert "epoch 100 of the log says 64.93" in verdict.why


def test_one_image_is_a_handful_of_few() -> None:
    """On 300 images one image is more than 0.05 points, and still only one image."""
    logged = Logged(top1=18.33333, epoch=8, reproduces=True)

    assert judge(56, 300, 17.33, METRIC, logged=logged).word == "reproduced as logged"
    assert judge(57, 300, 17.33, METRIC, logged=logged).word != "reproduced as logged"


def test_gap_is_told_in_points_and_in_images() -> None:
    """Recomputed minus published, both ways."""
    verdict = judge(670, 1000, 67.2, Metric(statistic="last_epoch", decimals=1))

    assert verdict.gap_points == pytest.approx(-0.2)
    assert verdict.gap_images == pytest.approx(-2)


def test_other_images_are_never_judged() -> None:
    """A number on other images is shown with its gap, and the reason why it isn't judged."""
    verdict = judge(194, 300, 64.73, METRIC, other_images="300 images, the table has 24426")

    assert verdict.word == "not comparable"
    assert "300 images" in verdict.why
    assert verdict.gap_points is not None


def test_nothing_published_is_said() -> None:
    """Without a published number there is no gap."""
    verdict = judge(1, 2, None, METRIC)

    assert (verdict.word, verdict.gap_points) == ("no published number", None)


@pytest.mark.parametrize(("k", "n"), [(0, 10), (10, 10), (15811, N), (1, 3)])
def test_wilson_interval_is_the_closed_form(k: int, n: int) -> None:
    """Agrees with the formula of Wilson (1927)."""
    z, p = 1.959963984540054, k / n
    centre, spread = p + z * z / (2 * n), z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    expected = [100 * (centre + sign * spread) / (1 + z * z / n) for sign in (-1, 1)]

    assert wilson_interval(k, n) == pytest.approx(expected, abs=1e-9)
