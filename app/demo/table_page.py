"""What the Table tab shows: published numbers beside the logs' and those recomputed here."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

import msgspec
from markupsafe import Markup

from ...eval import sample, verdict
from ...eval.compare import Pair
from ...eval.logs import RULES as LOG_RULES
from ...eval.logs import LogAudit
from ...viz.groups import grouped, groups_plot, groups_words
from ...viz.lanes import gap_plot
from ...viz.matrix import comparison_plot, comparison_words
from ...viz.report_data import ReportLine
from ...viz.table import ResultsTable, results_table, table_plot, table_words
from ...zoo.catalog import Benchmark
from ...zoo.errors import MixzooError
from ...zoo.manifest import Row
from . import markup
from .pairs_compared import compared
from .plots import plot
from .recomputed import KEPT, Found, find, signature
from .row_logs import audit_row, log_path

COLUMNS = (
    "Row",
    "Published",
    "Log",
    "Log's verdict",
    "Recomputed",
    "Gap",
    "Gap, images",
    "95% interval",
    "Correct",
    "Verdict",
)
NUMBERS = frozenset(COLUMNS[1:3]) | frozenset(COLUMNS[4:9])
RULES = verdict.RULES | sample.RULES


def page(benchmark: Benchmark, reports: Path | None, *, every_head: bool = False) -> str:
    """All that is known here of a benchmark's numbers, as HTML."""
    found, problems = find(benchmark, reports)
    audits, unread = _audits(benchmark)
    table = results_table(
        benchmark.manifest, [one.report for one in found.values()], list(audits.values())
    )
    pairs, unpaired = compared(benchmark)
    words = Counter(one.default.verdict for one in found.values())
    return markup.page(
        markup.tally(words.most_common()),
        _table(benchmark, found, audits, every_head=every_head),
        markup.paragraph(_legend(table, found), muted=True),
        _rules(found, audits),
        Markup('<div class="plots">{}</div>').format(markup.join(_plots(table, found))),
        _comparison(pairs),
        _sources(benchmark, found, [*problems, *unread, *filter(None, [unpaired])]),
    )


def _audits(benchmark: Benchmark) -> tuple[dict[str, LogAudit], list[str]]:
    """The audits of the logs that are here, by row, and a sentence for each that can't be read."""
    audits, problems = {}, []
    for row in benchmark.manifest.rows:
        if log_path(benchmark, row):
            try:
                audits[row.id] = audit_row(benchmark, row)
            except MixzooError as error:
                problems.append(str(error))
    return audits, problems


def _table(
    benchmark: Benchmark,
    found: Mapping[str, Found],
    audits: Mapping[str, LogAudit],
    *,
    every_head: bool,
) -> Markup:
    cells, side = [], []
    for row in benchmark.manifest.rows:
        lines = found[row.id].report.rows if row.id in found else [None]
        for place, line in enumerate(lines if every_head else lines[:1]):
            if place:
                side.append(len(cells))
            logged = _logged(audits.get(row.id), line.head if line and place else None)
            name = f"{row.id} {line.head}" if line and every_head and len(lines) > 1 else row.id
            cells.append([name, _published(benchmark, row), *logged, *_recomputed(line)])
    return markup.table(COLUMNS, cells, numbers=NUMBERS, side=side)


def _published(benchmark: Benchmark, row: Row) -> str:
    decimals = benchmark.manifest.metric.decimals
    return markup.EMPTY if row.reported_top1 is None else f"{row.reported_top1:.{decimals}f}"


def _logged(audit: LogAudit | None, head: str | None) -> tuple[str, str]:
    """What the log gives by the statistic that the table names, and its verdict; of a side line
    what it gives for that head."""
    if audit is None:
        return markup.EMPTY, markup.EMPTY
    one = audit.summary(head, audit.claim.rule) if head else audit.table_value
    text = f"{one.value:.{audit.claim.decimals + 1}f}" if one else markup.EMPTY
    return text, "" if head else markup.verdict(audit.verdict, LOG_RULES[audit.verdict])


