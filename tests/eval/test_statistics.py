"""Intervals and tests agree with libraries and definitions, and keep their level."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mixzoo.eval.statistics import (
    chance_of_a_hit,
    holm,
    mcnemar,
    paired_difference_interval,
    wilson_interval,
)
from scipy.optimize import minimize_scalar
from scipy.stats import binom, chi2
from statsmodels.stats.contingency_tables import mcnemar as reference_mcnemar
from statsmodels.stats.proportion import proportion_confint


@pytest.mark.parametrize(("k", "n"), [(0, 7), (3, 7), (7, 7), (15811, 24426)])
def test_wilson_agrees_with_statsmodels(k: int, n: int) -> None:
    """Two libraries, one interval."""
    low, high = proportion_confint(k, n, method="wilson")

    assert wilson_interval(k, n) == pytest.approx((100 * low, 100 * high), abs=1e-9)


@pytest.mark.parametrize(("a", "b"), [(0, 0), (5, 0), (9, 3), (12, 12), (1, 23)])
def test_few_discordant_pairs_are_tested_exactly(a: int, b: int) -> None:
    """Under 25 discordant pairs McNemar's test is the binomial one."""
    expected = reference_mcnemar([[100, a], [b, 100]], exact=True).pvalue if a + b else 1.0

    assert mcnemar(a, b) == pytest.approx(expected)


@pytest.mark.parametrize(("a", "b"), [(18, 7), (7, 18), (300, 240), (30, 0)])
def test_many_discordant_pairs_get_the_mid_p(a: int, b: int) -> None:
    """From 25 on the observed outcome's probability counts half: twice tail minus one pmf."""
    few = min(a, b)
    expected = 2 * binom.cdf(few, a + b, 0.5) - binom.pmf(few, a + b, 0.5)

    assert mcnemar(a, b) == pytest.approx(expected)


def test_mid_p_of_a_draw_is_one() -> None:
    """Equally many on both sides is no evidence at all."""
    assert mcnemar(30, 30) == 1.0


def test_mcnemar_keeps_its_level() -> None:
    """Over all outcomes of two equally good rows at most 5% are called different."""
    n, discordant = 200, 0.1
    wrong = 0.0
    for m in range(61):  # more than 60 discordant pairs of 200 never happen
        rejected = [mcnemar(k, m - k) < 0.05 for k in range(m + 1)]
        at_m = (binom.pmf(np.arange(m + 1), m, 0.5) * rejected).sum()
        wrong += binom.pmf(m, n, discordant) * at_m

    assert 0.02 < wrong <= 0.05


def score_by_definition(a: int, b: int, n: int, difference: float) -> float:
    """Tango's statistic from its definition: variance under the likeliest probabilities."""

    def minus_log_likelihood(only_b: float) -> float:
        only_a, same = only_b + difference, 1 - 2 * only_b - difference
        terms = ((a, only_a), (b, only_b), (n - a - b, same))
        return -sum(count * np.log(p) for count, p in terms if count)

    low, high = max(0.0, -difference) + 1e-12, (1 - difference) / 2 - 1e-12
    only_b = minimize_scalar(
        minus_log_likelihood, bounds=(low, high), method="bounded", options={"xatol": 1e-13}
    ).x
    return (a - b - n * difference) / np.sqrt(n * (2 * only_b + difference - difference**2))


@pytest.mark.parametrize(("a", "b", "n"), [(9, 3, 44), (300, 200, 24426), (4, 6, 12), (7, 1, 30)])
def test_paired_interval_ends_where_the_score_test_rejects(a: int, b: int, n: int) -> None:
    """At both limits the score is 1.96, with the variance maximised numerically."""
    low, high = paired_difference_interval(a, b, n)

    assert score_by_definition(a, b, n, low / 100) == pytest.approx(1.95996, abs=1e-3)
    assert score_by_definition(a, b, n, high / 100) == pytest.approx(-1.95996, abs=1e-3)


