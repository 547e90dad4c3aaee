"""The Logs tab: curves and audit of rows' training logs, and of a visitor's own."""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.context import Context as Building

from ...eval.logs import (
    HEADINGS,
    RULES,
    Claim,
    LogAudit,
    audit_log,
    claim_of,
    explain,
    read_log,
    rules,
)
from ...eval.logs.sources import SUFFIXES, audit_of_row
from ...viz.curves import curves_plot, curves_words
from ...zoo import shelf
from ...zoo.catalog import Catalog
from ...zoo.errors import DataError, SourceError, UsageError
from ...zoo.looks import command
from ..logs import lines
from .context import Context
from .html import as_cell, as_sentences, render, svg
from .recomputed import stamp
from .state import among
from .toasts import shown_to_visitors

NUMBERS = (*HEADINGS.values(), "Published", "Images")
MOST_BESIDE = 5
MAX_BYTES = 8 << 20  # the logs of 100 epochs that are released take less than one million
NONE_HERE = (
    "No row's log is here yet. Upload one of your own; or whoever runs this page fetches them: "
    "mixzoo zoo download NAME --logs"
)


def build(context: Context) -> None:
    """Lay out the tab."""
    catalog = context.catalog
    here = [row.id for benchmark, row in catalog if shelf.log(benchmark, row).local]
    every = [row.id for _, row in catalog]

    @lru_cache(maxsize=32)
    def drawn(rows: tuple[str, ...], state: object) -> str:
        del state  # another state of the files is another page
        first, *others = audits_of(catalog, rows)
        return page(first, others)

    @shown_to_visitors()
    def log(row: str | None, beside: Sequence[str] = ()) -> str:
        """Audit and curves of a listed row's training log, as HTML. beside: rows to compare with."""
        if not row:
            return render("note.html", text=NONE_HERE)
        rows = tuple(dict.fromkeys([row, *at_most(beside)]))
        return drawn(rows, tuple(stamp(shelf.log(*catalog.row(one)).path) for one in rows))

    @shown_to_visitors()
    def audit(
        file: str | None, against: str | None, row: str | None, beside: Sequence[str] = ()
    ) -> str:
        """Audit and curves of an uploaded log, as HTML; of `row`'s without one.

        against: the row that its numbers are held against.
        """
        if file is None:
            return log(row, beside)
        benchmark, claimed = catalog.row(against) if against else (None, None)
        claim = claim_of(benchmark.manifest, claimed) if benchmark and claimed else Claim()
        return page(audit_upload(Path(file), claim), audits_of(catalog, at_most(beside)))

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
                label=f"Training log (JSON, text or CSV), at most {MAX_BYTES >> 20} MiB",
                file_types=sorted(SUFFIXES),
                type="filepath",
                height=130,
                elem_id="logs-file",
            )
        with gr.Column(min_width=280):
            against = gr.Dropdown(
                every, value=None, label="Held against the row", elem_id="logs-against"
            )
    shown = gr.HTML(label="Audit", elem_id="logs-page", apply_default_css=False)
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
    context.state.keep("log", row, among(here))


def page(audit: LogAudit, beside: Sequence[LogAudit] = ()) -> str:
    """One log's audit as HTML, with its curves. beside: further logs, whose curves are added."""
    audits = [audit, *beside]
    words = curves_words(audits)
    meanings = rules(audit.horizon.epochs, audit.claim.last)
    used = {summary.rule for summary in audit.summaries}
    columns = ("Head", *NUMBERS, "Verdict")
    rows = [
        {name: as_cell(cell) for name, cell in zip(columns, line, strict=True)}
        for line in lines(audit)
    ]
    return render(
        "log.html",
        name=audit.name,
        verdict=audit.verdict,
        rule=RULES[audit.verdict],
        lines=[
            {**row, "Verdict": (audit.verdict, RULES[audit.verdict]) if row["Verdict"] else ""}
            for row in rows
        ],
        numbers=NUMBERS,
        columns={HEADINGS[rule]: text for rule, text in meanings.items() if rule in used},
        sentences=as_sentences(explain(audit)),
        wide=svg(curves_plot(audits), "curves-wide", words),
        narrow=svg(curves_plot(audits, narrow=True), "curves-narrow", words),
    )


def audit_upload(path: Path, claim: Claim) -> LogAudit:
    """Audit a visitor's file. claim: of the row that it is held against, if any.

    Raises DataError if it is too large for a page that many people use, or isn't a log; messages
    have the file's name only.
    """
    size = path.stat().st_size
    if size > MAX_BYTES:
        raise DataError(
            f"{path.name}: expected a log of at most {MAX_BYTES >> 20} MiB, got "
            f"{size / 2**20:.1f} MiB. On your own machine: {command('logs', path.name)}"
        )
    try:
        log = read_log([path], path.name)
    except DataError as error:
        raise DataError(str(error).replace(str(path), path.name)) from None
    return audit_log(log, claim)


def at_most(rows: Sequence[str], most: int = MOST_BESIDE) -> Sequence[str]:
    """The rows, if they aren't too many for one picture. Raises UsageError."""
    if len(rows) > most:
        raise UsageError(f"Expected at most {most} rows beside, got {len(rows)}. Choose fewer.")
    return rows


def audits_of(catalog: Catalog, rows: Sequence[str]) -> list[LogAudit]:
    """The audits of listed rows' logs.

    Raises UsageError for an unknown row, SourceError if a log isn't here, and what `audit_of_row`
    raises.
    """
    audits = []
    for row_id in rows:
        audit = audit_of_row(*catalog.row(row_id))
        if audit is None:
            raise SourceError(f"{row_id}: its training log isn't here. See the Zoo tab.")
        audits.append(audit)
    return audits
