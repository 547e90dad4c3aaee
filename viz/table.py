"""A benchmark's table with what is known of each number: as published, as logged, as recomputed."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from ..eval.logs import LogAudit
from ..zoo.errors import UsageError
from ..zoo.manifest import Manifest, Metric, Row
from .axes import TEXT, heading, legend, new_figure, small, style, title
from .lanes import look
from .report_data import StoredReport
from .themes import LIGHT, Theme


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
            found = (audit.summary(head, audit.claim.rule) for head in audit.heads)
            return tuple(Logged(one.head, one.value) for one in found if one)
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


PANEL_WIDTH = 3.5  # inches
NAMES_WIDTH = 1.0  # inches beside the panels
LINE_HEIGHT = 0.17  # inches of each kind of numbers in a lane
LEGEND_WIDTH = 4.0  # inches of its longest line
LOG_MARKER = "D"
PALE = 0.5

Kinds = dict[str, float]  # kind of number -> how far above the middle of its lane, in lanes


def table_plot(table: ResultsTable, *, theme: Theme = LIGHT, narrow: bool = False) -> Figure:
    """One panel a backbone with a scale of its own, one lane a method, in the table's order.

    In each lane, from above: the published number, what the log gives, what was recomputed with
    its 95% interval; a kind that isn't known of any row has no place. Heads that inference doesn't
    use are small and pale. narrow: all panels below one another.
    """
    kinds = _kinds(table)
    panels = len(table.architectures)
    across = 1 if narrow else panels
    down = panels // across
    width = PANEL_WIDTH * across + NAMES_WIDTH
    lanes = len(table.methods) * (LINE_HEIGHT * len(kinds) + 0.12)
    handles = list(_handles(table, kinds, theme))
    beside = max(1, int(width / LEGEND_WIDTH))
    height = (lanes + 0.65) * down + 0.3 + 0.19 * -(-len(handles) // beside)
    figure = new_figure(width, height, theme)
    title(figure, table.title, theme)
    grid = figure.subplots(down, across, squeeze=False)
    for place, (axes, architecture) in enumerate(zip(grid.flat, table.architectures, strict=True)):
        _panel(axes, table, architecture, kinds, theme, named=place % across == 0)
    legend(figure, handles, theme, columns=beside)
    return figure


def _kinds(table: ResultsTable) -> Kinds:
    present = ["published"]
    present += ["logged"] * any(line.logged for line in table.lines)
    present += ["recomputed"] * any(line.recomputed for line in table.lines)
    step = 0.84 / len(present)
    return {kind: step * ((len(present) - 1) / 2 - place) for place, kind in enumerate(present)}


def _panel(
    axes: Axes, table: ResultsTable, architecture: str, kinds: Kinds, theme: Theme, *, named: bool
) -> None:
    methods, lines = table.methods, table.of(architecture)
    style(axes, theme)
    heading(axes, architecture, theme)
    axes.set(ylim=(len(methods) - 0.5, -0.5))
    axes.set_yticks(range(len(methods)), methods if named else [""] * len(methods))
    axes.tick_params(axis="y", length=0, labelsize=TEXT, labelcolor=theme.ink)
    axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    axes.set_xlabel("top-1, percent", **small(theme))
    for lane, method in enumerate(methods):
        if lane % 2 == 0:
            axes.axhspan(lane - 0.5, lane + 0.5, color=theme.rule, alpha=0.28, linewidth=0)
        if method in lines:
            _draw_published(axes, lines[method], lane, kinds, table.decimals, theme)
            _draw_logged(axes, lines[method], lane, kinds, table.decimals + 1, theme)
            _draw_recomputed(axes, lines[method], lane, kinds, table.decimals + 1, theme)
    axes.margins(x=0.07)


def _draw_published(
    axes: Axes, line: TableLine, lane: int, kinds: Kinds, decimals: int, theme: Theme
) -> None:
    height = lane - kinds["published"]
    if line.reported is None:
        _figure(axes, "-", height, theme.ink)
        return
    # Through the whole lane, so that the others can be read against it.
    axes.vlines(line.reported, lane - 0.42, lane + 0.42, color=theme.ink, linewidth=1.6)
    _figure(axes, f"{line.reported:.{decimals}f}", height, theme.ink)


def _draw_logged(
    axes: Axes, line: TableLine, lane: int, kinds: Kinds, decimals: int, theme: Theme
) -> None:
    colour = theme.series[2]
    for place, one in enumerate(line.logged):
        height = lane - kinds["logged"]
        size, alpha = (5, 1.0) if place == 0 else (3, PALE)
        axes.plot(
            one.value, height, LOG_MARKER, color=colour, markersize=size, alpha=alpha, zorder=3
        )
        if place == 0:
            _figure(axes, f"{one.value:.{decimals}f}", height, theme.muted)


def _draw_recomputed(
    axes: Axes, line: TableLine, lane: int, kinds: Kinds, decimals: int, theme: Theme
) -> None:
    for place, one in enumerate(line.recomputed):
        height = lane - kinds["recomputed"]
        colour, marker = look(one.verdict, theme)
        size, alpha = (6, 1.0) if place == 0 else (3.5, PALE)
        axes.plot(one.top1, height, marker, color=colour, markersize=size, alpha=alpha, zorder=4)
        if place == 0:
            axes.hlines(height, one.low, one.high, color=colour, linewidth=2.2, alpha=0.45)
            _figure(axes, f"{one.top1:.{decimals}f}", height, theme.muted)


def _figure(axes: Axes, text: str, height: float, colour: str) -> None:
    """A number at the right end of its lane."""
    where = axes.get_yaxis_transform()
    axes.text(1.015, height, text, transform=where, va="center", fontsize=TEXT - 1.5, color=colour)


def _handles(table: ResultsTable, kinds: Kinds, theme: Theme) -> Iterator[Line2D]:
    alone = {"color": theme.ink, "linestyle": "", "markersize": 10, "markeredgewidth": 1.6}
    yield Line2D([], [], marker="|", label=f"published ({table.statistic})", **alone)
    if "logged" in kinds:
        label = f"the training log's {table.statistic}"
        yield Line2D([], [], color=theme.series[2], linestyle="", marker=LOG_MARKER, label=label)
    for verdict in dict.fromkeys(
        one.recomputed[0].verdict for one in table.lines if one.recomputed
    ):
        colour, marker = look(verdict, theme)
        label = f"recomputed, bar 95% interval: {verdict}"
        yield Line2D([], [], color=colour, marker=marker, markersize=6, label=label)
    if any(len(one.recomputed) > 1 or len(one.logged) > 1 for one in table.lines):
        label = "small, pale: heads that inference doesn't use"
        yield Line2D([], [], linestyle="", label=label)
