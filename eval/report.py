"""A report: one line per checkpoint and head, and everything needed to get the same again."""

import platform
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from .predictions import Counts
from .sample import RULES as SAMPLED_RULES
from .statistics import wilson_interval
from .verdict import RULES, Verdict

FORMAT = 1
FEW = 4  # checkpoints or heads that each get a sentence of their own
VERSIONED = ("mixzoo", "torch", "numpy", "pillow", "scipy")


@dataclass(frozen=True)
class Weights:
    """The checkpoint behind a line. method: "plain", "automix" or "samix", read off its keys."""

    file: str
    sha256: str
    architecture: str
    method: str
    num_classes: int
    heads: tuple[str, ...] = ()


@dataclass(frozen=True)
class ReportRow:
    """One head of one checkpoint. reported_top1: percent, None if nothing was published."""

    id: str
    head: str
    is_default_head: bool
    has_other_heads: bool
    counts: Counts
    reported_top1: float | None
    decimals: int
    verdict: Verdict
    weights: Weights
    precision: dict[str, Any] = field(default_factory=dict)
    """What the guard measured and recomputed."""
    breakdown: dict[str, Any] = field(default_factory=dict)
    """Grouping -> groups, see `breakdown.Group`."""
    calibration: dict[str, Any] = field(default_factory=dict)
    claims: dict[str, Any] = field(default_factory=dict)
    """What the checkpoint says of its own training, and where that differs."""
    logged: dict[str, Any] = field(default_factory=dict)
    """What the training log says of this head and epoch."""
    limits: tuple[float, float] | None = None
    """Of the top-1 of all images, where `counts` are of a sample."""

    @property
    def interval(self) -> tuple[float, float]:
        """95% interval of the top-1 in percent: Wilson's, or the limits that a sample gives."""
        return self.limits or wilson_interval(self.counts.correct, self.counts.total)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "id": self.id,
            "head": self.head,
            "default_head": self.is_default_head,
            "correct": self.counts.correct,
            "correct5": self.counts.correct5,
            "total": self.counts.total,
            "top1": self.counts.top1,
            "top5": self.counts.top5,
            "interval95": list(self.interval),
            "reported_top1": self.reported_top1,
            "decimals": self.decimals,
            "gap_points": self.verdict.gap_points,
            "gap_images": self.verdict.gap_images,
            "verdict": self.verdict.word,
            "reason": self.verdict.why,
            "weights": asdict(self.weights),
            **self._details(),
        }

    def _details(self) -> dict[str, Any]:
        """The optional keys: what was measured."""
        names = ("precision", "breakdown", "calibration", "claims", "logged")
        return {name: getattr(self, name) for name in names if getattr(self, name)}


@dataclass(frozen=True)
class Report:
    """All lines of one evaluation with its provenance.

    protocol: values used, and under "overrides" what differs from the benchmark's. data: where the
    labels came from, how many images, hash of the labelled list. run: device, world size and so on.
    """

    rows: tuple[ReportRow, ...]
    benchmark: str | None
    protocol: dict[str, Any]
    data: dict[str, Any]
    run: dict[str, Any]
    failures: dict[str, str] = field(default_factory=dict)
    """Checkpoint -> why it couldn't be evaluated."""
    unreadable: dict[str, str] = field(default_factory=dict)
    """Image file -> why it can't be read. They count as wrong."""
    allow_missing: bool = False
    sample: dict[str, Any] = field(default_factory=dict)
    """Where only a sample was evaluated: how it was drawn, and what it can't see."""
    created: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        used = {row.verdict.word for row in self.rows}
        return {
            "format": FORMAT,
            "benchmark": self.benchmark,
            "rows": [row.to_dict() for row in self.rows],
            "rules": {w: rule for w, rule in (RULES | SAMPLED_RULES).items() if w in used},
            "protocol": self.protocol,
            "data": self.data,
            "run": self.run,
            "versions": versions(),
            **({"sample": self.sample} if self.sample else {}),
            "failures": [{"id": name, "error": error} for name, error in self.failures.items()],
            "unreadable": [
                {"file": file, "reason": reason} for file, reason in self.unreadable.items()
            ],
            "created": self.created,
        }


COLUMNS = (
    "Row",
    "Head",
    "Correct",
    "Recomputed",
    "Published",
    "Gap",
    "Gap, images",
    "95% interval",
)


def cells(row: ReportRow) -> list[str]:
    """A line's cells under COLUMNS and "Verdict", as text."""
    counts, gap = row.counts, row.verdict.gap_points
    low, high = row.interval
    images = row.verdict.gap_images
    return [
        row.id,
        row.head + (" *" if row.is_default_head and row.has_other_heads else ""),
        f"{counts.correct} / {counts.total}",
        f"{counts.top1:.{row.decimals + 1}f}",
        "-" if row.reported_top1 is None else f"{row.reported_top1:.{row.decimals}f}",
        "-" if gap is None else _signed(gap, row.decimals + 1),
        "-" if images is None else _signed(images, 1),
        f"{low:.2f} to {high:.2f}",
        row.verdict.word,
    ]


