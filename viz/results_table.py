"""A benchmark's table with what is known of each number: as published, as logged, as recomputed."""

from collections.abc import Sequence
from dataclasses import dataclass

from ..eval.logs import LogAudit
from ..zoo.errors import UsageError
from ..zoo.manifest import Manifest, Metric, Row
from .report_data import StoredReport


@dataclass(frozen=True)
class Logged:
    """What a head's training log gives by the statistic that the table names. value: percent."""

    head: str
    value: float


@dataclass(frozen=True)
class Recomputed:
    """A head's top-1 with its 95% interval, percent, and how it was judged."""

    head: str
    top1: float
    low: float
    high: float
    verdict: str


@dataclass(frozen=True)
class TableLine:
    """A row of the table. reported: percent, None if nothing was published.

    logged, recomputed: one for each head, that of inference first; empty where nothing is known.
    """

    row_id: str
    method: str
    architecture: str
    reported: float | None
    logged: tuple[Logged, ...] = ()
    recomputed: tuple[Recomputed, ...] = ()


@dataclass(frozen=True)
class ResultsTable:
    """Lines in the manifest's order. statistic: what the table reports, in words."""

    benchmark: str
    title: str
    statistic: str
    decimals: int
    lines: tuple[TableLine, ...]

    @property
    def architectures(self) -> tuple[str, ...]:
        """Each backbone once, in order."""
        return tuple(dict.fromkeys(line.architecture for line in self.lines))

    @property
    def methods(self) -> tuple[str, ...]:
        """Each mixing method once, in the order of the backbone that has most of them."""
        longest = max(self.architectures, key=lambda a: len(self.of(a)))
        return tuple(dict.fromkeys([*self.of(longest), *(line.method for line in self.lines)]))

    def of(self, architecture: str) -> dict[str, TableLine]:
        """Method -> line of one backbone, in order."""
        return {line.method: line for line in self.lines if line.architecture == architecture}


def results_table(
    manifest: Manifest, reports: Sequence[StoredReport] = (), audits: Sequence[LogAudit] = ()
) -> ResultsTable:
    """Put together what the manifest, evaluation reports and audited logs say of each row.

    reports: all on this benchmark; of several with one row the newest counts. audits: held against
    rows (`claim.row`); those of other benchmarks' rows are passed over.
    Raises UsageError for a report on another benchmark.
    """
    for report in reports:
        if report.benchmark != manifest.name:
            raise UsageError(
                f"Expected reports on {manifest.name}, got one on "
                f"{report.benchmark or 'no benchmark'}. Name those of one benchmark."
            )
    newest = sorted(reports, key=lambda report: report.created, reverse=True)
    return ResultsTable(
        benchmark=manifest.name,
        title=manifest.title,
        statistic=_in_words(manifest.metric),
        decimals=manifest.metric.decimals,
        lines=tuple(_line(manifest, row, newest, audits) for row in manifest.rows),
    )


def table_words(table: ResultsTable) -> str:
    """The table's numbers in a sentence each, for readers who don't see the figure."""
    return ". ".join(_line_words(line, table.decimals) for line in table.lines) + "."


def _line(
    manifest: Manifest, row: Row, newest: Sequence[StoredReport], audits: Sequence[LogAudit]
) -> TableLine:
    order = [*manifest.heads.plain, *manifest.heads.mix]
    return TableLine(
        row.id,
        row.method,
        row.architecture,
        row.reported_top1,
        tuple(sorted(_logged(row, audits), key=lambda one: _place(one.head, order))),
        _recomputed(row, newest),
    )


def _recomputed(row: Row, newest: Sequence[StoredReport]) -> tuple[Recomputed, ...]:
    for report in newest:
        lines = [line for line in report.rows if line.id == row.id]
        if lines:
            lines.sort(key=lambda line: not line.default_head)
            return tuple(Recomputed(o.head, o.top1, *o.interval95, o.verdict) for o in lines)
    return ()


def _logged(row: Row, audits: Sequence[LogAudit]) -> tuple[Logged, ...]:
    for audit in audits:
        if audit.claim.row == row.id:
            values = ((head.head, head.value(audit.claim.rule)) for head in audit.heads)
            return tuple(Logged(name, value) for name, value in values if value is not None)
    return ()


def _place(head: str, order: list[str]) -> int:
    return order.index(head) if head in order else len(order)


def _in_words(metric: Metric) -> str:
    if metric.statistic == "median_of_last_epochs":
        return f"median of the last {metric.epochs} epochs"
    return "last epoch"


def _line_words(line: TableLine, decimals: int) -> str:
    parts = [
        f"{line.reported:.{decimals}f} published"
        if line.reported is not None
        else "nothing published"
    ]
    if line.logged:
        parts.append(f"{line.logged[0].value:.{decimals + 1}f} logged")
    if line.recomputed:
        one = line.recomputed[0]
        parts.append(
            f"{one.top1:.{decimals + 1}f} recomputed ({one.low:.2f} to {one.high:.2f}), {one.verdict}"
        )
    return f"{line.row_id}: {', '.join(parts)}"
