"""The Logs tab: curves and audit of rows' training logs, and of a visitor's own."""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.context import Context as Building

from ...eval.logs import Claim, LogAudit, claim_of
from ...zoo.catalog import Catalog
from ...zoo.errors import UsageError
from . import markup
from .context import Context
from .log_page import MAX_BYTES, audit_upload, page
from .row_logs import audit_row, log_path, rows_with_logs
from .state import one_of
from .toasts import shown_to_visitors

MOST_BESIDE = 5
SUFFIXES = (".json", ".log", ".txt")


def build(context: Context) -> None:
    """Lay out the tab."""
    catalog = context.catalog
    here = rows_with_logs(catalog)
    every = [row.id for _, row in catalog]

    @lru_cache(maxsize=32)
    def drawn(rows: tuple[str, ...], state: object) -> str:
        del state  # another state of the files is another page
        first, *others = audits_of(catalog, rows)
        return page(first, others)

    @shown_to_visitors
    def log(row: str | None, beside: Sequence[str] = ()) -> str:
        """Audit and curves of a listed row's training log, as HTML. beside: rows whose curves are added."""
        if not row:
            return markup.page(_none_here())
        rows = tuple(dict.fromkeys([row, *at_most(beside)]))
        return drawn(rows, _times(catalog, rows))

    @shown_to_visitors
    def audit(
        file: str | None, against: str | None, row: str | None, beside: Sequence[str] = ()
    ) -> str:
        """Audit and curves of an uploaded log, as HTML; of `row`'s without one. against: the row that its numbers are held against."""
        if file is None:
            return log(row, beside)
        found = audit_upload(Path(file), _claim(catalog, against))
        return page(found, audits_of(catalog, at_most(beside)))

    with gr.Row():
        with gr.Column(min_width=280):
            row = gr.Dropdown(
                here, value=here[0] if here else None, label="Row", elem_id="logs-row"
            )
        with gr.Column(min_width=280):
            beside = gr.Dropdown(
                here,
                value=[],
                multiselect=True,
                max_choices=MOST_BESIDE,
                label="Curves beside it",
                elem_id="logs-beside",
            )
    with gr.Accordion("A log of your own", open=False, elem_id="logs-own"), gr.Row():
        with gr.Column(min_width=280):
            file = gr.File(
                label=f"mmcv's .log.json or text log, at most {MAX_BYTES >> 20} MiB",
                file_types=list(SUFFIXES),
                type="filepath",
                height=130,
                elem_id="logs-file",
            )
        with gr.Column(min_width=280):
            against = gr.Dropdown(
                every, value=None, label="Held against the row", elem_id="logs-against"
            )
    shown = gr.HTML(elem_id="logs-page", apply_default_css=False)
    common: dict[str, Any] = {
        "concurrency_id": "log",
        "concurrency_limit": 1,
        "show_progress": "minimal",
        "trigger_mode": "always_last",
    }
    page_load = Building.root_block.load  # type: ignore[union-attr]
    gr.on([page_load, row.change], log, [row, beside], shown, api_name="log", **common)
    gr.on(
        [file.change, against.change, beside.change],
        audit,
        [file, against, row, beside],
        shown,
        api_name="audit",
        **common,
    )
    row.input(None, None, file, js="() => null")  # who chooses a row wants to see it
    context.state.keep("log", row, one_of(*here))


def at_most(rows: Sequence[str], most: int = MOST_BESIDE) -> Sequence[str]:
    """The rows, if they aren't too many for one picture. Raises UsageError."""
    if len(rows) > most:
        raise UsageError(f"Expected at most {most} rows beside, got {len(rows)}.")
    return rows


def audits_of(catalog: Catalog, rows: Sequence[str]) -> list[LogAudit]:
    """The audits of listed rows' logs. Raises UsageError for an unknown row, and what `audit_row` raises."""
    return [audit_row(*catalog.row(row)) for row in rows]


def _times(catalog: Catalog, rows: Sequence[str]) -> tuple[int, ...]:
    """When the rows' logs changed last; 0 for one that isn't a file yet."""
    paths = [log_path(*catalog.row(row)) for row in rows]
    return tuple(path.stat().st_mtime_ns if path and path.is_file() else 0 for path in paths)


def _claim(catalog: Catalog, row: str | None) -> Claim:
    if not row:
        return Claim()
    benchmark, found = catalog.row(row)
    return claim_of(benchmark.manifest, found)


def _none_here() -> markup.Markup:
    return markup.paragraph(
        "No row's log is on this machine. Upload one, or fetch them: mixzoo zoo download NAME --logs",
        muted=True,
    )
