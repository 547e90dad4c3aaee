"""Audits one training log: every summary beside the table, the arithmetic, the schedule."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ...zoo.manifest import Manifest, Row
from .arithmetic import OTHER_IMAGES, Arithmetic, audit_arithmetic
from .reading import TrainingLog, read_log
from .schedule import Horizon, find_horizon, schedule_remarks
from .summaries import (
    AUTOMIX,
    LAST,
    LAST_EPOCHS,
    MEDIAN,
    PAIRS,
    Claim,
    Summary,
    judge,
    rounds_to,
    rules,
    summarise,
    table_values,
)
from .world import WorldSize, infer_world_size


@dataclass(frozen=True)
class LogAudit:
    """Everything that a log says about a published number.

    name: row id or file. world: None where the number of images isn't known. verdict: a key of
    `summaries.RULES`, of the best number that the table's can be.
    """

    name: str
    log: TrainingLog
    claim: Claim
    horizon: Horizon
    summaries: tuple[Summary, ...]
    arithmetic: Arithmetic
    world: WorldSize | None
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

    @cached_property
    def hit_by_chance(self) -> float:
        """With which some summary would give a number published at random where they lie.

        The share of the span from the lowest to the highest value that rounds to one of them: the
        more rules and heads there are to choose from, the less a hit says.
        """
        decimals = self.claim.decimals
        printed = {round(s.value, decimals) for s in self.summaries}
        span = (max(printed) - min(printed)) * 10**decimals + 1
        return len(printed) / round(span)

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
            "verdict": self.verdict,
            "rules": rules(self.horizon.epochs, self.claim.last),
            "heads": list(self.heads),
            "table_values": [asdict(summary) for summary in self.table_values],
            "reproduced_by": [{"rule": s.rule, "head": s.head} for s in self.reproduced_by],
            "hit_by_chance": self.hit_by_chance,
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
    return LogAudit(
        name=log.name,
        log=log,
        claim=claim,
        horizon=horizon,
        summaries=summaries,
        arithmetic=arithmetic,
        world=world,
        remarks=(*remarks, *(world.remarks if world else ())),
        verdict=judge(
            summaries,
            claim,
            other_images=arithmetic.word == OTHER_IMAGES,
            suspicious=not arithmetic.is_possible,
        ),
    )
