"""Reads an evaluation report as evidence: which numbers it backs, for which weights."""

import json
from pathlib import Path
from typing import Any, Literal

import msgspec

from ..catalog import Benchmark
from ..errors import ManifestError, UsageError
from ..manifest import Count, Percent, Positive, Sha256, convert

TOLERANCE = 1e-9  # points; a report's percentages are k / N in double precision


class Evaluated(msgspec.Struct, frozen=True):
    """The file that was evaluated."""

    file: str
    sha256: Sha256


class Line(msgspec.Struct, frozen=True):
    """One head of one checkpoint: `correct` and `correct5` of `total` images, percentages of them."""

    id: str
    head: str
    default_head: bool
    correct: Count
    correct5: Count
    total: Positive
    top1: Percent
    top5: Percent
    interval95: tuple[float, float]
    verdict: str
    reason: str
    weights: Evaluated
    reported_top1: Percent | None = None
    gap_points: float | None = None


class Images(msgspec.Struct, frozen=True):
    """The labelled images of the evaluation."""

    labels: str
    images: Count
    list_sha256: Sha256


class Evidence(msgspec.Struct, frozen=True):
    """A report as `mixzoo eval --out` writes it."""

    format: Literal[1]
    benchmark: str | None
    rows: list[Line]
    protocol: dict[str, Any]
    data: Images
    run: dict[str, Any]
    versions: dict[str, str]
    created: str

    def lines(self, *hashes: str) -> list[Line]:
        """The lines of the weights with one of these sha256, in the report's order."""
        return [line for line in self.rows if line.weights.sha256 in hashes]

    def measures(self, line: Line, benchmark: Benchmark) -> bool:
        """Whether a line is the benchmark's own number: its images, its pixels, all of them."""
        val = benchmark.manifest.dataset.val
        return (
            line.verdict != "not comparable"
            and line.total == val.images
            and val.list_sha256 in (None, self.data.list_sha256)
            and not self.protocol.get("overrides")
        )


def read_evidence(path: Path, benchmark: Benchmark) -> Evidence:
    """Read a report and hold it against itself and the benchmark it shall speak for.

    Raises UsageError if it can't be read or is another benchmark's, ManifestError if it isn't a
    report or its percentages aren't its counts.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(
            f"{path}: cannot be read as a report ({error}); expected what `mixzoo eval --out "
            "report.json` writes."
        ) from None
    evidence = convert(content, Evidence, str(path))
    if evidence.benchmark != benchmark.name:
        raise UsageError(
            f"{path}: expected a report on {benchmark.name}, got one on "
            f"{evidence.benchmark or 'no benchmark'}. Run: mixzoo eval FILE --row ROW --data DIR "
            "--out report.json"
        )
    for line in evidence.rows:
        _require_sums(line, path)
    return evidence


def _require_sums(line: Line, path: Path) -> None:
    for name, count, stated in (
        ("top1", line.correct, line.top1),
        ("top5", line.correct5, line.top5),
    ):
        if count > line.total or abs(100 * count / line.total - stated) > TOLERANCE:
            raise ManifestError(
                f"{path}: row {line.id!r}, head {line.head}, field '{name}': expected 100 x "
                f"{count} / {line.total}, got {stated}. Evaluate again: mixzoo eval."
            )
