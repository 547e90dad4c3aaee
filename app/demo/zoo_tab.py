"""The Zoo tab: what is downloaded and intact, verifying it, and downloading what is listed."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from threading import Lock
from typing import Any

import gradio as gr

from ...zoo.cache import asset_path
from ...zoo.catalog import Benchmark, Catalog
from ...zoo.errors import UsageError
from ...zoo.lock import Asset
from ...zoo.shelf import State, known_assets, of_asset, weights_of
from ...zoo.verify import Finding, bytes_of, check_all
from . import markup
from .context import Context
from .downloads import Download, Downloads
from .state import one_of
from .toasts import shown_to_visitors, tell
from .zoo_page import assets_of, megabytes, page

TO_FETCH = (State.ABSENT, State.PARTIAL, State.DAMAGED)
EMBEDDED = "mini"
LOOK = 0.5  # seconds between two looks at something that runs


def build(context: Context) -> None:
    """Lay out the tab."""
    catalog, allowed = context.catalog, context.settings.allow_downloads
    downloads = Downloads(context.settings.manifests)
    names = list(catalog.benchmarks)
    first = EMBEDDED if EMBEDDED in names else names[0]

    @shown_to_visitors
    def zoo(benchmark: str) -> tuple[str, str, dict[str, Any]]:
        """Which files of a benchmark are here and intact, as HTML; what is being downloaded; rows to download."""
        of, last = catalog.benchmark(benchmark), downloads.last
        return page(of), _progress(last) if last and last.running else "", _choices(of)

    @shown_to_visitors
    def verify(benchmark: str) -> Iterator[tuple[Any, str]]:
        """Compare every byte of a benchmark's files here with the lock; files that haven't changed since their last check are believed."""
        of = catalog.benchmark(benchmark)
        for done, total, findings in verified(of):
            if findings is None:
                text = f"{megabytes(done)} of {megabytes(total)} read"
                yield gr.skip(), markup.page(markup.progress(done, total, text))
            else:
                yield page(of, findings), ""

    @shown_to_visitors
    def download(benchmark: str, row: str | None, log: bool) -> Iterator[tuple[Any, str, Any]]:
        """Download a row's weights, and its training log if it has one and it is wanted."""
        if not allowed:
            raise UsageError("The owner of this page doesn't allow downloads from here.")
        of, assets = wanted(catalog, row, log=log)
        running = downloads.begin(of, assets)
        while not running.wait(LOOK):
            yield gr.skip(), _progress(running), gr.skip()
        shown = catalog.benchmark(benchmark)
        yield page(shown), "", _choices(shown)
        running.raise_problem()
        tell(f"{running.row_id} is here.")

    with gr.Row():
        with gr.Column(min_width=280):
            chosen = gr.Dropdown(names, value=first, label="Benchmark", elem_id="zoo-benchmark")
        with gr.Column(min_width=280, visible=allowed):
            row = gr.Dropdown([], label="Row to download", elem_id="zoo-row")
            log = gr.Checkbox(label="With its training log", elem_id="zoo-log")
    with gr.Row():
        check = gr.Button("Verify", elem_id="zoo-verify", scale=0, min_width=150)
        start = gr.Button(
            "Download",
            variant="primary",
            elem_id="zoo-download",
            scale=0,
            min_width=150,
            visible=allowed,
        )
        stop = gr.Button("Stop", elem_id="zoo-stop", scale=0, min_width=100, visible=allowed)
    status = gr.HTML(elem_id="zoo-progress", apply_default_css=False)
    if not allowed:
        gr.HTML(markup.page(_not_allowed()), elem_id="zoo-not-allowed", apply_default_css=False)
    shown = gr.HTML(elem_id="zoo-page", apply_default_css=False)
    gr.on(None, zoo, chosen, [shown, status, row], api_name="zoo", show_progress="minimal")
    check.click(
        verify,
        chosen,
        [shown, status],
        api_name="verify",
        concurrency_id="verify",
        concurrency_limit=1,
        show_progress="hidden",
    )
    start.click(
        download,
        [chosen, row, log],
        [shown, status, row],
        api_visibility="private",
        concurrency_id="download",
        concurrency_limit=4,  # who joins the one that runs waits, too
        show_progress="hidden",
    )
    stop.click(downloads.stop, api_visibility="private")
    context.state.keep("zoo", chosen, one_of(*names))


def downloadable(benchmark: Benchmark) -> list[str]:
    """Rows whose locked weights or log aren't here whole."""
    return [
        row.id
        for row in benchmark.manifest.rows
        if any(
            kind != "visualisation" and of_asset(benchmark, asset).state in TO_FETCH
            for kind, asset in assets_of(benchmark, row.id).items()
        )
    ]


def _choices(benchmark: Benchmark) -> dict[str, Any]:
    """The dropdown of rows to download, as it has to be now."""
    rows = downloadable(benchmark)
    label = "Row to download" if rows else "Row to download (nothing to fetch)"
    return gr.update(choices=rows, value=None, label=label, interactive=bool(rows))


def wanted(catalog: Catalog, row_id: str | None, *, log: bool) -> tuple[Benchmark, list[Asset]]:
    """The files to download for a row.

    Raises UsageError if no row or an unknown one is named, SourceError if its weights aren't locked.
    """
    if not row_id:
        raise UsageError("Expected a row to download, got none. Choose one first.")
    benchmark, row = catalog.row(row_id)
    kinds = ("weights", "log", "text_log") if log else ("weights",)
    weights_of(benchmark, row)
    return benchmark, [a for a in known_assets(benchmark, row) if a.kind in kinds]


def verified(benchmark: Benchmark) -> Iterator[tuple[int, int, list[Finding] | None]]:
    """Check a benchmark's files that are here: bytes read, of how many, and in the end the findings."""
    assets = known_assets(benchmark)
    files = [(asset_path(benchmark.name, asset), asset) for asset in assets]
    here = [(path, asset) for path, asset in files if path.is_file()]
    total, read, lock = bytes_of(here), 0, Lock()

    def count(size: int) -> None:
        nonlocal read
        with lock:
            read += size

    with ThreadPoolExecutor(1) as pool:
        found = pool.submit(check_all, here, quick=True, on_bytes=count)
        while not found.done():
            yield read, total, None
            wait([found], LOOK)
        yield total, total, found.result()


def _progress(running: Download) -> str:
    received, total = running.received, running.total
    of = f" of {megabytes(total)} ({100 * received // max(total, 1)}%)" if total else ""
    text = f"Downloading {running.row_id}: {megabytes(received)}{of}"
    return markup.page(markup.progress(received, total, text))


def _not_allowed() -> markup.Markup:
    return markup.paragraph(
        "Downloads can't be started from this page; its owner can allow them with --allow-downloads, "
        "or run mixzoo zoo download ROW.",
        muted=True,
    )
