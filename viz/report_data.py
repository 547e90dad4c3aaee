"""Reads stored evaluation reports as the plots need them (docs/report.md)."""

import json
from pathlib import Path
from typing import Any, Literal

import msgspec

from ..zoo.errors import UsageError
from ..zoo.manifest import Count, Percent, Positive, convert
from ..zoo.publish.evidence import Images, Line


class GroupCounts(msgspec.Struct, frozen=True):
    """`correct` of `total` images of a group are right. accuracy, interval95: percent."""

    name: str
    correct: Count
    total: Positive
    accuracy: Percent
    interval95: tuple[float, float]


class ReportLine(Line, frozen=True):
    """One head of one checkpoint. breakdown: `supercategory` or `shots` -> its groups."""

    decimals: Count = 2
    breakdown: dict[str, list[GroupCounts]] = msgspec.field(default_factory=dict)


class StoredReport(msgspec.Struct, frozen=True):
    """A report as `mixzoo eval --out` writes it; keys that plots don't need are passed over."""

    format: Literal[1]
    benchmark: str | None
    rows: list[ReportLine]
    rules: dict[str, str]
    protocol: dict[str, Any]
    data: Images
    created: str

    def default_lines(self) -> list[ReportLine]:
        """The lines of the heads that inference uses, one a checkpoint."""
        return [line for line in self.rows if line.default_head]


def parse_report(content: Any, origin: str) -> StoredReport:
    """A report from its plain data. origin: for messages. Raises ManifestError if it isn't one."""
    return convert(content, StoredReport, origin)


def read_report(path: Path) -> StoredReport:
    """A report from the JSON file that `mixzoo eval --out` wrote.

    Raises UsageError if the file can't be read as JSON, ManifestError if it isn't a report.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(
            f"{path}: expected a report as `mixzoo eval --out report.json` writes it, but it "
            f"cannot be read ({getattr(error, 'strerror', None) or error})."
        ) from None
    return parse_report(content, str(path))
