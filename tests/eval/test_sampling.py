"""Samples are stratified and seeded; their intervals cover at least as often as they say."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mixzoo.eval.sample import AuditPlan, estimate, images_for_width, plan, sample_limits
from mixzoo.eval.stopping import Audit, ConfidenceSequence
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


def audits(right: np.ndarray, names: list[int], runs: int, width: float) -> float:
    """Share of sequential audits that ever exclude the truth, looking after each block."""
    truth, wrong = 100 * right.mean(), 0
    for seed in range(runs):
        drawn = plan(names, seed=seed, block=8)
        audit = Audit(drawn, width=width)
        flags = right[drawn.order[: audit.target]]
        for start in range(0, audit.target, 8):
            now = audit.update(flags[start : start + 8])
            if not now.low - 1e-9 <= truth <= now.high + 1e-9:
                wrong += 1
                break
    return wrong / runs


@pytest.mark.parametrize("accuracies", [(0.6, 0.6, 0.6), (0.95, 0.5, 0.1)])
def test_a_sequential_audit_rarely_ever_excludes_the_truth(
    accuracies: tuple[float, ...],
) -> None:
    """Looking after every block at most 5% of audits are wrong at any time."""
    names = strata(250, 100, 53)
    right = np.random.default_rng(7).random(403) < np.array(accuracies)[np.array(names)]

    assert audits(right, names, runs=200, width=12) <= 0.05 + 0.02


def test_the_sequence_alone_keeps_its_level_to_the_end() -> None:
    """Played through the whole list, a sequence for 20% excludes the truth in at most 20%."""
    right = np.random.default_rng(3).random(203) < 0.6
    wrong = 0
    for seed in range(400):
        drawn = plan([0] * 203, seed=seed, block=4)
        assert drawn.ends is not None
        game = ConfidenceSequence(drawn.ends, gap=0.05, error=0.2)
        flags = right[drawn.order]
        for end in drawn.ends[:-1]:
            game.extend(flags[:end])
            if not game.low <= right.sum() <= game.high:
                wrong += 1
                break

    assert 0.02 < wrong / 400 <= 0.2


def test_bets_on_the_truth_are_fair() -> None:
    """Over all orders of seven unlike blocks, the mean capital of the true number stays 1."""
    blocks = [[1, 1], [1, 0], [0, 0], [1, 1], [1, 0], [0, 0], [1, 1]]
    for played in (1, 3, 6):
        capitals = []
        for order in itertools.permutations(blocks):
            game = ConfidenceSequence(np.arange(2, 15, 2), gap=0.05, error=1e-9)
            game.extend(np.array(order, bool).ravel()[: 2 * played])
            capitals.append(game._capital[..., list(game._candidates).index(8)])

        assert np.mean(capitals, axis=0) == pytest.approx(1.0)


def test_blocks_come_in_random_order() -> None:
    """The same blocks as without shuffling, in another order: stratified, and exchangeable."""
    plain, shuffled = plan(strata(60, 36), seed=4), plan(strata(60, 36), seed=4, block=8)
    blocks = [set(part) for part in plain.order.reshape(-1, 8).tolist()]
    found = [set(part) for part in shuffled.order.reshape(-1, 8).tolist()]

    assert found != blocks
    assert sorted(map(sorted, found)) == sorted(map(sorted, blocks))


def test_the_sequence_ends_at_the_truth() -> None:
    """When all blocks were played one number is left."""
    right = np.random.default_rng(4).random(101) < 0.6
    drawn = plan([0] * 101, seed=0, block=8)
    assert drawn.ends is not None
    game = ConfidenceSequence(drawn.ends, gap=0.05)
    game.extend(right[drawn.order])

    assert game.low == game.high == right.sum()


def sequential(total: int = 2000) -> AuditPlan:
    return plan([0] * total, seed=5, block=8)


def test_an_audit_reaches_its_width_at_the_target() -> None:
    """At the planned size, a whole number of batches, it stops with the width asked for."""
    drawn = sequential()
    audit = Audit(drawn, width=10, batch=64)
    found = audit.update((np.random.default_rng(0).random(2000) < 0.6)[: audit.target])

    assert audit.target % 64 == 0
    assert found.width <= 10
    assert audit.stops()


def test_a_wild_number_stops_an_audit_early() -> None:
    """A published number 25 points away is excluded long before the target; the right one isn't."""
    flags = np.random.default_rng(0).random(2000) < 0.6
    audit = Audit(sequential(), width=4)
    audit.update(flags[:400])

    assert audit.stops(reported=85.0)
    assert not audit.stops(reported=60.0)
    assert not audit.stops()


def test_batches_of_any_size_tell_the_same() -> None:
    """One image at a time or all at once: the same limits."""
    flags = np.random.default_rng(0).random(2000) < 0.6
    one, many = Audit(sequential(), width=10), Audit(sequential(), width=10)
    for flag in flags[:99]:
        one.update([flag])

    assert one.estimate == many.update(flags[:99])


def test_an_audit_takes_no_more_than_planned() -> None:
    """The last look is at the planned size, so more images would break its promise."""
    audit = Audit(sequential(), width=10)

    with pytest.raises(ValueError, match="at most"):
        audit.update(np.ones(audit.target + 1, bool))


def test_an_audit_needs_blocks() -> None:
    """Only shuffled blocks are exchangeable."""
    with pytest.raises(ValueError, match="block"):
        Audit(plan([0] * 50, seed=0), width=10)
