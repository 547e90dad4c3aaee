"""A benchmark's table with what is known of each number: as published, as logged, as recomputed."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from ..eval.logs import LogAudit
from ..zoo import report
from ..zoo.errors import UsageError
from ..zoo.manifest import Manifest, Row
from .axes import at_right, heading, lanes, legend, new_figure, title
from .lanes import verdict_look
from .themes import LIGHT, Theme

PANEL_WIDTH = 3.5  # inches
NAMES_WIDTH = 1.0  # inches beside the panels
LINE_HEIGHT = 0.17  # inches of each kind of numbers in a lane
LEGEND_WIDTH = 4.0  # inches of its longest line
LOG_MARKER = "D"
PALE = 0.5


@dataclass(frozen=True)
class TableLine:
    """A row of the table. recomputed: what a report found of it.

    logged: head -> percent, what its training log gives; first the number that stands for the row
    (`LogAudit.table_value`), then the other heads by the statistic that the table names.
    """

    row: Row
    recomputed: report.Row | None = None
    logged: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class ResultsTable:
    """Lines in the manifest's order."""

    manifest: Manifest
    lines: tuple[TableLine, ...]

    @property
    def statistic(self) -> str:
        """What the table reports, in words."""
        metric = self.manifest.metric
        if metric.statistic == "median_of_last_epochs":
            return f"median of the last {metric.epochs} epochs"
        return "last epoch"

    @property
    def architectures(self) -> tuple[str, ...]:
        """Each backbone once, in order."""
        return tuple(dict.fromkeys(line.row.architecture for line in self.lines))

    @property
    def methods(self) -> tuple[str, ...]:
        """Each mixing method once, in the order of the backbone that has most of them."""
        longest = max(self.architectures, key=lambda a: len(self.of(a)))
        return tuple(dict.fromkeys([*self.of(longest), *(line.row.method for line in self.lines)]))

    def of(self, architecture: str) -> dict[str, TableLine]:
        """Method -> line of one backbone, in order."""
        mine = (line for line in self.lines if line.row.architecture == architecture)
        return {line.row.method: line for line in mine}


def results_table(
    manifest: Manifest, reports: Sequence[report.Report] = (), audits: Sequence[LogAudit] = ()
) -> ResultsTable:
    """Put together what the manifest, evaluation reports and audited logs say of each row.

    reports: all on this benchmark; of several with one row that of most images counts, then the
    newest: a sample never hides the whole. audits: held against
    rows (`claim.row`); those of other benchmarks' rows are passed over.
    Raises UsageError for a report on another benchmark.
    """
    for one in reports:
        if one.benchmark != manifest.name:
            raise UsageError(
                f"Expected reports on {manifest.name}, got one on "
                f"{one.benchmark or 'no benchmark'}. Name those of one benchmark."
            )
    every = [(row.default.total, one.created, row) for one in reports for row in one.rows]
    recomputed = {row.id: row for *_, row in sorted(every, key=lambda known: known[:2])}
    audited = {audit.claim.row: audit for audit in reversed(audits)}
    lines = []
    for row in manifest.rows:
        logged = _logged(audited[row.id]) if row.id in audited else {}
        lines.append(TableLine(row, recomputed.get(row.id), logged))
    return ResultsTable(manifest, tuple(lines))


def _logged(audit: LogAudit) -> dict[str, float]:
    if audit.table_value is None:
        return {}
    found = (audit.summary(head, audit.claim.rule) for head in audit.heads)
    others = {one.head: one.value for one in found if one}
    return {audit.table_value.head: audit.table_value.value} | others


def table_words(table: ResultsTable) -> str:
    """The table's numbers in a sentence each, for readers who don't see the figure."""
    digits = table.manifest.metric.decimals
    sentences = []
    for line in table.lines:
        published = line.row.reported_top1
        parts = ["nothing published" if published is None else f"{published:.{digits}f} published"]
        parts += [f"{value:.{digits + 1}f} logged" for value in [*line.logged.values()][:1]]
        if line.recomputed:
            head = line.recomputed.judged
            low, high = head.interval95
            parts.append(f"{head.top1:.{digits + 1}f} recomputed ({low:.2f} to {high:.2f})")
            parts.append(line.recomputed.verdict)
        sentences.append(f"{line.row.id}: {', '.join(parts)}.")
    return " ".join(sentences)


