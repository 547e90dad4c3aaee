"""From predictions to the lines of a report."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from msgspec import to_builtins

from ..zoo.catalog import Benchmark
from ..zoo.checkpoint.claims import claims
from ..zoo.checkpoint.reading import read_checkpoint
from ..zoo.data import LabelledImages
from ..zoo.errors import DataError
from ..zoo.manifest import Metric, Protocol
from . import sample
from .breakdown import SHOTS, break_down, shots, supercategories
from .calibration import calibrate
from .entries import Entry
from .logs.audit import LogAudit
from .logs.summaries import BEST
from .predictions import Counts, Predictions
from .report import ReportRow
from .sampled_run import Look
from .verdict import Logged, Verdict, judge


@dataclass(frozen=True)
class Judging:
    """What lines are judged with.

    unreadable: position -> reason. logs: entry name -> audit of its training log.
    training_images: images of each class in the training set, if that is known here.
    """

    benchmark: Benchmark | None
    images: LabelledImages
    protocol: Protocol
    unreadable: Mapping[int, str]
    allow_missing: bool
    logs: Mapping[str, LogAudit] = field(default_factory=dict)
    training_images: Mapping[int, int] = field(default_factory=dict)

    @cached_property
    def not_comparable(self) -> str | None:
        """Why the images can't be judged as those of the benchmark's table, or None if they can."""
        if self.unreadable and not self.allow_missing:
            first = self.images.files[min(self.unreadable)]
            return (
                f"{len(self.unreadable)} of {len(self.images)} images can't be read, first {first}; "
                "replace them, or count them as wrong with --allow-missing"
            )
        return (
            _other_images(self.benchmark, self.images, self.unreadable) if self.benchmark else None
        )

    @cached_property
    def groupings(self) -> dict[str, Sequence[str]]:
        """Ways to group the images, as far as the data tell them."""
        found: dict[str, Sequence[str]] = {}
        above = supercategories(self.images.files, self.images.labels)
        if above:
            found["supercategory"] = above
        if self.training_images:
            found["shots"] = shots(self.images.labels, self.training_images)
        return found


def rows_of(entry: Entry, judging: Judging) -> list[ReportRow]:
    """A line for each head of a checkpoint, judged on all images."""
    checkpoint, meta = entry.checkpoint, read_checkpoint(entry.checkpoint.path).meta
    manifest = checkpoint.benchmark.manifest if checkpoint.benchmark else None
    said = to_builtins(claims(meta, judging.protocol, checkpoint.row, manifest))
    lines = []
    for head in entry.known_weights.heads:
        known = entry.heads[head]
        reported, metric = _published(entry)
        counts = known.counts()
        logged = _logged(judging.logs.get(entry.name), head, meta.get("epoch"))
        verdict = judge(
            counts.correct,
            counts.total,
            reported,
            metric,
            other_images=judging.not_comparable,
            logged=logged,
        )
        lines.append(
            _line(
                entry,
                head,
                counts,
                verdict,
                breakdown=_breakdown(known, judging.groupings),
                calibration=calibrate(known).to_dict(),
                claims=said,
                logged=_logged_facts(logged, counts),
            )
        )
    return lines


def sampled_rows(entry: Entry, look: Look, width: float) -> list[ReportRow]:
    """A line for each head of a checkpoint that was evaluated on a sample of the images."""
    lines = []
    for head, estimate in look.estimates[entry.name].items():
        reported, metric = _published(entry)
        correct5 = int(entry.heads[head].correct5[look.order].sum())
        counts = Counts(estimate.correct, correct5, estimate.seen)
        if reported is None:
            verdict = judge(counts.correct, counts.total, None, metric)
        else:
            verdict = Verdict(
                sample.conclude(estimate, reported, width=width),
                sample.explain(estimate, reported, width=width),
                estimate.top1 - reported,
            )
        lines.append(_line(entry, head, counts, verdict, limits=(estimate.low, estimate.high)))
    return lines


def _published(entry: Entry) -> tuple[float | None, Metric]:
    row, benchmark = entry.checkpoint.row, entry.checkpoint.benchmark
    metric = benchmark.manifest.metric if benchmark else Metric(statistic="last_epoch")
    return (row.reported_top1 if row else None), metric


def _line(entry: Entry, head: str, counts: Counts, verdict: Verdict, **details: Any) -> ReportRow:
    weights = entry.known_weights
    reported, metric = _published(entry)
    summary = entry.about.get("precision", {})
    shared = {name: value for name, value in summary.items() if name != "heads"}
    return ReportRow(
        id=entry.name,
        head=head,
        is_default_head=head == weights.heads[0],
        has_other_heads=len(weights.heads) > 1,
        counts=counts,
        reported_top1=reported,
        decimals=metric.decimals,
        verdict=verdict,
        weights=weights,
        precision=shared | summary.get("heads", {}).get(head, {}),
        **details,
    )


def _breakdown(known: Predictions, groupings: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    orders = {"shots": SHOTS}
    return {
        name: [group.to_dict() for group in break_down(known, groups, orders.get(name, ()))]
        for name, groups in groupings.items()
    }


def _logged(audit: LogAudit | None, head: str, epoch: object) -> Logged | None:
    """What the log says of this head at the checkpoint's epoch, else at its last one."""
    series = audit.log.series(f"{head}_top1") if audit else {}
    if not audit or not series:
        return None
    at = epoch if isinstance(epoch, int) and epoch in series else max(series)
    by = {summary.rule for one in audit.heads if one.head == head for summary in one.verdict.by}
    return Logged(float(series[at]), at, reproduces=bool(by - {BEST}))


def _logged_facts(logged: Logged | None, counts: Counts) -> dict[str, Any]:
    if logged is None:
        return {}
    return {
        "epoch": logged.epoch,
        "top1": logged.top1,
        "gap_images": round(counts.correct - logged.top1 / 100 * counts.total, 2),
        "summary_reproduces": logged.reproduces,
    }


def training_images(images: LabelledImages, benchmark: Benchmark | None) -> dict[int, int]:
    """Training images of each class, from the training annotations if they lie beside these."""
    from ..zoo.data import from_annotations

    train = benchmark.manifest.dataset.train if benchmark else None
    folder = images.root if images.root.is_dir() else images.root.parent
    for name in train.annotations if train else ():
        path = folder / name
        if path.suffix == ".json" and path.is_file():
            try:
                return dict(from_annotations(folder, path).class_counts())
            except DataError:
                return {}  # a detail of the report isn't worth the evaluation
    return {}


def _other_images(
    benchmark: Benchmark, images: LabelledImages, unreadable: Mapping[int, str]
) -> str | None:
    expected = benchmark.manifest.dataset.val
    if expected.images is None:
        return f"{len(images)} images; how many the table was measured on is not known"
    if len(images) != expected.images:
        return f"{len(images)} images, the table's validation set has {expected.images}"
    if expected.list_sha256 not in (None, images.sha256()):
        return "as many images, but another list of paths and labels"
    if expected.files_sha256 and not unreadable:
        return _other_bytes(images, expected.files_sha256)
    return None


def _other_bytes(images: LabelledImages, locked: str) -> str | None:
    try:
        found = images.files_sha256()
    except DataError as error:  # the predictions are kept ones, the images are gone
        return f"the listed images, but not all are here: {error}"
    if found == locked:
        return None
    return (
        "the listed images, but not all with the locked bytes (drawn by another Pillow, or "
        f"damaged: remove {images.root} and prepare it again)"
    )
