"""The Zoo tab: what is downloaded and intact, verifying it, and downloading what is listed."""

from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr

from ...zoo import shelf
from ...zoo.catalog import Benchmark, Catalog
from ...zoo.errors import UsageError
from ...zoo.lock import Asset
from ...zoo.manifest import Row
from ...zoo.net.sources import askable, by_hand
from ...zoo.release.learn import files_of_row
from ...zoo.shelf import OnShelf, State
from ...zoo.verify import Finding, bytes_of, check_all
from .context import Context
from .downloads import Download
from .html import number, render
from .state import among
from .toasts import shown_to_visitors, tell

TO_FETCH = (State.ABSENT, State.PARTIAL, State.DAMAGED)
SECONDS = 0.5  # between two looks at something that runs
NOT_ALLOWED = (
    "Downloads can't be started from this page. Whoever runs it can allow them with "
    "--allow-downloads, or run mixzoo zoo download ROW."
)


def build(context: Context) -> None:
    """Lay out the tab."""
    catalog, allowed = context.catalog, context.settings.visitors_may_download
    downloads = context.downloads

    @shown_to_visitors()
    def zoo(benchmark: str) -> str:
        """Which of a benchmark's files are here and intact, as HTML."""
        return page(catalog.benchmark(benchmark))

    def verify(benchmark: str) -> Iterator[tuple[Any, str]]:
        """Compare every byte of a benchmark's files here with the lock.

        Files that haven't changed since their last check are believed.
        """
        with shown_to_visitors():
            of = catalog.benchmark(benchmark)
            for done, total, findings in verified(of):
                if findings is None:
                    text = f"{_megabytes(done)} of {_megabytes(total)} read"
                    yield gr.skip(), render("progress.html", done=done, total=total, text=text)
                else:
                    yield page(of, findings), ""

    def download(benchmark: str, row: str | None, log: bool) -> Iterator[tuple[Any, ...]]:
        """Download a row's weights, and its training log if it has one and it is wanted."""
        with shown_to_visitors():
            if not allowed:
                raise UsageError(
                    "The owner of this page doesn't allow downloads from here. Ask them, or run "
                    "mixzoo app on your own machine."
                )
            of, assets = wanted(catalog, row, log=log)
            running = downloads.begin(of, assets)
            while not running.wait(SECONDS):
                yield gr.skip(), _progress(running), gr.skip(), gr.update(visible=True)
            yield zoo(benchmark), "", gr.skip(), gr.update(visible=False)
            running.raise_problem()
            tell(f"{running.row_id} is here.")

    chosen = gr.Dropdown(
        list(catalog.benchmarks),
        value=context.first_benchmark,
        label="Benchmark",
        elem_id="zoo-benchmark",
    )
    row = gr.Dropdown([], label="Row to download", elem_id="zoo-row", visible=False)
    log = gr.Checkbox(label="With its training log", elem_id="zoo-log", visible=False)
    with gr.Row():
        check = _button("Verify")
        start = _button("Download", variant="primary")
        stop = _button("Stop")
    status = gr.HTML(label="Progress", elem_id="zoo-progress", apply_default_css=False)
    if not allowed:
        gr.HTML(render("note.html", text=NOT_ALLOWED), apply_default_css=False)
    shown = gr.HTML(label="Files", elem_id="zoo-page", apply_default_css=False)
    controls = [status, row, log, check, start, stop]
    offer = partial(offered, context)
    gr.on(None, zoo, chosen, shown, api_name="zoo", show_progress="minimal")
    gr.on(None, offer, chosen, controls, api_visibility="private", show_progress="hidden")
    check.click(
        verify,
        chosen,
        [shown, status],
        api_name="verify",
        concurrency_id="verify",
        concurrency_limit=1,
        show_progress="hidden",
    )
    started = start.click(
        download,
        [chosen, row, log],
        [shown, status, start, stop],
        api_visibility="private",
        concurrency_id="download",
        concurrency_limit=4,  # who joins the one that runs waits, too
        show_progress="hidden",
    )
    started.then(offer, chosen, controls, api_visibility="private", show_progress="hidden")
    stop.click(downloads.stop, api_visibility="private")
    context.state.keep("zoo", chosen, among(catalog.benchmarks))


def offered(context: Context, benchmark: str) -> tuple[Any, ...]:
    """The bar of what is being downloaded, and the controls that can do something now.

    These are: row, log, verify, download, stop.
    """
    of, last = context.catalog.benchmark(benchmark), context.downloads.last
    running = last if last and last.running else None
    rows = downloadable(of) if context.settings.visitors_may_download else []
    logs = any(shelf.log(*context.catalog.row(one)).state in TO_FETCH for one in rows)
    return (
        _progress(running) if running else "",
        gr.update(choices=rows, value=None, visible=bool(rows)),
        gr.update(visible=logs),
        gr.update(visible=bool(_here(of))),
        gr.update(visible=bool(rows)),
        gr.update(visible=running is not None),
    )


