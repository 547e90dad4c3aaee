"""Why isn't this number the published one? All known causes, those that were found first.

Pure: predictions, the table's row, the log's audit and what the file says of itself go in; nothing
is read, no model is run. A cause is *found* where a faithful row would show as much with a chance
of at most LEVEL, corrected (Holm) for all that was tried. What was found is ordered by likelihood:
how much likelier the evidence, and the published number, are under the cause than for an unrelated
number, which may lie anywhere within 20 points. docs/why.md has the causes in a table.
"""

from collections.abc import Sequence

from ..zoo.report import Cause
from .case import KEYS, MOST, PIXEL_KEYS, Case, Found, Trial
from .clues import look, usual
from .statistics import holm

__all__ = ["KEYS", "LEVEL", "Case", "Trial", "causes_of", "worth_telling"]

LEVEL = 0.01  # chance that a faithful row is accused of anything
_BY_IMAGES, _BY_LOG, _BY_FILE = "images", "log", "file"
_TOLD_BY = dict.fromkeys(PIXEL_KEYS, _BY_IMAGES) | {
    "other-row": "rows",
    "other-epoch": _BY_LOG,
    "averaged": _BY_FILE,
    "leak": "training",
    "padded": _BY_LOG,
    "other-statistic": _BY_LOG,
}


def causes_of(case: Case) -> tuple[Cause, ...]:
    """Every key of KEYS once: found ones first, the likeliest first; then open ones; then the rest."""
    found, silent = look(case)
    corrected = holm([one.p for one in found])
    sure = [one for one, p in zip(found, corrected, strict=True) if p <= LEVEL]
    p_of = {id(one): p for one, p in zip(found, corrected, strict=True)}
    best: dict[str, Found] = {}
    for one in sorted(sure, key=lambda one: -one.score):
        best.setdefault(one.key, one)
    weights = {key: 10.0 ** (one.score - MOST) for key, one in best.items()}
    total = sum(weights.values()) + 10.0**-MOST
    told = [
        Cause(
            key=key,
            state="found",
            sentence=one.sentence,
            evidence=one.evidence,
            command=one.command,
            p=p_of[id(one)],
            likelihood=weights[key] / total,
        )
        for key, one in best.items()
    ]
    rest = [_not_found(case, key, key in silent) for key in KEYS if key not in best]
    rest.sort(key=lambda one: (one.state != "open", -usual(case, one.key)))
    return (*told, *rest)


def worth_telling(causes: Sequence[Cause]) -> tuple[Cause, ...]:
    """Those that a report carries: what was found, else the first that only a look can tell."""
    found = tuple(one for one in causes if one.state == "found")
    return found or tuple(one for one in causes if one.state == "open")[:1]


def _not_found(case: Case, key: str, silent: bool) -> Cause:
    if silent:
        text = f"{KEYS[key]}: a number measured otherwise, or of another row's file, can't tell"
        return Cause(key=key, state="open", sentence=text, command=case.evaluation())
    lacks = {
        _BY_IMAGES: not case.trials and case.is_off,
        _BY_LOG: case.audit is None and case.row is not None,
        _BY_FILE: case.is_off,
        "rows": not (case.logs or case.kept) and case.is_off,
        "training": case.training is None and case.is_off and case.gap > 0,
    }
    needed = _TOLD_BY.get(key)
    if case.stored is None or (needed and lacks[needed]):
        ways = {
            _BY_LOG: case.command("logs", case.named[-1]),
            _BY_FILE: case.command("zoo", "inspect", *case.named),
        }
        how = ways.get(needed or "") or case.command("explain", *case.named, *case.images)
        text = {
            _BY_IMAGES: "only the images can tell",
            _BY_LOG: "only the training log can tell",
            _BY_FILE: "the file doesn't say so, and only who wrote it knows",
            "rows": "the other rows' logs and predictions aren't here",
            "training": "the training list isn't here",
        }.get(needed or "", "the file can't be evaluated")
        return Cause(key=key, state="open", sentence=f"{KEYS[key]}: {text}", command=how)
    return Cause(key=key, state="ruled out", sentence=KEYS[key])
