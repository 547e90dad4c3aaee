"""Samples are stratified and seeded; their intervals cover, and their words follow the rules."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mixzoo.eval.sample import (
    Estimate,
    cannot_detect,
    chance_to_contradict,
    conclude,
    estimate,
    images_for_width,
    plan,
    sample_limits,
)
from mixzoo.zoo.looks import SAMPLE_AGREES, SAMPLE_CONTRADICTS, SAMPLE_UNDECIDED
from scipy.stats import hypergeom


def strata(*sizes: int) -> list[int]:
    return [name for name, size in enumerate(sizes) for _ in range(size)]


def test_one_stratum_gives_the_hypergeometric_interval() -> None:
    """Exactly the totals under which neither tail of the sample is rarer than 2.5%."""
    total, seen, correct = 120, 30, 19
    agreeing = [
        k
        for k in range(correct, total - seen + correct + 1)
        if hypergeom.sf(correct - 1, total, k, seen) > 0.025
        and hypergeom.cdf(correct, total, k, seen) > 0.025
    ]

    assert sample_limits(correct, [seen], [total]) == (agreeing[0], agreeing[-1])


@pytest.mark.parametrize(
    ("sizes", "drawn"),
    [
        ((10,), (4,)),
        ((6, 5, 4), (3, 2, 2)),
        ((12, 8), (9, 6)),
        ((20, 10, 3), (6, 3, 1)),
        ((30, 20), (12, 8)),
        ((3, 3, 3, 3), (2, 2, 2, 2)),
    ],
)
def test_fixed_interval_covers_whatever_the_truth(
    sizes: tuple[int, ...], drawn: tuple[int, ...]
) -> None:
    """Summed over all outcomes, for every way to spread the right images: at least 95%."""
    limits = [sample_limits(k, drawn, sizes) for k in range(sum(drawn) + 1)]
    worst = 1.0
    for right in itertools.product(*(range(size + 1) for size in sizes)):
        chance = np.ones(1)
        for size, here, k in zip(sizes, drawn, right, strict=True):
            chance = np.convolve(chance, hypergeom.pmf(np.arange(here + 1), size, k, here))
        inside = [low <= sum(right) <= high for low, high in limits]
        worst = min(worst, float(chance[inside].sum()))

    assert worst >= 0.95


def test_sampled_interval_covers_in_simulation() -> None:
    """Plans drawn from a list with unlike strata: between 95% and 98% hold the truth."""
    rng = np.random.default_rng(2)
    names = np.array(strata(300, 150, 40, 10))
    right = rng.random(500) < np.array([0.8, 0.5, 0.3, 0.6])[names]
    inside = 0
    for seed in range(250):
        drawn = plan(names.tolist(), seed=seed)
        found = estimate(drawn, right[drawn.order[:60]])
        inside += found.low <= 100 * right.mean() <= found.high

    assert 0.945 <= inside / 250 <= 0.995


@given(st.lists(st.integers(0, 3), min_size=1, max_size=60), st.integers(0, 99), st.booleans())
@settings(deadline=None, max_examples=60)
def test_a_whole_sample_is_exact(names: list[int], seed: int, blocks: bool) -> None:
    """Each image comes once, and when all were seen the interval is the truth."""
    drawn = plan(names, seed=seed, block=8 if blocks else None)
    right = np.random.default_rng(seed).random(len(names)) < 0.6
    found = estimate(drawn, right[drawn.order])

    assert sorted(drawn.order) == list(range(len(names)))
    assert found.low == found.high == pytest.approx(100 * right.mean())


@given(st.integers(0, 40), st.integers(1, 39))
@settings(deadline=None, max_examples=60)
def test_more_images_of_the_same_share_never_widen(correct: int, seen: int) -> None:
    """Twice the sample with twice the hits has no wider interval; the estimate is inside."""
    correct = min(correct, seen)
    low, high = sample_limits(correct, [seen], [400])
    lower, higher = sample_limits(2 * correct, [2 * seen], [400])

    assert higher - lower <= high - low
    assert low <= 400 * correct / seen <= high


def test_every_prefix_holds_each_stratums_share() -> None:
    """Any first n images hold a stratum's share to within two images."""
    sizes = np.array([600, 250, 100, 50])
    drawn = plan(strata(*sizes), seed=1)

    off = [np.abs(drawn.drawn(n) - n * sizes / 1000).max() for n in range(1001)]

    assert max(off) <= 2


def test_every_image_is_sampled_equally_often() -> None:
    """No stratum's size and no place in the list makes an image more likely to be seen."""
    for block in (None, 4):
        seen = np.zeros(30)
        for seed in range(3000):
            seen[plan(strata(17, 9, 4), seed=seed, block=block).order[:10]] += 1

        assert np.abs(seen / 3000 - 1 / 3).max() < 0.04


def test_the_seed_decides() -> None:
    """The same seed gives the same order, another one another."""
    first, again, other = (plan(strata(50, 20), seed=s, block=8) for s in (1, 1, 2))

    assert (first.order == again.order).all()
    assert (first.order != other.order).any()


