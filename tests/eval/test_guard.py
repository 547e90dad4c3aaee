"""The bound: from what it is learnt, what it doubts, and that believed predictions are right."""

from unittest.mock import patch

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from mixzoo.eval import guard
from mixzoo.eval.guard import SAFETY, SPOT_CHECKS, Guard, Reach, changes, deviations, spot
from mixzoo.eval.predictions import EXACT, FAST, Predictions, Rows
from mixzoo.eval.predictor import rank

NOT_CHECKED = np.zeros(1, bool)


def rows_of(z: torch.Tensor, labels: torch.Tensor, *, exact: bool) -> Rows:
    """`rank` of images numbered from 0."""
    return rank(z, labels, torch.arange(len(z)), exact=exact)


def pair(seed: int, noise: float) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Logits by fast arithmetic and in fp32 of 64 images, 12 classes; labels."""
    generator = torch.Generator().manual_seed(seed)
    exact = torch.randn(64, 12, generator=generator)
    fast = exact + noise * torch.randn(64, 12, generator=generator)
    return fast, exact, torch.randint(12, (64,), generator=generator)


@pytest.mark.parametrize("nearest", [3, 100])
def test_deviation_is_the_largest_change_of_a_difference(
    nearest: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Against loops: the fast best class and all, the label and what lies beyond the fifth."""
    monkeypatch.setattr(guard, "NEAREST", nearest)
    fast, exact, labels = pair(0, 0.1)

    found = deviations(fast, exact, labels)

    for i, (f, e) in enumerate(zip(fast.tolist(), exact.tolist(), strict=True)):
        order = sorted(range(12), key=lambda j: -f[j])
        label = int(labels[i])
        beyond = order[5:] if label in order[:5] else order[:5]
        moves = []
        for pivot, others in ((order[0], order), (label, beyond)):
            gaps = sorted(abs(f[j] - f[pivot]) for j in others)
            near = gaps[min(nearest, len(gaps)) - 1]
            for j in others:
                gap, move = abs(f[j] - f[pivot]), abs((f[j] - f[pivot]) - (e[j] - e[pivot]))
                moves.append(move if gap <= near else move * near / gap)
        assert float(found[i]) == pytest.approx(max(moves), abs=1e-6)


def test_a_shift_of_all_logits_is_no_deviation() -> None:
    """Only differences decide predictions."""
    exact = torch.randn(4, 12).round(decimals=1)

    assert deviations(exact + 8, exact, torch.zeros(4, dtype=torch.int64)).max() < 1e-5


@given(st.integers(0, 2**31), st.floats(1e-4, 3), st.sampled_from([2, 4, 100]))
def test_no_prediction_changes_whose_margins_exceed_its_deviation(
    seed: int, noise: float, nearest: int
) -> None:
    """What makes the guard right: margins above the deviation settle best class and top-5 hit.

    That holds of however many classes a change counts fully: a farther one's is taken down by no
    more than what it lacks.
    """
    fast, exact, labels = pair(seed, noise)
    rows = rows_of(fast, labels, exact=False)

    changed = changes(rows, rows_of(exact, labels, exact=True), labels.numpy())

    with patch.object(guard, "NEAREST", nearest):
        deviation = deviations(fast, exact, labels).numpy()
    safe = np.minimum(rows.margin, rows.margin5) > deviation + 1e-5
    assert not (changed & safe).any()


def test_what_all_images_share_is_no_deviation() -> None:
    """Errors that are the same for each image are taken off, and what is left makes the bound."""
    fast, exact, labels = pair(1, 1e-3)
    shift = torch.arange(12) * 0.1
    plain, shifted = Guard(), Guard()

    plain.calibrate(fast, exact, labels)
    overflowed = torch.cat((fast + shift, fast[:1] + torch.inf))
    shifted.calibrate(overflowed, torch.cat((exact, exact[:1])), torch.cat((labels, labels[:1])))

    torch.testing.assert_close(shifted.offset, plain.offset + shift)
    assert shifted.bound == pytest.approx(plain.bound, rel=1e-3)


def test_changes_see_the_best_class_and_the_label_among_five() -> None:
    """Another best class, a label that leaves the five, and a mere swap of third and fourth."""
    exact = torch.tensor([[6.0, 5, 4, 3, 2, 1]] * 3)
    fast = exact.clone()
    fast[0, :2] = torch.tensor([5.0, 6.0])
    fast[1, 4:] = torch.tensor([1.0, 2.0])
    fast[2, 2:4] = torch.tensor([3.0, 4.0])
    labels = torch.tensor([0, 4, 2])

    found = changes(
        rows_of(fast, labels, exact=False), rows_of(exact, labels, exact=True), labels.numpy()
    )

    assert found.tolist() == [True, True, False]


