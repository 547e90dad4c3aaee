"""Compares rows image by image: on the same images a paired test sees what two intervals hide.

At 63% of 24,426 images each row's own interval is 1.2 points wide, but two rows are right and
wrong on mostly the same images, and only those where they differ carry information.
"""

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any, NamedTuple

import msgspec
import numpy as np

from ..zoo.errors import DataError, UsageError
from ..zoo.looks import counted, markdown_table, plain, signed
from .predictions import UNREADABLE, Predictions
from .statistics import holm, mcnemar, paired_difference_interval

LEVEL = 0.05
P_SHOWN = 0.0001  # smaller p-values are only called smaller

BETTER = "better"
WORSE = "worse"
NOT_DISTINGUISHABLE = "not distinguishable"
IDENTICAL = "right on the same images"

RULES = {
    BETTER: f"A is right more often than B (paired McNemar test, Holm-corrected p < {LEVEL})",
    WORSE: f"A is right less often than B (paired McNemar test, Holm-corrected p < {LEVEL})",
    NOT_DISTINGUISHABLE: f"these images can't tell A from B (Holm-corrected p >= {LEVEL}), which "
    "doesn't show that they are equal",
    IDENTICAL: "A and B are right on exactly the same images",
}
SCOPE = (
    "The p-values and intervals speak about other images of the same kind, with these very "
    "weights. They say nothing about training again with another seed."
)


class NamedPredictions(NamedTuple):
    """Predictions with what to call them, and of which files, if that is known.

    list_sha256: of the labelled list, "" if not known.
    """

    name: str
    predictions: Predictions
    list_sha256: str = ""
    files: tuple[str, ...] = ()


class Pair(msgspec.Struct, frozen=True, kw_only=True):
    """How often two rows are right on the same images, and what that shows.

    both, only_a, only_b, neither: images that both, one alone or none gets right; they sum to
    `total`. unreadable: of these, how many could not be decoded, which counts as wrong. difference:
    accuracy of A minus that of B in points, with its 95% score interval for this pair alone. p:
    McNemar's, for this pair alone; p_holm: corrected for all pairs asked about. word: a key of
    RULES. sentence: the finding in words, with the rule beside it.
    """

    a: str
    b: str
    both: int
    only_a: int
    only_b: int
    neither: int
    unreadable: int
    total: int
    difference: float
    interval95: tuple[float, float]
    p: float
    p_holm: float
    word: str
    sentence: str


def compare_rows(
    rows: Sequence[NamedPredictions], *, against: str | None = None
) -> tuple[Pair, ...]:
    """Compare every two rows, or each with one: the p-values are corrected for all these pairs.

    against: name of the row that the others are compared with; it stands second in each pair.
    Raises UsageError for fewer than two rows, a name that stands twice or an unknown `against`,
    DataError if rows don't speak about the same images or an image has no prediction yet.
    """
    require_alike(rows, against)
    if against is None:
        chosen = list(combinations(rows, 2))
    else:
        baseline = next(row for row in rows if row.name == against)
        chosen = [(row, baseline) for row in rows if row is not baseline]
    counted = [_count(a.predictions, b.predictions) for a, b in chosen]
    p_values = [mcnemar(one["only_a"], one["only_b"]) for one in counted]
    corrected = holm(p_values)
    return tuple(
        _pair(a.name, b.name, counts, p, p_holm)
        for (a, b), counts, p, p_holm in zip(chosen, counted, p_values, corrected, strict=True)
    )


def _count(a: Predictions, b: Predictions) -> dict[str, int]:
    lost = (a.state == UNREADABLE) | (b.state == UNREADABLE)
    right_a, right_b = a.correct, b.correct
    return {
        "both": int((right_a & right_b).sum()),
        "only_a": int((right_a & ~right_b).sum()),
        "only_b": int((~right_a & right_b).sum()),
        "neither": int((~right_a & ~right_b).sum()),
        "unreadable": int(lost.sum()),
    }


def _pair(a: str, b: str, counts: Mapping[str, int], p: float, p_holm: float) -> Pair:
    only_a, only_b = counts["only_a"], counts["only_b"]
    total = only_a + only_b + counts["both"] + counts["neither"]
    told = f"paired, Holm-corrected p {'' if p_holm < P_SHOWN else '= '}{p_text(p_holm)}"
    if only_a == only_b == 0:
        word, sentence = IDENTICAL, f"{a} and {b} are right on exactly the same images."
    elif p_holm >= LEVEL:
        word = NOT_DISTINGUISHABLE
        sentence = f"{a} and {b} are {word} on these images ({told}, not below {LEVEL})."
    else:
        word = BETTER if only_a > only_b else WORSE
        sentence = f"{a} is {word} than {b} ({told}, below {LEVEL})."
    return Pair(
        a=a,
        b=b,
        **counts,
        total=total,
        difference=100 * (only_a - only_b) / total,
        interval95=paired_difference_interval(only_a, only_b, total),
        p=p,
        p_holm=p_holm,
        word=word,
        sentence=sentence,
    )