def table_plot(table: ResultsTable, *, theme: Theme = LIGHT, narrow: bool = False) -> Figure:
    """One panel a backbone with a scale of its own, one lane a method, in the table's order.

    In each lane, from above: the published number, what the log gives, what was recomputed with
    its 95% interval; a kind that isn't known of any row has no place. Heads that don't carry the
    verdict are small and pale. narrow: all panels below one another.
    """
    kinds = {"published": True}
    kinds["logged"] = any(line.logged for line in table.lines)
    kinds["recomputed"] = any(line.recomputed for line in table.lines)
    present = [kind for kind, known in kinds.items() if known]
    across = 1 if narrow else len(table.architectures)
    down = len(table.architectures) // across
    width = PANEL_WIDTH * across + NAMES_WIDTH
    inches = len(table.methods) * (LINE_HEIGHT * len(present) + 0.12)
    handles = list(_handles(table, present, theme))
    beside = max(1, int(width / LEGEND_WIDTH))
    height = (inches + 0.65) * down + 0.3 + 0.19 * -(-len(handles) // beside)
    figure = new_figure(width, height, theme)
    title(figure, table.manifest.title, theme)
    grid = figure.subplots(down, across, squeeze=False)
    for place, (axes, architecture) in enumerate(zip(grid.flat, table.architectures, strict=True)):
        heading(axes, architecture, theme)
        lanes(axes, table.methods, theme)
        if place % across:
            axes.set_yticklabels([])
        axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
        lines = table.of(architecture)
        for lane, method in enumerate(table.methods):
            if method in lines:
                _draw_line(
                    axes, lines[method], lane, present, table.manifest.metric.decimals, theme
                )
        axes.margins(x=0.07)
    legend(figure, handles, theme, columns=beside)
    return figure


def _draw_line(
    axes: Axes, line: TableLine, lane: int, kinds: Sequence[str], digits: int, theme: Theme
) -> None:
    step = 0.84 / len(kinds)
    heights = {kind: lane + step * (n - (len(kinds) - 1) / 2) for n, kind in enumerate(kinds)}
    published = line.row.reported_top1
    text = "-" if published is None else f"{published:.{digits}f}"
    at_right(axes, heights["published"], text, theme.ink)
    if published is not None:
        # Through the whole lane, so that the others can be read against it.
        axes.vlines(published, lane - 0.42, lane + 0.42, color=theme.ink, linewidth=1.6)
    for place, value in enumerate(line.logged.values()):
        height = heights["logged"]
        look = {"color": theme.series[2], "marker": LOG_MARKER, "zorder": 3}
        if place == 0:
            axes.plot(value, height, markersize=5, **look)
            at_right(axes, height, f"{value:.{digits + 1}f}", theme.muted)
        else:
            axes.plot(value, height, markersize=3, alpha=PALE, **look)
    found = line.recomputed
    for head in found.heads if found else ():
        height = heights["recomputed"]
        if found and head is found.judged:
            colour, marker = verdict_look(found.verdict, theme)
            axes.plot(head.top1, height, marker, color=colour, markersize=6, zorder=4)
            axes.hlines(height, *head.interval95, color=colour, linewidth=2.2, alpha=0.45)
            at_right(axes, height, f"{head.top1:.{digits + 1}f}", theme.muted)
        else:
            colour, marker = verdict_look("", theme)
            axes.plot(head.top1, height, marker, color=colour, markersize=3.5, alpha=PALE)


def _handles(table: ResultsTable, kinds: Sequence[str], theme: Theme) -> Iterator[Line2D]:
    alone = {"color": theme.ink, "linestyle": "", "markersize": 10, "markeredgewidth": 1.6}
    yield Line2D([], [], marker="|", label=f"published ({table.statistic})", **alone)
    if "logged" in kinds:
        label = f"the training log's {table.statistic}"
        yield Line2D([], [], color=theme.series[2], linestyle="", marker=LOG_MARKER, label=label)
    found = [line.recomputed for line in table.lines if line.recomputed]
    for verdict in dict.fromkeys(row.verdict for row in found):
        colour, marker = verdict_look(verdict, theme)
        label = f"recomputed, bar 95% interval: {verdict}"
        yield Line2D([], [], color=colour, marker=marker, markersize=6, label=label)
    if any(len(row.heads) > 1 for row in found) or any(len(x.logged) > 1 for x in table.lines):
        label = "small, pale: heads that don't carry the verdict"
        yield Line2D([], [], linestyle="", label=label)
