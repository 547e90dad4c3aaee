"""Audits one training log: every summary beside the table, the arithmetic, the schedule."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ...zoo.manifest import Manifest, Row
from .arithmetic import Arithmetic, audit_arithmetic
from .lines import split_accuracy
from .reading import TrainingLog, read_log
from .schedule import Horizon, find_horizon, schedule_remarks
from .summaries import (
    BEST_K,
    BEST_Q,
    LAST,
    MEDIAN,
    MOMENTUM_HEADS,
    TRAINED_HEADS,
    Summary,
    rules,
    summarise,
)
from .verdict import RULES, LogVerdict, hit_by_chance, judge
from .world import WorldSize, infer_world_size

FORMAT = 1
LAST_EPOCHS = 5  # what the reference's tools are called with


@dataclass(frozen=True)
class Claim:
    """What a log is held against; each None if not known.

    top1: published, percent, with `decimals` digits. rule: of summaries.py, the statistic that the
    table names, over `last` epochs. images, train_images: of the two splits.
    """

    row: str | None = None
    top1: float | None = None
    decimals: int = 2
    rule: str = MEDIAN
    last: int = LAST_EPOCHS
    images: int | None = None
    train_images: int | None = None


@dataclass(frozen=True)
class HeadAudit:
    """One head's summaries (AutoMix's rule: of the pair that it belongs to) and verdict."""

    head: str
    summaries: tuple[Summary, ...]
    verdict: LogVerdict

    def value(self, rule: str) -> float | None:
        """A rule's number in percent, None if the log lacks the epochs for it."""
        return next((s.value for s in self.summaries if s.rule == rule), None)


@dataclass(frozen=True)
class LogAudit:
    """Everything that a log says about a published number.

    name: row id or file. world: None where the number of images isn't known. verdict: the log's
    as a whole, which is the best that any of its heads deserves.
    """

    name: str
    log: TrainingLog
    claim: Claim
    horizon: Horizon
    summaries: tuple[Summary, ...]
    heads: tuple[HeadAudit, ...]
    arithmetic: Arithmetic
    world: WorldSize | None
    remarks: tuple[str, ...]
    verdict: LogVerdict

    @cached_property
    def hit_by_chance(self) -> float:
        """See verdict.hit_by_chance."""
        return hit_by_chance(self.summaries, self.claim.decimals)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON; accuracies that didn't pass the k/N test as they are written."""
        arithmetic = self.arithmetic
        return {
            "name": self.name,
            "files": [str(path) for path in self.log.files],
            "log_format": self.log.format,
            "claim": asdict(self.claim),
            "epochs": {"run": self.horizon.epochs, "how_known": self.horizon.how}
            | {"validated": [v.epoch for v in self.log.validations], "pieces": self.log.pieces},
            "verdict": self.verdict.word,
            "rules": rules(self.horizon.epochs, self.claim.last),
            "reproduced_by": [{"rule": s.rule, "head": s.head} for s in self.verdict.by],
            "hit_by_chance": self.hit_by_chance,
            "heads": [{"head": head.head, "verdict": head.verdict.word} for head in self.heads],
            "summaries": [asdict(summary) for summary in self.summaries],
            "arithmetic": asdict(arithmetic)
            | {
                "misfits": [str(reading) for reading in arithmetic.misfits],
                "contradictions": [str(reading) for reading in arithmetic.contradictions],
            },
            "world_size": asdict(self.world) if self.world else None,
            "remarks": list(self.remarks),
        }


def claim_of(manifest: Manifest, row: Row) -> Claim:
    """What a benchmark's table says about a row."""
    metric, data = manifest.metric, manifest.dataset
    by_median = metric.statistic == "median_of_last_epochs"
    return Claim(
        row=row.id,
        top1=row.reported_top1,
        decimals=metric.decimals,
        rule=MEDIAN if by_median else LAST,
        last=metric.epochs if by_median else LAST_EPOCHS,
        images=data.val.images,
        train_images=data.train.images if data.train else None,
    )


def audit_files(
    paths: Sequence[Path], claim: Claim, *, epochs: int | None = None, name: str | None = None
) -> LogAudit:
    """Audit one run's log, from one file or several that belong together (see `read_log`).

    epochs: of the whole run, if not to be found out. Raises DataError if it can't be read.
    """
    return audit_log(read_log(paths, name), claim, epochs=epochs)


def audit_log(log: TrainingLog, claim: Claim, *, epochs: int | None = None) -> LogAudit:
    """Audit a log against a claim; see `audit_files`."""
    horizon = find_horizon(log, epochs)
    arithmetic = audit_arithmetic(log, claim.images)
    images = claim.images or arithmetic.images
    world = infer_world_size(log, images) if images else None
    summaries = summarise(log, end=horizon.epochs, last=claim.last)
    remarks = [*log.remarks, *schedule_remarks(log, horizon, claim.train_images, claim.images)]
    remarks += world.remarks if world else ()

    def verdict(of: Sequence[Summary], suspicious: bool) -> LogVerdict:
        return judge(
            of,
            claim.top1,
            decimals=claim.decimals,
            rule=claim.rule,
            arithmetic=arithmetic,
            suspicious=suspicious,
        )

    heads = []
    for head in log.heads:
        own = tuple(s for s in summaries if s.head in _sides(head))
        heads.append(HeadAudit(head, own, verdict(own, _speaks_against(arithmetic, head))))
    return LogAudit(
        name=log.name,
        log=log,
        claim=claim,
        horizon=horizon,
        summaries=summaries,
        heads=tuple(heads),
        arithmetic=arithmetic,
        world=world,
        remarks=tuple(remarks),
        verdict=verdict(summaries, not arithmetic.is_possible),
    )


def to_dict(
    audits: Sequence[LogAudit], *, missing: Sequence[str] = (), errors: Sequence[str] = ()
) -> dict[str, Any]:
    """Several audits as plain data for JSON.

    missing: rows whose log isn't here. errors: one line for each log that couldn't be read.
    """
    words = {word for a in audits for word in (a.verdict.word, *(h.verdict.word for h in a.heads))}
    return {
        "format": FORMAT,
        "logs": [audit.to_dict() for audit in audits],
        "missing": list(missing),
        "errors": list(errors),
        "verdicts": {word: rule for word, rule in RULES.items() if word in words},
    }


def _sides(head: str) -> tuple[str, ...]:
    """The names under which a head's summaries stand: its own, and its pair's."""
    pairs = dict.fromkeys(MOMENTUM_HEADS, BEST_K) | dict.fromkeys(TRAINED_HEADS, BEST_Q)
    return (head, pairs[head]) if head in pairs else (head,)


def _speaks_against(arithmetic: Arithmetic, head: str) -> bool:
    """Whether values of this head can't be honest; values that fit nothing speak against all."""
    if arithmetic.is_possible:
        return False
    bad = (*arithmetic.misfits, *arithmetic.contradictions)
    return any(split_accuracy(reading.name)[0] == head for reading in bad) or not bad