def test_blocks_come_in_random_order() -> None:
    """The same blocks as without shuffling, in another order: stratified, and exchangeable."""
    plain, shuffled = plan(strata(60, 36), seed=4), plan(strata(60, 36), seed=4, block=8)
    blocks = [set(part) for part in plain.order.reshape(-1, 8).tolist()]
    found = [set(part) for part in shuffled.order.reshape(-1, 8).tolist()]

    assert found != blocks
    assert sorted(map(sorted, found)) == sorted(map(sorted, blocks))


def test_an_empty_list_is_refused() -> None:
    """There is nothing to sample from."""
    with pytest.raises(ValueError, match="got none"):
        plan([], seed=0)


@pytest.mark.parametrize("width", [4.0, 10.0])
def test_planned_size_is_the_smallest_that_suffices(width: float) -> None:
    """At 50% the interval is as narrow as asked for, with one image fewer it isn't."""
    seen = images_for_width(width, [3000])
    low, high = sample_limits(seen // 2, [seen], [3000])
    less = sample_limits((seen - 1) // 2, [seen - 1], [3000])

    assert 100 * (high - low) / 3000 <= width < 100 * (less[1] - less[0]) / 3000 + 0.04


def test_a_width_must_be_positive() -> None:
    """No sample has an interval of no width but the whole list."""
    with pytest.raises(ValueError, match="above 0"):
        images_for_width(0, [100])


@pytest.mark.parametrize(
    ("low", "high", "slack", "word"),
    [
        (64.0, 65.9, 0.1, SAMPLE_AGREES),
        (64.83, 66.0, 0.1, SAMPLE_AGREES),
        (64.84, 66.0, 0.1, SAMPLE_CONTRADICTS),
        (64.84, 66.0, 0.25, SAMPLE_AGREES),
        (60.0, 64.63, 0.1, SAMPLE_UNDECIDED),
        (60.0, 64.62, 0.1, SAMPLE_CONTRADICTS),
        (62.0, 66.0, 0.1, SAMPLE_UNDECIDED),
    ],
)
def test_words_follow_the_rules(low: float, high: float, slack: float, word: str) -> None:
    """The room around 64.73 that a faithful checkpoint has, and a width of two points."""
    found = Estimate(2000, 1300, 24426, low, high)

    said, numbers = conclude(found, 64.73, slack=slack)

    assert said == word
    assert f"published 64.73, give or take {slack:.2f}, an answer is at most 2 wide" in numbers


@pytest.mark.parametrize("low", [23, 24, 25])
def test_an_interval_as_wide_as_asked_for_is_an_answer(low: int) -> None:
    """Two points are 20 of 1,000 images, whatever binary makes of them; 21 images are wider."""
    found = Estimate(500, 17, 1000, 100 * low / 1000, 100 * (low + 20) / 1000)
    wider = Estimate(500, 17, 1000, 100 * low / 1000, 100 * (low + 21) / 1000)
    one_of_many = Estimate(500, 17, 10**6, 3.0, 3.0 + 100 * 20_001 / 10**6)

    assert conclude(found, 3.4, slack=0.1, width=2.0)[0] == SAMPLE_AGREES
    assert conclude(wider, 3.4, slack=0.1, width=2.0)[0] == SAMPLE_UNDECIDED
    assert conclude(one_of_many, 3.4, slack=0.1, width=2.0)[0] == SAMPLE_UNDECIDED


@pytest.mark.parametrize(("gap", "slack"), [(-15.0, 0.1), (-8.0, 2.0), (9.0, 0.1)])
def test_chance_to_contradict_is_that_of_the_interval(gap: float, slack: float) -> None:
    """Summed over the samples whose interval contradicts the number, as simulation would."""
    seen, total, reported = 80, 400, 60.0
    expected = 0.0
    for k in range(seen + 1):
        low, high = sample_limits(k, [seen], [total])
        found = Estimate(seen, k, total, low / 4, high / 4)
        if conclude(found, reported, slack=slack)[0] == SAMPLE_CONTRADICTS:
            expected += hypergeom.pmf(k, total, round(4 * (reported + gap)), seen)

    got = chance_to_contradict(gap, seen=seen, total=total, reported=reported, slack=slack)
    assert got == pytest.approx(expected, abs=1e-9)


def test_a_faithful_row_is_seldom_contradicted() -> None:
    """Without a gap at most 5% of samples contradict the number."""
    chance = chance_to_contradict(0, seen=2000, total=24426, reported=64.73, slack=0.1)

    assert chance <= 0.05


def test_a_larger_sample_misses_less() -> None:
    """What is said of 2,000 and 8,000 images of iNaturalist-2018 bears its numbers."""
    small, large = (
        cannot_detect(seen=n, total=24426, classes=8142, reported=64.73, slack=0.1)
        for n in (2000, 8000)
    )

    assert "527 images (2.16 points)" in small[1]
    assert "235 images (0.96 points)" in large[1]
    assert "never says" in small[0]
    assert "If 8 predictions" in small[2]
    assert "77% chance" in small[3]