def test_paired_interval_without_discordant_pairs_is_the_closed_form() -> None:
    """Of n equal pairs it is z^2 / (n + z^2) to both sides."""
    z2 = chi2.isf(0.05, 1)

    low, high = paired_difference_interval(0, 0, 10)

    assert (low, high) == pytest.approx((-100 * z2 / (10 + z2), 100 * z2 / (10 + z2)))


@given(st.integers(0, 60), st.integers(0, 60), st.integers(0, 500))
@settings(deadline=None, max_examples=150)
def test_paired_interval_holds_the_estimate_and_mirrors(a: int, b: int, same: int) -> None:
    """It contains the difference, lies in the scale, and swaps sign when the rows are swapped."""
    n = max(a + b + same, 1)
    low, high = paired_difference_interval(a, b, n)
    mirrored = paired_difference_interval(b, a, n)

    assert -100 <= low <= 100 * (a - b) / n + 1e-9
    assert 100 * (a - b) / n - 1e-9 <= high <= 100
    assert mirrored == pytest.approx((-high, -low), abs=1e-6)


@given(st.integers(0, 300), st.integers(0, 300))
@settings(deadline=None, max_examples=100)
def test_interval_and_score_test_agree(a: int, b: int) -> None:
    """Zero is inside exactly if McNemar's chi-squared does not reject it."""
    low, high = paired_difference_interval(a, b, 1000)
    statistic = (a - b) ** 2 / max(a + b, 1)

    assert (low <= 0 <= high) == (statistic <= chi2.isf(0.05, 1))


def test_paired_interval_covers_as_often_as_it_says() -> None:
    """Close to 95% of simulated pairs of rows have their true difference inside."""
    rng = np.random.default_rng(0)
    only_a, only_b, n = 0.06, 0.04, 500
    drawn = rng.multinomial(n, [only_a, only_b, 1 - only_a - only_b], 2000)
    limits = {}
    for a, b in {(int(a), int(b)) for a, b, _ in drawn}:
        limits[a, b] = paired_difference_interval(a, b, n)

    inside = [limits[int(a), int(b)][0] <= 2 <= limits[int(a), int(b)][1] for a, b, _ in drawn]

    assert 0.94 <= np.mean(inside) <= 0.965


def test_holm_is_the_step_down_rule() -> None:
    """The smallest is multiplied by their number, the next by one less, never falling."""
    assert holm([0.04, 0.01, 0.03]) == pytest.approx([0.06, 0.03, 0.06])
    assert holm([0.6, 0.9]) == pytest.approx([1.0, 1.0])


def test_one_question_needs_no_correction() -> None:
    """A single p-value stays as it is."""
    assert holm([0.04]) == [0.04]


@pytest.mark.parametrize(
    ("values", "reported", "decimals", "expected"),
    [
        ([60.0], 60.0, 2, 1.0),
        ([60.0, 61.0], 60.0, 1, 0.2 / 1.1),
        ([60.0, 60.05, 61.0], 60.5, 1, (0.15 + 0.1) / 1.1),
        ([60.0], 61.0, 1, 0.1 / 1.1),
    ],
)
def test_chance_is_the_covered_share_of_the_span(
    values: list[float], reported: float, decimals: int, expected: float
) -> None:
    """Windows of one last digit, overlaps once, over the span of results and published number."""
    assert chance_of_a_hit(values, reported, decimals) == pytest.approx(expected)


@given(st.lists(st.floats(0, 100), min_size=1, max_size=30), st.floats(0, 100))
def test_chance_is_a_probability_that_grows_with_trying(
    values: list[float], reported: float
) -> None:
    """It lies in (0, 1]; within one span, a further variant never lowers it."""
    span = [0.0, 100.0]

    fewer = chance_of_a_hit([*span, *values[1:]], reported, 2)
    more = chance_of_a_hit([*span, *values], reported, 2)

    assert 0 < fewer <= more + 1e-12 <= 1 + 1e-12
