"""The Table tab: published numbers beside the logs' and those recomputed here, with verdicts."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path

import gradio as gr
from markupsafe import Markup

from ...eval.compare import Pair, compare_rows
from ...eval.kept import rows_of
from ...eval.logs import RULES as LOG_RULES
from ...eval.logs import LogAudit
from ...eval.report import COLUMNS, RULES, readable_audit, reason, table
from ...eval.store import of_weights
from ...viz.groups import grouped, groups_plot, groups_words
from ...viz.lanes import gap_plot
from ...viz.matrix import comparison_plot, comparison_words
from ...viz.table import results_table, table_plot, table_words
from ...zoo import shelf
from ...zoo.catalog import Benchmark, Catalog
from ...zoo.errors import MixzooError
from ...zoo.looks import signed
from ...zoo.manifest import Row
from .context import Context
from .html import as_cell, number, render, svg
from .recomputed import KEPT, Recomputed, find, newest_benchmark, signature
from .state import among
from .toasts import shown_to_visitors

RECOMPUTED = ("Recomputed", "Gap", "Gap, images", "95% interval", "Correct")  # of eval.report
NUMBERS = ("Published", "Log", *RECOMPUTED)
Cell = str | tuple[str, str]  # a text, or a verdict with its reason


def build(context: Context) -> None:
    """Lay out the tab: a benchmark to choose, and the page of its table."""
    catalog, reports = context.catalog, context.settings.reports
    names, newest = list(catalog.benchmarks), newest_benchmark(reports)

    @lru_cache(maxsize=8)
    def drawn(name: str, every_head: bool, state: object) -> str:
        del state  # what the page was drawn from: another state is another page
        return page(catalog.benchmark(name), reports, every_head=every_head)

    @shown_to_visitors()
    def shown_table(benchmark: str, every_head: bool = False) -> str:
        """Published, logged and recomputed top-1 of a benchmark with verdicts, as HTML."""
        return drawn(benchmark, every_head, signature(catalog.benchmark(benchmark), reports))

    with gr.Row():
        with gr.Column(min_width=280):
            chosen = gr.Dropdown(
                names,
                value=newest if newest in names else context.first_benchmark,
                label="Benchmark",
                elem_id="table-benchmark",
            )
        with gr.Column(min_width=280):
            heads = gr.Checkbox(
                label="Every head",
                info="AutoMix and SAMix have four; inference uses one.",
                elem_id="table-heads",
            )
    shown = gr.HTML(elem_id="table-page", apply_default_css=False)
    gr.on(  # also when the page is loaded
        None,
        shown_table,
        [chosen, heads],
        shown,
        api_name="table",
        concurrency_id="draw",
        show_progress="minimal",
        trigger_mode="always_last",
    )
    context.state.keep("benchmark", chosen, among(names))


def page(benchmark: Benchmark, reports: Path | None, *, every_head: bool = False) -> str:
    """All that is known here of a benchmark's numbers, as HTML."""
    found, problems = find(benchmark, reports)
    audits: dict[str, LogAudit] = {}
    for row in benchmark.manifest.rows:
        audit, unread = readable_audit(benchmark, row)
        problems += unread
        if audit:
            audits[row.id] = audit
    pairs, unpaired = compared(benchmark)
    results = results_table(
        benchmark.manifest, [one.report for one in found.values()], list(audits.values())
    )
    lines: list[dict[str, Cell]] = []
    side = []
    for row in benchmark.manifest.rows:
        of_row = list(_lines(benchmark, row, found.get(row.id), audits.get(row.id)))
        side += range(len(lines) + 1, len(lines) + len(of_row)) if every_head else []
        lines += of_row if every_head else of_row[:1]
    return render(
        "table.html",
        counts=Counter(one.row.verdict for one in found.values()).most_common(),
        lines=lines,
        numbers=NUMBERS,
        side=side,
        statistic=results.statistic,
        meanings=_meanings(found, audits),
        plots=[
            ("The table", svg(table_plot(results, narrow=True), "table", table_words(results))),
            *_plots(found),
        ],
        pairs=svg(comparison_plot(pairs), "pairs", comparison_words(pairs)) if pairs else None,
        sentences=[pair.sentence for pair in pairs],
        sources=Counter(f"{one.source}, {one.report.created}" for one in found.values()),
        found=len(found),
        is_kept=any(one.source == KEPT for one in found.values()),
        problems=dict.fromkeys([*problems, *([unpaired] if unpaired else [])]),  # each once
        lacking=len(benchmark.manifest.rows) - len(found),
        name=benchmark.name,
    )