COLUMNS = (
    "A",
    "B",
    "Only A right",
    "Only B right",
    "A - B",
    "95% interval",
    "p",
    "p, Holm",
    "A is",
)


def cells(pair: Pair) -> list[str]:
    """A pair's cells under COLUMNS, as text."""
    return [
        pair.a,
        pair.b,
        str(pair.only_a),
        str(pair.only_b),
        signed(pair.difference, 2),
        " to ".join(signed(end, 2) for end in pair.interval95),
        p_text(pair.p),
        p_text(pair.p_holm),
        pair.word,
    ]


def legend(pairs: Sequence[Pair]) -> list[str]:
    """What the words in use mean, what the numbers are, and how far they reach."""
    lost = max(pair.unreadable for pair in pairs)
    lines = [f"{word}: {rule}." for word, rule in _rules(pairs).items()]
    lines.append(
        f"{counted(pairs[0].total, 'image')}. A - B: difference of top-1 in points, with its 95% score "
        f"interval for the pair alone; p corrected for "
        f"{counted(len(pairs), 'comparison')}."
    )
    if lost:
        lines.append(f"Up to {lost} of the images could not be decoded and count as wrong.")
    return [*lines, SCOPE]


def to_dict(pairs: Sequence[Pair]) -> dict[str, Any]:
    """All pairs as plain data for JSON, with the rules of the words in use."""
    found = msgspec.to_builtins(pairs)
    return {"pairs": found, "level": LEVEL, "rules": _rules(pairs), "scope": SCOPE}


def to_markdown(pairs: Sequence[Pair]) -> str:
    """The table and the legend as Markdown."""
    table = markdown_table(COLUMNS, map(cells, pairs))
    return table + "\n" + "".join(f"- {plain(text)}\n" for text in legend(pairs))


def p_text(p: float) -> str:
    """A p-value with as many digits as it deserves."""
    return f"< {P_SHOWN}" if p < P_SHOWN else f"{p:.4f}" if p < 0.1 else f"{p:.2f}"


def _rules(pairs: Sequence[Pair]) -> dict[str, str]:
    used = {pair.word for pair in pairs}
    return {word: rule for word, rule in RULES.items() if word in used}


def require_alike(rows: Sequence[NamedPredictions], against: str | None = None) -> None:
    """Raise what `compare_rows` raises where rows can't be compared image by image."""
    names = [row.name for row in rows]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UsageError(
            f"{twice[0]} was given twice; expected different rows to compare. Name others."
        )
    if len(rows) < 2:
        raise UsageError(f"Expected at least two rows to compare, got {len(rows)}. Name another.")
    if against is not None and against not in names:
        raise UsageError(f"--against {against}: expected one of {', '.join(names)}. Name one.")
    for row in rows[1:]:
        _require_same(rows[0], row)


def _require_same(a: NamedPredictions, b: NamedPredictions) -> None:
    for row in (a, b):
        if not row.predictions.complete:
            raise DataError(
                f"{row.name}: not all of its images have a prediction yet. Finish its evaluation; "
                "it goes on where it stopped."
            )
    how = _difference(a, b)
    if how:
        raise DataError(
            f"{a.name} and {b.name} weren't evaluated on the same labelled images ({how}), so they "
            "can't be paired. Evaluate both with the same --data and label list."
        )


def _difference(a: NamedPredictions, b: NamedPredictions) -> str:
    """How two label lists differ, or nothing."""
    ours, theirs = a.predictions.labels, b.predictions.labels
    if len(ours) != len(theirs):
        return f"{len(ours)} and {len(theirs)} images"
    differ = np.flatnonzero(ours != theirs)
    if len(differ):
        order = " in another order" if (np.sort(ours) == np.sort(theirs)).all() else ""
        at = int(differ[0])
        return (
            f"{len(differ)} labels differ{order}, first at position {at}: "
            f"{ours[at]} and {theirs[at]}"
        )
    if a.list_sha256 and b.list_sha256 and a.list_sha256 != b.list_sha256:
        return f"lists {a.list_sha256[:12]} and {b.list_sha256[:12]}, with equal labels"
    return ""
