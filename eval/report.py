"""A report: one line per checkpoint and head, and everything needed to get the same again."""

import platform
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from .predictions import Counts
from .statistics import wilson_interval
from .verdict import RULES, Verdict

FORMAT = 1
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

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson 95% interval of the top-1, in percent."""
        return wilson_interval(self.counts.correct, self.counts.total)

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
            "gap_points": self.verdict.gap_points,
            "gap_images": self.verdict.gap_images,
            "verdict": self.verdict.word,
            "reason": self.verdict.why,
            "weights": asdict(self.weights),
            "precision": self.precision,
        }


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
    created: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        used = {row.verdict.word for row in self.rows}
        return {
            "format": FORMAT,
            "benchmark": self.benchmark,
            "rows": [row.to_dict() for row in self.rows],
            "rules": {word: rule for word, rule in RULES.items() if word in used},
            "protocol": self.protocol,
            "data": self.data,
            "run": self.run,
            "versions": versions(),
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
    lines += ["", "## Provenance", ""]
    for name in ("protocol", "data", "run", "versions"):
        lines += [f"- **{name}**: {_in_words(content[name])}"]
    weights = {row.weights.sha256: row.weights for row in report.rows}.values()
    lines += [
        f"- **weights**: {w.file}, sha256 {w.sha256}, {w.architecture} ({w.method}), {w.num_classes} classes"
        for w in weights
    ]
    return "\n".join([*lines, f"- **created**: {report.created}", ""])


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
