"""The Table tab: published numbers beside the logs' and those recomputed here, with verdicts."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.context import Context as Building
from markupsafe import Markup

from ...eval.compare import Pair, compare_rows
from ...eval.doubts import Doubt, Doubts, find_doubts
from ...eval.kept import rows_of
from ...eval.logs import RULES as LOG_RULES
from ...eval.logs import LogAudit
from ...eval.report import COLUMNS, RULES, readable_audit, reason, table
from ...eval.store import of_weights
from ...viz.doubts_page import pictured
from ...viz.groups import grouped, groups_plot, groups_words
from ...viz.lanes import gap_plot
from ...viz.matrix import comparison_plot, comparison_words
from ...viz.table import results_table, table_plot, table_words
from ...zoo import shelf
from ...zoo.cache import data_path
from ...zoo.catalog import Benchmark, Catalog
from ...zoo.data import find_images
from ...zoo.data.classes import class_names
from ...zoo.errors import MixzooError
from ...zoo.looks import signed
from ...zoo.manifest import Row
from .context import Context
from .evidence import about, check, packed
from .html import as_cell, number, render, svg
from .recomputed import KEPT, Recomputed, find, newest_benchmark, signature
from .state import among
from .toasts import shown_to_visitors, without_folders

RECOMPUTED = ("Recomputed", "Gap")  # of eval.report; the others stand behind the row
NUMBERS = ("Published", "Log", *RECOMPUTED)
MOST_PICTURES = 24  # of images that all rows miss
Cell = str | tuple[str, str, str]  # a text, or a verdict with its reason and what it was found by


def build(context: Context) -> None:
    """Lay out the tab: a benchmark to choose, and the page of its table."""
    catalog, reports = context.catalog, context.settings.reports
    names, newest = list(catalog.benchmarks), newest_benchmark(reports)

    @lru_cache(maxsize=8)
    def drawn(name: str, state: object) -> str:
        del state  # what the page was drawn from: another state is another page
        return page(catalog.benchmark(name), reports)

    @shown_to_visitors()
    def shown_table(benchmark: str) -> str:
        """Published, logged and recomputed top-1 of a benchmark with verdicts, as HTML."""
        return drawn(benchmark, signature(catalog.benchmark(benchmark), reports))

    chosen = gr.Dropdown(
        names,
        value=newest if newest in names else context.first_benchmark,
        label="Benchmark",
        elem_id="table-benchmark",
    )
    shown = gr.HTML(label="Table", elem_id="table-page", apply_default_css=False)
    gr.on(  # also when the page is loaded
        None,
        shown_table,
        chosen,
        shown,
        api_name="table",
        concurrency_id="draw",
        show_progress="minimal",
        trigger_mode="always_last",
    )
    context.state.keep("benchmark", chosen, among(names))
    _evidence(context, chosen)


def _evidence(context: Context, chosen: gr.Dropdown) -> None:
    """A row's evidence as a file to save, and a visitor's own file, judged again."""
    catalog = context.catalog

    def saved(benchmark: str) -> tuple[dict[str, Any], dict[str, Any]]:
        """The rows whose evidence can be had; nothing where there is none."""
        rows = evaluated(catalog.benchmark(benchmark))
        first = rows[0] if rows else None
        return gr.update(choices=rows, value=first), gr.update(visible=bool(rows))

    @shown_to_visitors()
    def evidence(row: str) -> str:
        """The evidence of a row that was evaluated here: a zip from which anybody derives its verdict."""
        return context.store.keep(packed(*catalog.row(row)), f"{row}.zip")

    @shown_to_visitors()
    def check_here(file: str | None) -> str:
        """Judge evidence (a zip) or a report again, by the tables here; HTML."""
        return check(Path(file), catalog) if file else ""

    with gr.Row(visible=False) as saving:
        row = gr.Dropdown([], label="Evidence of", elem_id="table-row", scale=3)
        save = gr.Button("Save its evidence", elem_id="table-save", scale=1)
    with gr.Accordion("Check a number of your own", open=False, elem_id="table-own"):
        file = gr.File(
            label="A zip of evidence (mixzoo eval --evidence), or a report (mixzoo eval --out)",
            file_types=[".zip", ".json"],
            type="filepath",
            height=130,
            elem_id="table-file",
        )
        judged = gr.HTML(label="Verdicts", elem_id="table-check", apply_default_css=False)
    kept = gr.File(label="Evidence", visible=False)
    page_load = Building.root_block.load  # type: ignore[union-attr]
    gr.on([page_load, chosen.change], saved, chosen, [row, saving], api_visibility="private")
    save.click(evidence, row, kept, api_name="evidence").success(
        None, kept, None, js="(file) => { mixzoo.save(file); }"
    )
    file.change(
        check_here, file, judged, api_name="check", concurrency_id="check", concurrency_limit=1
    )


def page(benchmark: Benchmark, reports: Path | None) -> str:
    """All that is known here of a benchmark's numbers, as HTML."""
    found, problems = find(benchmark, reports)
    audits: dict[str, LogAudit] = {}
    for row in benchmark.manifest.rows:
        audit, unread = readable_audit(benchmark, row)
        problems += unread
        if audit:
            audits[row.id] = audit
    pairs, doubts, unpaired = compared(benchmark)
    results = results_table(
        benchmark.manifest, [one.report for one in found.values()], list(audits.values())
    )
    return render(
        "table.html",
        counts=Counter(one.row.verdict for one in found.values()).most_common(),
        lines=[
            _line(benchmark, row, found.get(row.id), audits.get(row.id))
            for row in benchmark.manifest.rows
        ],
        numbers=NUMBERS,
        statistic=results.statistic,
        meanings=_meanings(found, audits),
        beside=[
            ("The table", svg(table_plot(results, narrow=True), "table", table_words(results)))
        ],
        plots=[*_plots(found)],
        pairs=svg(comparison_plot(pairs), "pairs", comparison_words(pairs)) if pairs else None,
        sentences=[pair.sentence for pair in pairs],
        sources=Counter(f"{one.source}, {one.report.created}" for one in found.values()),
        found=len(found),
        is_kept=any(one.source == KEPT for one in found.values()),
        problems=dict.fromkeys([*problems, *([unpaired] if unpaired else [])]),  # each once
        lacking=len(benchmark.manifest.rows) - len(found),
        recompute=without_folders(
            benchmark.command("eval", "--all", "--benchmark", benchmark.name, *benchmark.images)
        ),
        details={
            row.id: about(benchmark, row, found.get(row.id), audits.get(row.id))
            for row in benchmark.manifest.rows
        },
        missed=_missed(benchmark, doubts) if doubts else [],
        missed_count=doubts.missed if doubts else 0,
        images=doubts.images if doubts else 0,
        voters=len(doubts.rows) if doubts else 0,
        names=class_names(benchmark) if doubts else [],
    )


