"""The ways to make one number of a run's validations, and which of them give a published one.

The published table says "median of top-1 in the last 5 epochs". OpenMixup's two summary tools keep
`epoch >= E - n`, which is one epoch more, and the one for AutoMix and SAMix then takes the better
of two windows and the better of two heads (recorded outputs: tests/golden/runs).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isnan, nan
from statistics import median

from ...zoo.looks import (
    INCOMPLETE,
    NO_NUMBER,
    NOT_COMPARABLE,
    NOT_REPRODUCED,
    OTHER_RULE,
    REPRODUCED,
    SUSPICIOUS,
)
from .reading import TrainingLog

Series = Mapping[int, float]  # epoch -> percent

MEDIAN = "median"
WINDOW = "reference window"
AUTOMIX = "reference AutoMix rule"
LAST = "last epoch"
BEST = "best epoch"
HEADINGS = {MEDIAN: "Median", WINDOW: "Window", AUTOMIX: "AutoMix", LAST: "Last", BEST: "Best"}

MOMENTUM_HEADS = ("one_k", "mix_k")
TRAINED_HEADS = ("one_q", "mix_q")
BEST_K = "best of k"
BEST_Q = "best of q"
ROUNDING = 1e-9  # points: the decimal that binary cannot hold
LAST_EPOCHS = 5  # what the reference's tools are called with
PAIRS: dict[str, str] = {
    **dict.fromkeys(MOMENTUM_HEADS, BEST_K),
    **dict.fromkeys(TRAINED_HEADS, BEST_Q),
}

RULES = {
    SUSPICIOUS: "values that counting right answers on one number of images can't give",
    NOT_COMPARABLE: "the values come from another number of images than the table's",
    REPRODUCED: "the statistic that the table names rounds to the published digits; for AutoMix and "
    "SAMix it may be one_k's, that of the better of one_k and mix_k or of one_q and mix_q, or "
    "OpenMixup's own median of these",
    OTHER_RULE: "the statistic that the table names doesn't give the published digits; another does, "
    "or another head",
    INCOMPLETE: "epochs that the table's statistic needs are missing, and no other rule gives the digits",
    NOT_REPRODUCED: "no rule gives the published digits",
    NO_NUMBER: "nothing to compare with",
}


@dataclass(frozen=True)
class Summary:
    """A rule's number for a head. value: percent. epochs: those that the rule looked at.

    head: of the log; for AUTOMIX BEST_K or BEST_Q, the better of two.
    """

    rule: str
    head: str
    value: float
    epochs: tuple[int, ...]


@dataclass(frozen=True)
class Claim:
    """What a log is held against; each None if not known.

    top1: published, percent, with `decimals` digits. rule: the statistic that the table names, over
    `last` epochs. images, train_images: of the two splits.
    """

    row: str | None = None
    top1: float | None = None
    decimals: int = 2
    rule: str = MEDIAN
    last: int = LAST_EPOCHS
    images: int | None = None
    train_images: int | None = None


def rules(end: int, last: int) -> dict[str, str]:
    """Each rule in words, for a run of `end` epochs summarised over its `last` ones."""
    of = f"the last {last} epochs, {end - last + 1} to {end}"
    if end < last:
        every = f"all {end} epochs" if end > 1 else "the one epoch"
        of = f"{every} of the run, which has fewer than {last}"
    return {
        MEDIAN: f"median of {of}",
        WINDOW: f"OpenMixup's find_classification_val_median: median of epochs >= {end} - {last}, "
        f"which are {min(end, last + 1)}",
        AUTOMIX: f"OpenMixup's find_automix_val_median: median of epochs >= {end} - "
        f"{_reach(last)}, with or without the last of them, whichever gives the higher best head "
        "(without it where both give the same); "
        "then the better of one_k and mix_k, and of one_q and mix_q",
        LAST: f"epoch {end} alone",
        BEST: "the best epoch, chosen on the validation images themselves",
    }


def summarise(log: TrainingLog, *, end: int, last: int) -> tuple[Summary, ...]:
    """Every rule's number for every head, as far as the log's epochs allow.

    end: epochs of the whole run. last: how many of them the published number is taken over.
    """
    heads = {name: log.floats(f"{name}_top1") for name in log.heads}
    window = tuple(range(max(1, end - last + 1), end + 1))
    found: list[Summary] = []
    for head, series in heads.items():
        if set(window) <= series.keys():
            found.append(Summary(MEDIAN, head, median(series[e] for e in window), window))
        if end in series:
            wider = tuple(epoch for epoch in series if epoch >= end - last)
            found.append(Summary(WINDOW, head, reference_window(series, end, last), wider))
            found.append(Summary(LAST, head, series[end], (end,)))
        best = max(series, key=series.__getitem__)
        found.append(Summary(BEST, head, series[best], (best,)))
    if not heads.keys().isdisjoint(PAIRS) and any(end in series for series in heads.values()):
        k, q, epochs = reference_automix(heads, end, last)
        values = {BEST_K: k, BEST_Q: q}
        found += [Summary(AUTOMIX, name, v, epochs) for name, v in values.items() if not isnan(v)]
    return tuple(found)


def reference_window(series: Series, end: int, last: int) -> float:
    """The reference's classification median: over epochs >= end - last. NaN if there are none."""
    values = [value for epoch, value in series.items() if epoch >= end - last]
    return median(values) if values else nan


