"""A sequential audit may look after every block, and errs no more often for it."""

import itertools

import numpy as np
import pytest
from mixzoo.eval.sample import AuditPlan, images_for_width, plan, sample_limits
from mixzoo.eval.stopping import Audit, ConfidenceSequence


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
    names = [0] * 250 + [1] * 100 + [2] * 53
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


@pytest.mark.parametrize("right", [True, False])
def test_one_unlucky_block_does_not_silence_the_bets(right: bool) -> None:
    """After eight of the rarer kind, 192 of the other of 400 still exclude three quarters."""
    flags = np.full(200, right)
    flags[:8] = not right
    game = ConfidenceSequence(np.arange(8, 401, 8), gap=0.1)

    game.extend(flags)

    assert game.low > 300 if right else game.high < 100


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

    needed = images_for_width(10, [2000], confidence=0.96)  # 1% was spent on looking before
    assert audit.target % 64 == 0
    assert needed <= audit.target < needed + 64
    assert found.width <= 10
    assert audit.stops()


def test_the_last_look_wins_where_the_looks_before_were_wrong() -> None:
    """The 1% case: hits came first, so that what was excluded on the way holds the truth."""
    drawn = sequential()
    audit = Audit(drawn, width=10)
    flags = np.arange(audit.target) < 24

    found = audit.update(flags)

    low, high = sample_limits(24, drawn.drawn(audit.target), drawn.sizes, confidence=0.96)
    assert (found.low, found.high) == (low / 20, high / 20)


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
