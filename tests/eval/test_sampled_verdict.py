"""A sample's words follow their rules, and what it can't see is computed, not guessed."""

import numpy as np
import pytest
from mixzoo.eval.sample import (
    CONSISTENT,
    CONTRADICTS,
    UNDECIDED,
    Estimate,
    cannot_detect,
    chance_to_contradict,
    conclude,
    explain,
    sample_limits,
)


@pytest.mark.parametrize(
    ("low", "high", "word"),
    [
        (64.0, 65.9, CONSISTENT),
        (64.83, 66.0, CONSISTENT),
        (64.84, 66.0, CONTRADICTS),
        (60.0, 64.62, CONTRADICTS),
        (62.0, 66.0, UNDECIDED),
    ],
)
def test_words_follow_the_rules(low: float, high: float, word: str) -> None:
    """0.10 points of room around 64.73, and a width of two points, part the words."""
    found = Estimate(2000, 1300, 24426, low, high)

    assert conclude(found, 64.73) == word
    assert word in explain(found, 64.73)


def test_chance_to_contradict_is_that_of_the_interval() -> None:
    """Summed over the samples whose interval contradicts the number, as simulation would."""
    from scipy.stats import hypergeom

    seen, total, reported, gap = 80, 400, 60.0, -15.0
    outcomes = np.arange(seen + 1)
    words = []
    for k in outcomes:
        low, high = sample_limits(int(k), [seen], [total])
        words.append(conclude(Estimate(seen, int(k), total, low / 4, high / 4), reported))
    chance = hypergeom.pmf(outcomes, total, 180, seen)
    expected = sum(c for c, word in zip(chance, words, strict=True) if word == CONTRADICTS)

    got = chance_to_contradict(gap, seen=seen, total=total, reported=reported)
    assert got == pytest.approx(expected, abs=1e-9)


def test_a_faithful_row_is_seldom_contradicted() -> None:
    """Without a gap at most 5% of samples contradict the number."""
    assert chance_to_contradict(0, seen=2000, total=24426, reported=64.73) <= 0.05


def test_a_larger_sample_misses_less() -> None:
    """What is said of 2,000 and 8,000 images of iNaturalist-2018 bears its numbers."""
    small, large = (
        cannot_detect(seen=n, total=24426, classes=8142, reported=64.73) for n in (2000, 8000)
    )

    assert "527 images (2.16 points)" in small[1]
    assert "235 images (0.96 points)" in large[1]
    assert "never says" in small[0]
    assert "If 8 predictions" in small[2]
    assert "77% chance" in small[3]
