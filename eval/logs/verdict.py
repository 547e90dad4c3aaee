"""Judges a log against the published number: which rule gives it, and can the log be trusted?"""

from collections.abc import Sequence
from dataclasses import dataclass

from .arithmetic import OTHER_IMAGES, Arithmetic
from .summaries import Summary

REPRODUCED = "reproduced"
OTHER_RULE = "by another rule"
NOT_REPRODUCED = "not reproduced"
INCOMPLETE = "incomplete log"
NOT_COMPARABLE = "not comparable"
SUSPICIOUS = "suspicious arithmetic"
NO_NUMBER = "no published number"

RULES = {
    SUSPICIOUS: "values that counting right answers on one number of images can't give",
    NOT_COMPARABLE: "the values come from another number of images than the table's",
    REPRODUCED: "the statistic that the table names rounds to the published digits",
    OTHER_RULE: "the statistic that the table names doesn't give the published digits, another does",
    INCOMPLETE: "epochs that the table's statistic needs are missing, and no other rule gives the digits",
    NOT_REPRODUCED: "no rule gives the published digits",
    NO_NUMBER: "nothing to compare with",
}


@dataclass(frozen=True)
class LogVerdict:
    """word: a key of RULES. by: the summaries that round to the published digits."""

    word: str
    by: tuple[Summary, ...]


def judge(
    summaries: Sequence[Summary],
    reported: float | None,
    *,
    decimals: int,
    rule: str,
    arithmetic: Arithmetic,
    suspicious: bool,
) -> LogVerdict:
    """Judge the summaries of a head, or of a whole log.

    reported: percent with `decimals` digits, None if nothing was published. rule: of summaries.py,
    the one that the table names. suspicious: whether the arithmetic speaks against these values.
    """
    by = tuple(s for s in summaries if rounds_to(s.value, reported, decimals))
    if suspicious:
        word = SUSPICIOUS
    elif reported is None:
        word = NO_NUMBER
    elif arithmetic.word == OTHER_IMAGES:
        word = NOT_COMPARABLE
    elif any(s.rule == rule for s in by):
        word = REPRODUCED
    elif by:
        word = OTHER_RULE
    else:
        complete = any(s.rule == rule for s in summaries)
        word = NOT_REPRODUCED if complete else INCOMPLETE
    return LogVerdict(word, by)


def rounds_to(value: float, reported: float | None, decimals: int) -> bool:
    """Whether a value rounds to the published digits, a tie in either direction."""
    # Half a unit of the last digit, with room for the decimal that binary cannot hold.
    return reported is not None and abs(value - reported) <= 0.5 * 10**-decimals + 1e-9


def hit_by_chance(summaries: Sequence[Summary], decimals: int) -> float:
    """With which some summary would give a number published at random where the summaries lie.

    The share of the span from the lowest to the highest value that rounds to one of them: the more
    rules and heads there are to choose from, the less a hit says.
    """
    printed = {round(s.value, decimals) for s in summaries}
    span = (max(printed) - min(printed)) * 10**decimals + 1
    return len(printed) / round(span)
