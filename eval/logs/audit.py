"""Audits one training log: every summary beside the table, the arithmetic, the schedule."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from ...zoo.manifest import Manifest, Row
from ..statistics import chance_of_a_hit
from .arithmetic import OTHER_IMAGES, WHOLE, CountTest, audit_arithmetic
from .lines import Validation
from .reading import TrainingLog, read_log, spans
from .schedule import Horizon, find_horizon, schedule_remarks
from .summaries import (
    AUTOMIX,
    LAST,
    LAST_EPOCHS,
    MEDIAN,
    PAIRS,
    Claim,
    Summary,
    judge_log,
    rounds_to,
    rules,
    summarise,
    table_values,
)

MOST_DIFFERENCES = 20  # between two logs of a run, that are named one by one


@dataclass(frozen=True)
class LogAudit:
    """Everything that a log says about a published number.

    name: row id or file. differences: where the run's other log says something else. verdict: a key
    of `summaries.RULES`, of the best number that the table's can be.
    """

    name: str
    log: TrainingLog
    claim: Claim
    horizon: Horizon
    summaries: tuple[Summary, ...]
    arithmetic: CountTest
    differences: tuple[str, ...]
    remarks: tuple[str, ...]
    verdict: str

    @property
    def heads(self) -> tuple[str, ...]:
        """Heads with a top-1 accuracy, in the log's order."""
        return self.log.heads

    def summary(self, head: str, rule: str) -> Summary | None:
        """A rule's number for a head, by AutoMix's rule that of the head's pair.

        None if the log lacks the epochs for it.
        """
        name = PAIRS.get(head, head) if rule == AUTOMIX else head
        found = (s for s in self.summaries if (s.head, s.rule) == (name, rule))
        return next(found, None)

    @property
    def reproduced_by(self) -> tuple[Summary, ...]:
        """All summaries that round to the published digits."""
        return tuple(
            s for s in self.summaries if rounds_to(s.value, self.claim.top1, self.claim.decimals)
        )

    @property
    def table_values(self) -> tuple[Summary, ...]:
        """The numbers that the table's can be: see `summaries.table_values`."""
        return table_values(self.summaries, self.claim.rule)

    @property
    def table_value(self) -> Summary | None:
        """The one of them that stands for the row: the nearest to the published number.

        Without a published number the first, that of inference; None if epochs are missing.
        """
        top1 = self.claim.top1
        if top1 is None:
            return next(iter(self.table_values), None)
        return min(self.table_values, key=lambda one: abs(one.value - top1), default=None)

    @property
    def problem(self) -> str | None:
        """Why the log can vouch for nothing, None if it can."""
        disagree = (
            "disagrees with the run's other log (see mixzoo logs)" if self.differences else None
        )
        return self.arithmetic.problem or disagree

    @property
    def hit_by_chance(self) -> float | None:
        """With which trying all these rules and heads would give some unrelated number's digits."""
        values = [one.value for one in self.summaries]
        top1, decimals = self.claim.top1, self.claim.decimals
        return None if top1 is None else chance_of_a_hit(values, top1, decimals)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON; accuracies as they are written."""
        log = self.log
        facts = {name: getattr(self, name) for name in self.__dataclass_fields__ if name != "log"}
        facts |= {
            "files": log.files,
            "compared_with": log.twin.files if log.twin else (),
            "log_format": log.format,
            "pieces": log.pieces,
            "validated": [v.epoch for v in log.validations],
            "heads": self.heads,
            "rules": rules(self.horizon.epochs, self.claim.last),
            "table_values": self.table_values,
            "reproduced_by": self.reproduced_by,
            "hit_by_chance": self.hit_by_chance,
        }
        return msgspec.to_builtins(facts, enc_hook=str)


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
    The run's two logs, in two formats, are compared.

    epochs: of the whole run, if not to be found out. Raises DataError if it can't be read.
    """
    return audit_log(read_log(paths, name), claim, epochs=epochs)


def audit_log(log: TrainingLog, claim: Claim, *, epochs: int | None = None) -> LogAudit:
    """Audit a log against a claim; see `audit_files`."""
    log = in_percent(log, claim.images)
    twin = in_percent(log.twin, claim.images) if log.twin else None
    horizon = find_horizon(log, epochs)
    arithmetic = audit_arithmetic(log, claim.images)
    summaries = summarise(log, end=horizon.epochs, last=claim.last)
    remarks = [*log.remarks, *schedule_remarks(log, horizon, claim)]
    return LogAudit(
        name=log.name,
        log=log,
        claim=claim,
        horizon=horizon,
        summaries=summaries,
        arithmetic=arithmetic,
        differences=tuple(_differences(log, twin)) if twin else (),
        remarks=tuple(remarks),
        verdict=judge_log(
            summaries,
            claim,
            other_images=arithmetic.word == OTHER_IMAGES,
            suspicious=not arithmetic.is_possible,
        ),
    )


def in_percent(log: TrainingLog, images: int | None) -> TrainingLog:
    """The log with percentages where its accuracies are fractions, from 0 to 1.

    A run that never rose above 1% looks the same; the arithmetic of so many `images`, if known, may
    tell that it is one.
    """
    lines = (*log.validations, *log.replaced)
    most = max(value for line in lines for value in line.accuracies.values())
    if not 0 < most <= 1 or (images and audit_arithmetic(log, images).word == WHOLE):
        return log

    def scaled(line: Validation) -> Validation:
        return replace(line, accuracies={n: v.scaleb(2) for n, v in line.accuracies.items()})

    remark = (
        "all accuracies are from 0 to 1: taken for fractions, not percent, and multiplied by 100"
    )
    return replace(
        log,
        validations=tuple(map(scaled, log.validations)),
        replaced=tuple(map(scaled, log.replaced)),
        decimals=log.decimals - 2,
        remarks=(*log.remarks, remark),
    )


def _differences(log: TrainingLog, twin: TrainingLog) -> Iterator[str]:
    """Where two logs of one run disagree by more than rounding: the values of both, and epochs."""
    ours, theirs = _values(log), _values(twin)
    near = (Decimal(10) ** -log.decimals + Decimal(10) ** -twin.decimals) / 2
    off = [at for at in ours if at in theirs and abs(ours[at] - theirs[at]) > near]
    for epoch, name in off[:MOST_DIFFERENCES]:
        yield f"{name} of epoch {epoch}: {ours[epoch, name]} and {theirs[epoch, name]}"
    if len(off) > MOST_DIFFERENCES:
        yield f"{len(off) - MOST_DIFFERENCES} more, in {spans(epoch for epoch, _ in off)}"
    for one, other in ((log, twin), (twin, log)):
        alone = _values(one).keys() - _values(other).keys()
        for what in sorted({what for _, what in alone}):
            epochs = (epoch for epoch, told in alone if told == what)
            yield f"{what} of {spans(epochs)}: only in {one.files[0].name}"


def _values(log: TrainingLog) -> dict[tuple[int, str], Decimal]:
    return {(v.epoch, name): value for v in log.validations for name, value in v.accuracies.items()}
