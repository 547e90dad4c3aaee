"""From predictions to the lines of a report."""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ..zoo.catalog import Benchmark
from ..zoo.data import LabelledImages
from ..zoo.manifest import Metric
from .predictions import Predictions
from .report import ReportRow
from .verdict import judge

if TYPE_CHECKING:
    from .entries import Entry


@dataclass(frozen=True)
class Judging:
    """What lines are judged with. unreadable: position -> reason."""

    benchmark: Benchmark | None
    images: LabelledImages
    unreadable: dict[int, str]
    allow_missing: bool

    @cached_property
    def not_comparable(self) -> str | None:
        """Why the images can't be judged as those of the benchmark's table, or None if they can."""
        if self.unreadable and not self.allow_missing:
            first = self.images.files[min(self.unreadable)]
            return (
                f"{len(self.unreadable)} of {len(self.images)} images can't be read, first {first}; "
                "replace them, or count them as wrong with --allow-missing"
            )
        return _other_images(self.benchmark, self.images) if self.benchmark else None


def rows_of(entry: "Entry", judging: Judging) -> list[ReportRow]:
    """A line for each head of a checkpoint."""
    weights = entry.weights
    assert weights is not None  # an entry without error was loaded or recalled
    return [_line(entry, head, entry.heads[head], judging) for head in weights.heads]


def _line(entry: "Entry", head: str, known: Predictions, judging: Judging) -> ReportRow:
    row, benchmark = entry.checkpoint.row, entry.checkpoint.benchmark
    metric = benchmark.manifest.metric if benchmark else Metric(statistic="last_epoch")
    counts = known.counts()
    reported = row.reported_top1 if row else None
    weights = entry.weights
    assert weights is not None
    return ReportRow(
        id=entry.name,
        head=head,
        is_default_head=head == weights.heads[0],
        has_other_heads=len(weights.heads) > 1,
        counts=counts,
        reported_top1=reported,
        decimals=metric.decimals,
        verdict=judge(
            counts.correct,
            counts.total,
            reported,
            metric,
            other_images=judging.not_comparable,
        ),
        weights=weights,
        precision=_of_head(entry.about.get("precision", {}), head),
    )


def _of_head(summary: dict[str, Any], head: str) -> dict[str, Any]:
    """What was measured of a whole checkpoint, and of this head."""
    shared = {name: value for name, value in summary.items() if name != "heads"}
    return shared | summary.get("heads", {}).get(head, {})


def _other_images(benchmark: Benchmark, images: LabelledImages) -> str | None:
    expected = benchmark.manifest.dataset.val
    if expected.images is None:
        return f"{len(images)} images; how many the table was measured on is not known"
    if len(images) != expected.images:
        return f"{len(images)} images, the table's validation set has {expected.images}"
    if expected.list_sha256 not in (None, images.sha256()):
        return "as many images, but another list of paths and labels"
    if expected.files_sha256 and expected.files_sha256 != images.files_sha256():
        return (
            "the listed images, but not all with the locked bytes (drawn by another Pillow, or "
            f"damaged: remove {images.root} and prepare it again)"
        )
    return None