def reference_automix(
    heads: Mapping[str, Series], end: int, last: int
) -> tuple[float, float, tuple[int, ...]]:
    """The reference's AutoMix median.

    heads: by name; of one_k, mix_k, one_q and mix_q, a missing k head is replaced by its q head.
    Returns k (better of one_k and mix_k), q (better of one_q and mix_q), both NaN where no such
    head is, and the epochs of the window that was chosen: of two whose best heads are equal the
    one without the last epoch, which the reference's argmax meets first. One epoch alone gives
    NaN, as there: the shorter window has none.
    """
    chosen = {name: heads.get(name) or heads.get(f"{name[:-1]}q", {}) for name in MOMENTUM_HEADS}
    chosen |= {name: heads.get(name, {}) for name in TRAINED_HEADS}
    epochs = sorted({e for series in chosen.values() for e in series if e >= end - _reach(last)})
    medians, shorter = _medians(chosen, epochs), _medians(chosen, epochs[:-1])
    if not shorter or max(shorter.values()) >= max(medians.values()):
        medians, epochs = shorter, epochs[:-1]
    k = max((medians[name] for name in MOMENTUM_HEADS if name in medians), default=nan)
    q = max((medians[name] for name in TRAINED_HEADS if name in medians), default=nan)
    return k, q, tuple(epochs)


def heads_of_the_number(top1: Mapping[str, float]) -> list[str]:
    """The heads that a row's one number can be of, of those with this top-1 in percent.

    A table doesn't name the head: inference's; and of AutoMix's and SAMix's four the better of
    one_k and mix_k, and of one_q and mix_q, as OpenMixup's summary prints them.
    """
    pairs = [[h for h in pair if h in top1] for pair in (MOMENTUM_HEADS, TRAINED_HEADS)]
    inference = [head for head in (MOMENTUM_HEADS[0], *top1) if head in top1][:1]
    better = [max(pair, key=top1.__getitem__) for pair in pairs if pair]
    return list(dict.fromkeys([*inference, *better]))


def table_values(summaries: Sequence[Summary], rule: str) -> tuple[Summary, ...]:
    """The numbers that a log's run can have put into a table, that of inference's head first.

    rule: the statistic that the table names, of the heads that a number can be of. Where it is a
    median, also what OpenMixup's own rule for AutoMix prints of the better k and the better q head.
    """
    named = {one.head: one for one in summaries if one.rule == rule}
    heads = heads_of_the_number({head: one.value for head, one in named.items()})
    printed = [one for one in summaries if rule == MEDIAN and one.rule == AUTOMIX and named]
    return (*(named[head] for head in heads), *printed)


def judge_log(
    summaries: Sequence[Summary], claim: Claim, *, other_images: bool, suspicious: bool
) -> str:
    """What a log deserves whose summaries these are, a key of RULES.

    other_images: whether the values come from another number of images than the table's.
    suspicious: whether the arithmetic speaks against them.
    """
    named = table_values(summaries, claim.rule)
    if suspicious:
        return SUSPICIOUS
    if claim.top1 is None:
        return NO_NUMBER
    if other_images:
        return NOT_COMPARABLE
    if any(rounds_to(one.value, claim.top1, claim.decimals) for one in named):
        return REPRODUCED
    if any(rounds_to(one.value, claim.top1, claim.decimals) for one in summaries):
        return OTHER_RULE
    return NOT_REPRODUCED if named else INCOMPLETE


def rounds_to(value: float, reported: float | None, decimals: int) -> bool:
    """Whether a value in percent rounds to the published digits, a tie in either direction."""
    return reported is not None and abs(value - reported) <= 0.5 * 10**-decimals + ROUNDING


def _reach(last: int) -> int:
    """How many epochs before the last one the AutoMix tool looks back."""
    return last if last < 10 else last + 1


def _medians(heads: Mapping[str, Series], epochs: Sequence[int]) -> dict[str, float]:
    """Each head's median over those of the epochs that it has; heads without any are left out."""
    found = {name: [s[e] for e in epochs if e in s] for name, s in heads.items()}
    return {name: median(values) for name, values in found.items() if values}