def evaluated(benchmark: Benchmark) -> list[str]:
    """Ids of the rows with kept predictions."""
    hashes = {row.id: shelf.file(benchmark, row).sha256 for row in benchmark.manifest.rows}
    return [row_id for row_id, sha256 in hashes.items() if sha256 and any(of_weights(sha256))]


def compared(benchmark: Benchmark) -> tuple[Sequence[Pair], Doubts | None, str | None]:
    """Every two rows with kept predictions on the same images, by the head that inference uses.

    Returns the pairs and where all rows are wrong, none if fewer than two rows can be paired, and
    why rows can't be, if so.
    """
    kept = evaluated(benchmark)
    if len(kept) < 2:
        return (), None, None
    try:
        rows, _ = rows_of(kept, Catalog({benchmark.name: benchmark}))
        return compare_rows(rows), find_doubts(rows), None
    except MixzooError as error:
        return (), None, str(error)


def _missed(benchmark: Benchmark, doubts: Doubts) -> list[tuple[Doubt, str]]:
    """The first images that all rows miss, with their pictures where the package drew them here."""
    images, folder = None, data_path(benchmark.name)
    if benchmark.manifest.dataset.drawn_by_package and folder.is_dir():
        with suppress(MixzooError):
            names = benchmark.manifest.dataset.val.annotations
            images = find_images(folder, names=names, allow_missing=True)
    return [*pictured([one for one in doubts.doubts if one.missed][:MOST_PICTURES], images)]


def _line(
    benchmark: Benchmark, row: Row, found: Recomputed | None, audit: LogAudit | None
) -> dict[str, Cell]:
    """A row's cells by column. Its verdict is on the recomputed number, without one by its log."""
    known: dict[str, Cell] = {
        "Row": row.id,
        "Published": number(row.reported_top1, benchmark.manifest.metric.decimals),
        "Log": "",
        **dict.fromkeys((*RECOMPUTED, "Verdict"), ""),
    }
    if audit:
        value = audit.table_value  # by the statistic that the table names
        known["Log"] = number(value.value if value else None, audit.claim.decimals + 1)
        known["Verdict"] = (audit.verdict, LOG_RULES[audit.verdict], "by its log")
    if found:
        cells = dict(zip(COLUMNS, table(found.report)[0].cells, strict=True))
        known |= {name: as_cell(cells[name]) for name in RECOMPUTED}
        known["Verdict"] = (found.row.verdict, reason(found.row), "recomputed")
    return known


def _meanings(
    found: Mapping[str, Recomputed], audits: Mapping[str, LogAudit]
) -> list[tuple[str, dict[str, str]]]:
    """The rules of the words that the table uses: of a row the recomputed one, else its log's."""
    said = {one.row.verdict for one in found.values()}
    logged = {audit.verdict for row, audit in audits.items() if row not in found}
    rules = {
        "Verdicts on recomputed numbers": {w: rule for w, rule in RULES.items() if w in said},
        "Verdicts by logs": {w: rule for w, rule in LOG_RULES.items() if w in logged},
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
