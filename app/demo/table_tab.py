"""The Table tab: a benchmark to choose, and the page of its published and recomputed numbers."""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import gradio as gr

from .context import Context
from .recomputed import newest_benchmark
from .state import one_of
from .table_page import page, seen
from .toasts import shown_to_visitors

EMBEDDED = "mini"


def build(context: Context) -> None:
    """Lay out the tab: a benchmark to choose, and the page of its table."""
    catalog, reports = context.catalog, context.settings.reports
    names = list(catalog.benchmarks)

    @lru_cache(maxsize=8)
    def drawn(name: str, every_head: bool, state: object) -> str:
        del state  # what the page was drawn from: another state is another page
        return page(catalog.benchmark(name), reports, every_head=every_head)

    @shown_to_visitors
    def table(benchmark: str, every_head: bool = False) -> str:
        """Published, logged and recomputed top-1 of a benchmark with verdicts, as HTML."""
        return drawn(benchmark, every_head, seen(catalog.benchmark(benchmark), reports))

    with gr.Row():
        with gr.Column(min_width=280):
            chosen = gr.Dropdown(
                names, value=_first(names, reports), label="Benchmark", elem_id="table-benchmark"
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
        table,
        [chosen, heads],
        shown,
        api_name="table",
        concurrency_id="draw",
        show_progress="minimal",
        trigger_mode="always_last",
    )
    context.state.keep("benchmark", chosen, one_of(*names))


def _first(names: Sequence[str], reports: Path | None) -> str:
    """The benchmark shown at first: that of the newest report, else the embedded one."""
    newest = newest_benchmark(reports)
    if newest is not None and newest in names:
        return newest
    return EMBEDDED if EMBEDDED in names else names[0]