def compared(benchmark: Benchmark) -> tuple[Sequence[Pair], str | None]:
    """Every two rows with kept predictions on the same images, by the head that inference uses.

    Returns the pairs, none if fewer than two rows can be paired, and why rows can't be, if so.
    """
    hashes = {row.id: shelf.file(benchmark, row).sha256 for row in benchmark.manifest.rows}
    kept = [row_id for row_id, sha256 in hashes.items() if sha256 and any(of_weights(sha256))]
    if len(kept) < 2:
        return (), None
    try:
        rows, _ = rows_of(kept, Catalog({benchmark.name: benchmark}))
        return compare_rows(rows), None
    except MixzooError as error:
        return (), str(error)


def _lines(
    benchmark: Benchmark, row: Row, found: Recomputed | None, audit: LogAudit | None
) -> Iterator[dict[str, Cell]]:
    """A row's cells by column, and those of the heads that don't carry its verdict."""
    decimals = benchmark.manifest.metric.decimals
    known: dict[str, Cell] = {
        "Row": row.id,
        "Head": "",
        "Published": number(row.reported_top1, decimals),
        "Log": "",
        "Log's verdict": "",
        **dict.fromkeys((*RECOMPUTED, "Verdict"), ""),
    }
    if audit:
        word = audit.verdict
        known |= {"Log": _logged(audit), "Log's verdict": (word, LOG_RULES[word])}
    if not found:
        yield known
        return
    for line in table(found.report):
        cells = dict(zip(COLUMNS, line.cells, strict=True))
        known |= {name: as_cell(cells[name]) for name in RECOMPUTED}
        known["Head"] = cells["Head"] if len(line.row.heads) > 1 else ""
        if line.head is line.row.judged:
            yield known | {"Verdict": (line.row.verdict, reason(line.row))}
        else:
            yield known | {
                "Log": _logged(audit, line.head.head) if audit else "",
                "Log's verdict": "",
            }


def _logged(audit: LogAudit, head: str | None = None) -> str:
    """What the log gives by the statistic that the table names, of a head or for the whole row."""
    one = audit.summary(head, audit.claim.rule) if head else audit.table_value
    return number(one.value if one else None, audit.claim.decimals + 1)


def _meanings(
    found: Mapping[str, Recomputed], audits: Mapping[str, LogAudit]
) -> list[tuple[str, dict[str, str]]]:
    """The rules of the words that the table uses."""
    said = {one.row.verdict for one in found.values()}
    logged = {audit.verdict for audit in audits.values()}
    rules = {
        "What the verdicts mean": {word: rule for word, rule in RULES.items() if word in said},
        "What the log's verdicts mean": {w: rule for w, rule in LOG_RULES.items() if w in logged},
    }
    return [(title, of) for title, of in rules.items() if of]


def _plots(found: Mapping[str, Recomputed]) -> Iterator[tuple[str, Markup]]:
    rows = [one.row for one in found.values()]
    gaps = {row.id: row.judged.gap_points for row in rows}
    says = [f"{name} {signed(gap, 3)} points" for name, gap in gaps.items() if gap is not None]
    if says:
        yield "The gap", svg(gap_plot(rows), "gap", "; ".join(says))
    if any(row.default.breakdown for row in rows):
        checkpoints = grouped([one.report for one in found.values()])
        drawn = groups_plot(checkpoints, narrow=True)
        yield "By group of classes", svg(drawn, "groups", groups_words(checkpoints))
