"""Which word a log deserves, from its values alone."""

import pytest
from mixzoo.eval.logs.arithmetic import OTHER_IMAGES, WHOLE, Arithmetic
from mixzoo.eval.logs.summaries import BEST, LAST, MEDIAN, WINDOW, Summary
from mixzoo.eval.logs.verdict import (
    INCOMPLETE,
    NO_NUMBER,
    NOT_COMPARABLE,
    NOT_REPRODUCED,
    OTHER_RULE,
    REPRODUCED,
    RULES,
    SUSPICIOUS,
    LogVerdict,
    hit_by_chance,
    judge,
    rounds_to,
)


def summary(rule: str, value: float) -> Summary:
    """A number of the only head."""
    return Summary(rule, "head0", value, (100,))


def arithmetic(word: str = WHOLE) -> Arithmetic:
    """What the k/N test said."""
    return Arithmetic(word, 24426, 24426, 0, 200, 5, (), (), 0.006)


def verdict(
    values: dict[str, float],
    reported: float | None = 64.73,
    *,
    word: str = WHOLE,
    suspicious: bool = False,
) -> LogVerdict:
    """Judge these summaries against a table that names the median."""
    summaries = [summary(rule, value) for rule, value in values.items()]
    return judge(
        summaries,
        reported,
        decimals=2,
        rule=MEDIAN,
        arithmetic=arithmetic(word),
        suspicious=suspicious,
    )


def test_the_statistic_that_the_table_names() -> None:
    """Its digits are the published ones."""
    found = verdict({MEDIAN: 64.7312, WINDOW: 64.9})

    assert found.word == REPRODUCED
    assert [s.rule for s in found.by] == [MEDIAN]


def test_another_rule() -> None:
    """The reference's window gives the number, the published statistic doesn't."""
    found = verdict({MEDIAN: 64.8, WINDOW: 64.7312})

    assert found.word == OTHER_RULE
    assert [s.rule for s in found.by] == [WINDOW]


@pytest.mark.parametrize(
    ("values", "word"),
    [({MEDIAN: 64.8, BEST: 65.0}, NOT_REPRODUCED), ({LAST: 64.8, BEST: 65.0}, INCOMPLETE)],
)
def test_no_rule(values: dict[str, float], word: str) -> None:
    """A log that lacks the epochs isn't said to contradict the table."""
    assert verdict(values) == LogVerdict(word, ())


def test_suspicion_outweighs_the_right_number() -> None:
    """A log that was edited until it fits reproduces nothing."""
    assert verdict({MEDIAN: 64.73}, suspicious=True).word == SUSPICIOUS


def test_other_images_are_not_comparable() -> None:
    """The right digits on another set of images are no reproduction."""
    assert verdict({MEDIAN: 64.73}, word=OTHER_IMAGES).word == NOT_COMPARABLE


def test_nothing_published() -> None:
    """A log by itself has no number to reproduce."""
    assert verdict({MEDIAN: 64.73}, None) == LogVerdict(NO_NUMBER, ())


@pytest.mark.parametrize(
    ("value", "same"),
    [(64.725, True), (64.735, True), (64.7351, False), (64.7249, False), (64.73, True)],
)
def test_rounding(value: float, same: bool) -> None:
    """A tie may have gone either way."""
    assert rounds_to(value, 64.73, 2) is same


@pytest.mark.parametrize(
    ("values", "share"),
    [
        ([64.73], 1.0),
        ([64.70, 64.79], 0.2),
        ([64.70, 64.701, 64.79], 0.2),
        ([64.70, 64.72, 64.79], 0.3),
    ],
)
def test_chance_of_a_hit(values: list[float], share: float) -> None:
    """Of ten two-digit numbers from 64.70 to 64.79, two are met by two summaries."""
    assert hit_by_chance([summary(BEST, v) for v in values], 2) == pytest.approx(share)


def test_every_word_has_a_rule() -> None:
    """Verdicts are printed with the rule beside them."""
    assert set(RULES) == {
        REPRODUCED,
        OTHER_RULE,
        NOT_REPRODUCED,
        INCOMPLETE,
        NOT_COMPARABLE,
        SUSPICIOUS,
        NO_NUMBER,
    }