def test_bound_is_the_safety_factor_times_the_largest_seen() -> None:
    """Smaller deviations and larger factors change nothing once seen; overflow teaches nothing."""
    own = Guard()
    for deviation in (0.25, 0.5, 0.125, np.inf, np.nan):
        own.observe(np.float32([deviation]))

    own.raise_to(0.25)  # another rank's, which never lowers it
    assert own.bound == SAFETY * 0.5 == 1.0


@pytest.mark.parametrize(
    ("bound", "margin", "margin5", "doubted"),
    [
        (1, 2, 2, False),
        (1, 1, 2, True),
        (1, 2, 1, True),
        (1, 0.5, 2, True),
        (1, 2, np.inf, False),
        (0, 0, 1, True),  # a tie is never believed, even where nothing ever deviated
    ],
)
def test_either_margin_at_or_under_the_bound_is_doubted(
    bound: float, margin: float, margin5: float, doubted: bool
) -> None:
    """Top-1 and top-5 hits must both be those of fp32."""
    own = Guard()
    own.raise_to(bound)
    one = np.float32([1])
    rows = Rows(
        np.int64([0]),
        np.zeros((1, 5), np.int32),
        margin * one,
        margin5 * one,
        one,
        NOT_CHECKED,
        NOT_CHECKED,
    )

    assert own.doubts(rows).tolist() == [doubted]


def test_stale_are_the_believed_images_under_the_present_bound() -> None:
    """Exact and pending images are never stale."""
    known = Predictions.empty([0] * 5)
    known.margin[:] = [0.5, 2, 0.5, 2, np.nan]
    known.margin5[:] = [2, 2, 2, 0.5, np.nan]
    known.state[:] = [FAST, FAST, EXACT, FAST, 0]

    assert known.stale(1.0).tolist() == [0, 3]


def test_an_activation_above_the_safety_factor_is_beyond_reach() -> None:
    """In any convolution; at the factor is within; what isn't a number never is."""
    reach = Reach()
    assert reach.exceeded(np.float32([[1, 1]])).all()  # nothing is learnt, so nothing is known
    reach.observe(np.float32([[1, 4], [2, 3], [np.inf, 50]]))

    peaks = np.float32([[4, 8], [4.1, 0], [0, 8.1], [np.inf, 0], [np.nan, 0]])
    assert reach.exceeded(peaks).tolist() == [False, True, True, True, True]
    reach.observe(np.float32([[1, 5]]))
    assert reach.exceeded(np.float32([[4, 10], [5, 0]])).tolist() == [False, True]


def test_without_activations_all_is_within_reach() -> None:
    """As for a function in place of a network."""
    reach = Reach()
    reach.observe(np.zeros((3, 0), np.float32))

    assert not reach.exceeded(np.zeros((2, 0), np.float32)).any()


def test_spot_checks_are_a_fixed_share_of_positions() -> None:
    """By position alone, so that world size and order choose the same images."""
    chosen = spot(np.arange(100_000))

    assert chosen.mean() == pytest.approx(1 / SPOT_CHECKS, rel=0.1)
    assert (spot(np.arange(99_999, -1, -1)) == chosen[::-1]).all()
    assert np.flatnonzero(chosen[:300]).tolist() == [6, 149, 155, 160, 209, 275, 286]


@pytest.mark.parametrize("spread", [0.0, 0.3, 0.6, 1.2])
def test_simulated_runs_have_no_wrong_belief(spread: float) -> None:
    """24,426 images whose noise differs by a lognormal factor: calibrated on 128, then settled."""
    rng = np.random.default_rng(int(10 * spread))
    generator = torch.Generator().manual_seed(0)
    images, classes = 24_426, 50
    exact = 3 * torch.randn(images, classes, generator=generator)
    scale = torch.from_numpy(np.exp(spread * rng.standard_normal((images, 1)))).float()
    fast = exact + 0.01 * scale * torch.randn(images, classes, generator=generator)
    labels = torch.randint(classes, (images,), generator=generator)
    rows = rows_of(fast, labels, exact=False)
    deviation = deviations(fast, exact, labels).numpy()
    changed = changes(rows, rows_of(exact, labels, exact=True), labels.numpy())
    assert changed.sum() > 10  # fast arithmetic alone isn't good enough

    own = Guard()
    own.observe(deviation[:128])

    assert not (changed & ~own.doubts(rows))[128:].any()
    assert own.doubts(rows).mean() < 0.25 or spread > 1  # the guard stays worth its while
