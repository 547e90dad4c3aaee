"""The ways to make one number of a run's validations, the reference's own rules among them.

The published table says "median of top-1 in the last 5 epochs". OpenMixup's two summary tools keep
`epoch >= E - n`, which is one epoch more, and the one for AutoMix and SAMix then takes the better
of two windows and the better of two heads (recorded outputs: tests/golden/runs).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import isnan
from statistics import median

from .reading import TrainingLog

Series = Mapping[int, float]  # epoch -> percent

MEDIAN = "median"
WINDOW = "reference window"
AUTOMIX = "reference AutoMix rule"
LAST = "last epoch"
BEST = "best epoch"

MOMENTUM_HEADS = ("one_k", "mix_k")
TRAINED_HEADS = ("one_q", "mix_q")
BEST_K = "best of k"
BEST_Q = "best of q"


@dataclass(frozen=True)
class Summary:
    """A rule's number for a head. value: percent. epochs: those that the rule looked at.

    head: of the log; for AUTOMIX BEST_K or BEST_Q, the better of two.
    """

    rule: str
    head: str
    value: float
    epochs: tuple[int, ...]


def rules(end: int, last: int) -> dict[str, str]:
    """Each rule in words, for a run of `end` epochs summarised over its `last` ones."""
    return {
        MEDIAN: f"median of the last {last} epochs, {max(1, end - last + 1)} to {end}",
        WINDOW: f"OpenMixup's find_classification_val_median: median of epochs >= {end} - {last}, "
        f"which are {last + 1}",
        AUTOMIX: f"OpenMixup's find_automix_val_median: median of epochs >= {end} - "
        f"{_reach(last)}, with or without the last of them, whichever gives the higher best head; "
        "then the better of one_k and mix_k, and of one_q and mix_q",
        LAST: f"epoch {end} alone",
        BEST: "the best epoch, chosen on the validation images themselves",
    }


def summarise(log: TrainingLog, *, end: int, last: int) -> tuple[Summary, ...]:
    """Every rule's number for every head, as far as the log's epochs allow.

    end: epochs of the whole run. last: how many of them the published number is taken over.
    """
    heads = {name: as_floats(log, f"{name}_top1") for name in log.heads}
    found: list[Summary] = []
    for head, series in heads.items():
        window = tuple(range(max(1, end - last + 1), end + 1))
        if set(window) <= series.keys():
            found.append(Summary(MEDIAN, head, median(series[e] for e in window), window))
        wider = tuple(epoch for epoch in series if epoch >= end - last)
        if end in series:
            found.append(Summary(WINDOW, head, reference_window(series, end, last), wider))
            found.append(Summary(LAST, head, series[end], (end,)))
        best = max(series, key=series.__getitem__)
        found.append(Summary(BEST, head, series[best], (best,)))
    if not heads.keys().isdisjoint((*MOMENTUM_HEADS, *TRAINED_HEADS)) and _reaches(heads, end):
        k, q, epochs = reference_automix(heads, end, last)
        values = {BEST_K: k, BEST_Q: q}
        found += [Summary(AUTOMIX, name, v, epochs) for name, v in values.items() if not isnan(v)]
    return tuple(found)


def reference_window(series: Series, end: int, last: int) -> float:
    """The reference's classification median: over epochs >= end - last. NaN if there are none."""
    values = [value for epoch, value in series.items() if epoch >= end - last]
    return median(values) if values else float("nan")


def reference_automix(
    heads: Mapping[str, Series], end: int, last: int
) -> tuple[float, float, tuple[int, ...]]:
    """The reference's AutoMix median.

    heads: by name; of one_k, mix_k, one_q and mix_q, a missing k head is replaced by its q head.
    Returns k (better of one_k and mix_k), q (better of one_q and mix_q), both NaN where no such
    head is, and the epochs of the window that was chosen.
    """
    chosen = {name: heads.get(name) or heads.get(f"{name[:-1]}q", {}) for name in MOMENTUM_HEADS}
    chosen |= {name: heads.get(name, {}) for name in TRAINED_HEADS}
    epochs = sorted({e for series in chosen.values() for e in series if e >= end - _reach(last)})
    whole = _medians(chosen, epochs)
    shorter = _medians(chosen, epochs[:-1])
    if max(shorter.values(), default=0) > max(whole.values(), default=0):
        whole, epochs = shorter, epochs[:-1]
    nan = float("nan")
    k = max((whole[name] for name in MOMENTUM_HEADS if name in whole), default=nan)
    q = max((whole[name] for name in TRAINED_HEADS if name in whole), default=nan)
    return k, q, tuple(epochs)


def as_floats(log: TrainingLog, name: str) -> dict[int, float]:
    """Epoch -> the accuracy called `name` (`head0_top1`), percent."""
    return {epoch: float(value) for epoch, value in log.series(name).items()}


def _reach(last: int) -> int:
    """How many epochs before the last one the AutoMix tool looks back."""
    return last if last < 10 else last + 1


def _medians(heads: Mapping[str, Series], epochs: list[int]) -> dict[str, float]:
    """Each head's median over those of the epochs that it has; heads without any are left out."""
    found = {name: [s[e] for e in epochs if e in s] for name, s in heads.items()}
    return {name: median(values) for name, values in found.items() if values}


def _reaches(heads: Mapping[str, Series], end: int) -> bool:
    return any(end in series for series in heads.values())