def page(benchmark: Benchmark, findings: Sequence[Finding] = ()) -> str:
    """The files of a benchmark's rows, as HTML. findings: of a check that has just been made."""
    fresh: dict[Path | None, State] = {finding.path: finding.state for finding in findings}
    rows, used, counts = [], set(), Counter[str]()
    for row in benchmark.manifest.rows:
        files = _files(benchmark, row)
        states = {kind: fresh.get(one.path, one.state) for kind, one in files.items()}
        known = {
            k: state for k, state in states.items() if k == "Weights" or state != State.UNKNOWN
        }
        used |= set(known.values())
        counts[states["Weights"].value] += 1
        rows.append(
            {
                "Row": row.id,
                "Published": number(row.reported_top1, benchmark.manifest.metric.decimals),
                **dict.fromkeys(states, ""),
                **{
                    kind: (state.value, shelf.rule(benchmark, state))
                    for kind, state in known.items()
                },
                "Size of the weights": _size(files["Weights"]),
            }
        )
    return render(
        "zoo.html",
        counts=counts.most_common(),
        rows=rows,
        numbers=("Published", "Size of the weights"),
        rules={state.value: shelf.rule(benchmark, state) for state in shelf.RULES if state in used},
        details=[f"{one.path.name}: {one.detail}" for one in findings if one.detail],
        by_hand=by_hand(benchmark) if State.UNKNOWN.value in counts else "",
        name=benchmark.name,
        last_row=benchmark.manifest.rows[-1].id,
    )


def downloadable(benchmark: Benchmark) -> list[str]:
    """Rows whose weights or log aren't here whole, and can be fetched or asked for."""
    unnamed = {State.UNKNOWN} if askable(benchmark.manifest) else set()
    return [
        row.id
        for row in benchmark.manifest.rows
        if (state := shelf.file(benchmark, row).state) in unnamed
        or {state, shelf.log(benchmark, row).state} & {*TO_FETCH}
    ]


def wanted(catalog: Catalog, row_id: str | None, *, log: bool) -> tuple[Benchmark, list[Asset]]:
    """The files to download for a row.

    Raises UsageError if no row is named, and what `files_of_row` raises.
    """
    if not row_id:
        raise UsageError("Expected a row to download, got none. Choose one first.")
    benchmark, row, (weights, *_) = files_of_row(catalog, row_id)
    logs = [one for one in shelf.known_assets(benchmark, row) if one.kind in shelf.LOGS]
    return benchmark, [weights, *(logs if log else [])]


def verified(benchmark: Benchmark) -> Iterator[tuple[int, int, list[Finding] | None]]:
    """Check a benchmark's files that are here: bytes read, of how many, in the end the findings."""
    here = _here(benchmark)
    total, read = bytes_of(here), 0

    def count(size: int) -> None:
        nonlocal read
        read += size

    with ThreadPoolExecutor(1) as pool:
        found = pool.submit(check_all, here, quick=True, on_bytes=count)
        while not found.done():
            yield read, total, None
            wait([found], SECONDS)
        yield total, total, found.result()


def _here(benchmark: Benchmark) -> list[tuple[Path, Asset]]:
    """The files that can be compared with the lock."""
    known = [(shelf.of_asset(benchmark, one).path, one) for one in shelf.known_assets(benchmark)]
    return [(path, asset) for path, asset in known if path and path.is_file()]


def _button(name: str, **more: Any) -> gr.Button:
    return gr.Button(
        name, elem_id=f"zoo-{name.lower()}", scale=0, min_width=150, visible=False, **more
    )


def _progress(running: Download) -> str:
    done, total = running.received, running.total
    of = f" of {_megabytes(total)} ({100 * done // max(total, 1)}%)" if total else ""
    text = f"Downloading {running.row_id}: {_megabytes(done)}{of}"
    return render("progress.html", done=done, total=total, text=text)


def _files(benchmark: Benchmark, row: Row) -> dict[str, OnShelf]:
    """What is known of each kind of file that a row can have."""
    return {
        "Weights": shelf.file(benchmark, row),
        "Log": shelf.log(benchmark, row),
        "Pictures": shelf.file(benchmark, row, "visualisation"),
    }


def _size(weights: OnShelf) -> str:
    if weights.asset is None or weights.path is None:
        return ""
    here = weights.path.is_file()
    size = weights.path.stat().st_size if here else weights.asset.size
    return "" if size is None else _megabytes(size)


def _megabytes(size: int) -> str:
    """A size as downloads are usually told."""
    return f"{size / 1e6:,.1f} MB"