def _recomputed(line: ReportLine | None) -> list[str]:
    """The cells from "Recomputed" on."""
    if line is None:
        return [markup.EMPTY] * 6
    gap, images = line.gap_points, None
    if gap is not None and line.reported_top1 is not None:
        images = line.correct - line.reported_top1 / 100 * line.total
    low, high = line.interval95
    return [
        f"{line.top1:.{line.decimals + 1}f}",
        markup.EMPTY if gap is None else markup.signed(gap, line.decimals + 1),
        markup.EMPTY if images is None else markup.signed(images, 1),
        f"{low:.2f} to {high:.2f}",
        f"{line.correct:,} / {line.total:,}",
        markup.verdict(line.verdict, line.reason),
    ]


def _legend(table: ResultsTable, found: Mapping[str, Found]) -> str:
    text = f"Top-1 in percent; published and log: {table.statistic}."
    if not found:
        return text
    return (
        f"{text} Gap: recomputed minus published, in points and in images. The interval is about other "
        "images of the same kind; on the same images a faithful checkpoint gives the number again."
    )


def _rules(found: Mapping[str, Found], audits: Mapping[str, LogAudit]) -> Markup:
    """The rules of the words that the table uses."""
    said = {line.verdict for one in found.values() for line in one.report.rows}
    logged = {audit.verdict for audit in audits.values()}
    meanings = (
        ("What the verdicts mean", RULES, said),
        ("What the log's verdicts mean", LOG_RULES, logged),
    )
    return markup.beside(
        *(
            markup.join([markup.heading(title), markup.rules(_used(known, used))])
            for title, known, used in meanings
            if used
        )
    )


def _used(rules: Mapping[str, str], words: Collection[str]) -> dict[str, str]:
    return {word: rule for word, rule in rules.items() if word in words}


def _plots(table: ResultsTable, found: Mapping[str, Found]) -> Iterator[Markup]:
    yield plot("The table", table_plot(table, narrow=True), "table", table_words(table))
    lines = [msgspec.to_builtins(one.default) for one in found.values()]
    judged = [line for line in lines if line["gap_points"] is not None]
    if judged:
        says = "; ".join(f"{line['id']} {line['gap_points']:+.3f} points" for line in judged)
        yield plot("The gap", gap_plot(judged), "gap", says)
    reports = [one.report for one in found.values()]
    if any(line.breakdown for report in reports for line in report.default_lines()):
        checkpoints = grouped(reports)
        drawn = groups_plot(checkpoints, narrow=True)
        yield plot("By group of classes", drawn, "groups", groups_words(checkpoints))


def _comparison(pairs: Sequence[Pair]) -> Markup:
    """The matrix of paired comparisons, and its findings in words."""
    if not pairs:
        return Markup("")
    title = "Pairs on the same images"
    drawn = plot(title, comparison_plot(pairs), "pairs", comparison_words(pairs), scrolls=True)
    sentences = markup.bullets(pair.sentence for pair in pairs)
    return markup.join(
        [drawn, markup.folded(f"{len(pairs)} finding{'s' * (len(pairs) > 1)} in words", sentences)]
    )


def _sources(benchmark: Benchmark, found: Mapping[str, Found], problems: Sequence[str]) -> Markup:
    """Where the numbers came from, what couldn't be read, and how to get the numbers that lack."""
    files = Counter(f"{one.source}, {one.report.created}" for one in found.values())
    parts = [markup.heading("Where the numbers come from")]
    parts += [
        markup.bullets(f"{source}: {count} of {len(found)} rows" for source, count in files.items())
    ]
    if any(one.source == KEPT for one in found.values()):
        note = "Kept predictions are known by weights, pixels, paths and labels, not by the images' bytes."
        parts.append(markup.paragraph(note, muted=True))
    parts += [markup.notice(problem) for problem in problems]
    if len(found) < len(benchmark.manifest.rows):
        lacking = len(benchmark.manifest.rows) - len(found)
        parts.append(markup.paragraph(f"{lacking} rows were not recomputed here. To do so:"))
        parts.append(markup.command(f"mixzoo eval --all --benchmark {benchmark.name} --data DIR"))
    return markup.join(parts)


def seen(benchmark: Benchmark, reports: Path | None) -> object:
    """The state of all files that a page is drawn from."""
    logs = [log_path(benchmark, row) for row in benchmark.manifest.rows]
    states = [(str(p), p.stat().st_mtime_ns) for p in logs if p and p.is_file()]
    return signature(benchmark, reports), tuple(states)