def to_markdown(report: Report) -> str:
    """The report as a Markdown page: table, rules, provenance."""
    content = report.to_dict()
    header = [*COLUMNS, "Verdict"]
    lines = [f"# Top-1 recomputed{f' on {report.benchmark}' if report.benchmark else ''}", ""]
    lines += [_line(header), _line(["---"] * len(header))]
    lines += [_line(cells(row)) for row in report.rows]
    lines += ["", "Recomputed and published: top-1 in percent. Gap: recomputed minus published."]
    if any(row.has_other_heads for row in report.rows):
        lines += ["\\* the head that inference uses."]
    lines += ["", "## Verdicts", ""]
    lines += [f"- **{word}**: {rule}." for word, rule in content["rules"].items()]
    found = [*notes(report), *(f"**{text}**" for text in warnings(report))]
    lines += ["", "## Notes", "", *(f"- {text}" for text in found)] if found else []
    lines += ["", "## Provenance", ""]
    for name in ("protocol", "data", "run", "versions"):
        lines += [f"- **{name}**: {_in_words(content[name])}"]
    weights = {row.weights.sha256: row.weights for row in report.rows}.values()
    lines += [
        f"- **weights**: {w.file}, sha256 {w.sha256}, {w.architecture} ({w.method}), {w.num_classes} classes"
        for w in weights
    ]
    return "\n".join([*lines, f"- **created**: {report.created}", ""])


def notes(report: Report) -> Iterator[str]:
    """What else was found, in sentences: the log's word, the arithmetic, the sample."""
    logged = [row for row in report.rows if row.logged]
    exact = [row for row in logged if not round(row.logged["gap_images"])]
    if len(exact) > FEW:
        yield f"{len(exact)} of {len(logged)} heads have a log that says just what was recomputed."
    for row in logged:
        off = round(row.logged["gap_images"])
        if not off and len(exact) > FEW:
            continue
        much = f"{abs(off)} images {'fewer' if off > 0 else 'more'} than" if off else "just as"
        yield (
            f"{row.id} {row.head}: epoch {row.logged['epoch']} of its log says "
            f"{row.logged['top1']:.5f}, {much} recomputed."
        )
    yield from _how_computed([row for row in report.rows if row.is_default_head])
    if report.sample:
        yield f"A sample: {report.sample['images']} of {report.sample['of']} images."
        yield from report.sample.get("cannot_detect", ())
    if "from_store" in report.run:
        yield (
            f"Answered from predictions kept by an earlier evaluation: {report.run['from_store']}. "
            "--fresh predicts again."
        )


def warnings(report: Report) -> Iterator[str]:
    """What a reader must not miss: contradictions, images and checkpoints that are left out."""
    yield from dict.fromkeys(
        f"{row.id}: {text}" for row in report.rows for text in row.claims.get("disagreements", ())
    )
    if report.unreadable:
        file, reason = next(iter(report.unreadable.items()))
        yield (
            f"{len(report.unreadable)} images can't be read and count as wrong, first {file}: {reason}"
        )
    for problem in report.run.get("not_kept", ()):
        yield f"Predictions could not be kept: {problem}."
    for name, error in report.failures.items():
        yield f"{name} could not be evaluated: {error}"


def _how_computed(rows: Sequence[ReportRow]) -> Iterator[str]:
    """A sentence for each of a few checkpoints; of many, for those where fp32 changed something."""
    changed = [r for r in rows if r.precision.get("changed")] if len(rows) > FEW else rows
    yield from dict.fromkeys(f"{row.id}: {_arithmetic(row.precision)}" for row in changed)
    if len(changed) < len(rows):
        rest = [row for row in rows if row not in changed]
        yield f"{rest[0].id}: {_arithmetic(rest[0].precision)}"
        yield f"The {len(rest) - 1} others likewise; the report has their numbers."


def _arithmetic(facts: dict[str, Any]) -> str:
    """How predictions were computed, one sentence."""
    if facts.get("precision") == "guarded":
        changed = facts["changed"]
        return (
            f"{facts['arithmetic']} arithmetic, guarded: {facts['calibrated']} images calibrated the "
            f"bound ({facts['bound']:.2g} of a logit), {facts['recomputed']} were computed again in "
            f"fp32, which changed {changed} prediction{'' if changed == 1 else 's'}."
        )
    if facts.get("precision") == "fast":
        return f"{facts['arithmetic']} arithmetic, unguarded: single predictions may not be fp32's."
    return "IEEE fp32."


def versions() -> dict[str, str]:
    """Versions of what the numbers depend on."""
    found = {"python": platform.python_version()}
    for name in VERSIONED:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def _in_words(facts: dict[str, Any]) -> str:
    """`name value` pairs; nested ones in brackets, empty ones left out."""
    parts = []
    for name, value in facts.items():
        if isinstance(value, dict):
            text = f"({_in_words(value)})" if value else ""
        else:
            text = " ".join(map(str, value)) if isinstance(value, tuple | list) else str(value)
        if text:
            parts.append(f"{name.replace('_', ' ')} {text}")
    return ", ".join(parts)


def _line(parts: list[str]) -> str:
    return "| " + " | ".join(part.replace("|", r"\|") for part in parts) + " |"


def _signed(value: float, decimals: int) -> str:
    """A signed number; one that rounds to zero has no sign."""
    text = f"{value:+.{decimals}f}"
    return text[1:] if float(text) == 0 else text
