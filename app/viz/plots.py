"""`mixzoo viz table|curves|groups|compare`: plots of what was published, logged and evaluated."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ...zoo.catalog import Benchmark, Catalog, open_catalog
from ...zoo.errors import MixzooError, UsageError
from ..eval.compare import ALL_HEADS, find_rows
from ..options import FilePath, manifest_option
from .options import CommandWithLists, counted, draws, narrow_option

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ...eval.compare import NamedPredictions
    from ...eval.logs import LogAudit
    from ...eval.predictions import Predictions
    from ...viz.groups import Frequencies
    from ...viz.report_data import ReportLine, StoredReport
    from ...viz.themes import Theme


@click.command("table", cls=CommandWithLists, lists=("--reports", "--logs"))
@click.argument("benchmark")
@click.option(
    "--reports",
    type=FilePath,
    multiple=True,
    metavar="FILE.json...",
    help="Reports of mixzoo eval; of several with one row the newest counts.",
)
@click.option(
    "--logs",
    multiple=True,
    metavar="[ROW=]FILE...",
    help="Training logs, beside those of rows that are here. Without ROW a log is recognised by "
    "its hash.",
)
@click.option("--no-logs", is_flag=True, help="Leave out the logs that are here.")
@narrow_option
@manifest_option
@draws("table.png")
def table(
    benchmark: str,
    reports: tuple[Path, ...],
    logs: tuple[str, ...],
    no_logs: bool,
    narrow: bool,
    manifests: tuple[Path, ...],
    theme: "Theme",
) -> "tuple[Figure, str]":
    """Draw a benchmark's table of published numbers.

    Each number as published, as its training log gives it, and as recomputed with its 95% interval
    and verdict.

    What isn't known has no place: without reports and logs it is the published table. BENCHMARK
    stands before --reports and --logs. --out ends in .png, .svg, .pdf or .jpg.
    """
    from ...viz.report_data import read_report
    from ...viz.table import results_table, table_plot

    catalog = open_catalog(manifests)
    chosen = catalog.benchmark(benchmark)
    known = [read_report(path) for path in reports]
    audits = list(_given_logs(logs, catalog, chosen))
    audits += [] if no_logs else _logs_here(chosen)
    found = results_table(chosen.manifest, known, audits)
    logged = sum(bool(line.logged) for line in found.lines)
    recomputed = sum(bool(line.recomputed) for line in found.lines)
    words = f"{len(found.lines)} rows, {logged} with a log, {recomputed} recomputed"
    return table_plot(found, theme=theme, narrow=narrow), words


def _given_logs(
    logs: tuple[str, ...], catalog: Catalog, benchmark: Benchmark
) -> "Iterator[LogAudit]":
    """The logs that were named, audited. Raises UsageError for one of no row of the benchmark."""
    from ...eval.logs.sources import source_of_files

    for text in logs:
        row_id, _, file = text.rpartition("=")
        if row_id and Path(text).exists():  # a file with this sign in its name
            row_id, file = "", text
        source = source_of_files([Path(file)], catalog, row_id or None)
        if source.claim.row is None:
            raise UsageError(
                f"--logs {file}: no row has a log with its hash; expected ROW=FILE, such as "
                f"{benchmark.manifest.rows[0].id}={file}."
            )
        if benchmark.manifest.row(source.claim.row) is None:
            raise UsageError(
                f"--logs {file}: {source.claim.row} is no row of {benchmark.name}; expected a log "
                "of this benchmark."
            )
        yield source.audit()


def _logs_here(benchmark: Benchmark) -> "Iterator[LogAudit]":
    """The logs of rows that need no network, audited; one that can't be read is told and left out."""
    from ...eval.logs.sources import audit_of_row

    for row in benchmark.manifest.rows:
        try:
            if audit := audit_of_row(benchmark, row):
                yield audit
        except MixzooError as error:
            click.echo(f"left out: {error}", err=True)


@click.command("curves")
@click.argument("refs", nargs=-1, required=True, metavar="[FILE|ROW]...")
@click.option("--row", "row_id", metavar="ROW", help="The row that FILEs are held against.")
@click.option("--join", is_flag=True, help="The FILEs are pieces of one run, as after a restart.")
@click.option(
    "--head",
    "heads",
    multiple=True,
    metavar="HEAD",
    help="Draw only this head; repeatable.  [default: all of one log, the first of several]",
)
@click.option(
    "--epochs",
    type=click.IntRange(1, 99_999),
    help="Number of epochs of the whole run.  [default: as the log or the row tells]",
)
@click.option(
    "--last",
    type=click.IntRange(1),
    help="Number of last epochs that are summed up.  [default: as the table does, else 5]",
)
@narrow_option
@manifest_option
@draws("curves.png")
def curves(
    refs: tuple[str, ...],
    row_id: str | None,
    join: bool,
    heads: tuple[str, ...],
    epochs: int | None,
    last: int | None,
    narrow: bool,
    manifests: tuple[Path, ...],
    theme: "Theme",
) -> "tuple[Figure, str]":
    """Draw training curves from logs.

    Validation top-1 by epoch, the last epochs from near, training loss and learning rate.
    Reads mmcv's .log.json and text logs, resumed ones too; a ROW's log is fetched if it isn't here,
    a benchmark names all its rows. Shaded are the last epochs that the table sums up, a bar is
    their median, a dotted line the published number. --out ends in .png, .svg, .pdf or .jpg.
    """
    from ...eval.logs.sources import Request, audit_all
    from ...viz.curves import curves_plot
    from ...viz.runs import read_run

    found = audit_all(Request(refs, row_id, join, epochs=epochs, last=last, manifests=manifests))
    for error in found.errors:
        raise error
    runs = [read_run(audit) for audit in found.audits]
    figure = curves_plot(runs, heads=heads or None, theme=theme, narrow=narrow)
    return figure, counted(len(runs), "run")


@click.command("groups")
@click.argument("reports", nargs=-1, required=True, type=FilePath, metavar="REPORT.json...")
@click.option(
    "--train",
    type=FilePath,
    metavar="FILE",
    help="Training annotations (train2018.json): adds accuracy against the training images of a "
    "class, from the predictions that mixzoo eval kept.",
)
@narrow_option
@draws("groups.png")
def groups(
    reports: tuple[Path, ...],
    train: Path | None,
    narrow: bool,
    theme: "Theme",
) -> "tuple[Figure, str]":
    """Draw accuracy by group of classes.

    All checkpoints of the REPORTs stand side by side: by supercategory; by many-, medium- and
    few-shot classes; with --train also against the number of training images. Of AutoMix and SAMix
    the head that inference uses. --out ends in .png, .svg, .pdf or .jpg.
    """
    from ...viz.groups import grouped, groups_plot
    from ...viz.report_data import read_report

    known = [read_report(path) for path in reports]
    checkpoints = grouped(known, _frequencies(train) if train else None)
    figure = groups_plot(checkpoints, theme=theme, narrow=narrow)
    return figure, counted(len(checkpoints), "checkpoint")


def _frequencies(train: Path) -> "Callable[[StoredReport, ReportLine], Frequencies]":
    """What counts a line's kept predictions by training images of the class."""
    from ...viz.groups import count_frequencies
    from ...zoo.data import from_annotations

    if not train.is_file():
        raise UsageError(f"--train {train}: expected the training annotations, found no such file.")
    counts = from_annotations(train.parent, train).class_counts()
    return lambda report, line: count_frequencies(predictions_of(report, line)[0], counts)


@click.command("compare")
@click.argument("refs", nargs=-1, required=True, metavar="[REF|REPORT.json]...")
@click.option(
    "--head", metavar="HEAD", help="Head of AutoMix and SAMix, or all.  [default: inference's]"
)
@manifest_option
@draws("compare.png")
def compare(
    refs: tuple[str, ...], head: str | None, manifests: tuple[Path, ...], theme: "Theme"
) -> "tuple[Figure, str]":
    """Draw paired comparisons of rows as a matrix.

    The rows were evaluated on the same images: REFs are rows or checkpoints, REPORT.json names all
    that stand in a report. The predictions are those that mixzoo eval kept; no model is run. A sign
    in each cell tells whether the row is better than the column, worse, or not distinguishable.
    --out ends in .png, .svg, .pdf or .jpg.
    """
    from ...eval.compare import BETTER, WORSE, compare_rows
    from ...viz.matrix import comparison_plot

    reports = [Path(ref) for ref in refs if ref.endswith(".json")]
    fast: list[str] = []
    if len(reports) == len(refs):
        rows = _reported_rows(reports, head)
    elif reports:
        raise UsageError(
            f"{reports[0]}: expected reports alone or REFs alone, got both. Name the report's rows."
        )
    else:
        rows, fast = find_rows(refs, open_catalog(manifests), head)
    pairs = compare_rows(rows)
    for name in fast:
        text = f"{name}: evaluated with --precision fast, so a few predictions may not be fp32's."
        click.echo(text, err=True)
    told = sum(pair.word in (BETTER, WORSE) for pair in pairs)
    words = f"{len(rows)} rows, {told} of {len(pairs)} pairs told apart"
    return comparison_plot(pairs, theme=theme), words


def predictions_of(
    report: "StoredReport", line: "ReportLine", files: tuple[str, ...] | None = None
) -> "tuple[Predictions, tuple[str, ...]]":
    """The kept predictions behind a line of a report, and the images' files, in their order.

    files: the order to give them in; it must be the same images. Raises UsageError if they aren't
    kept here, or are of another evaluation.
    """
    from ...eval.store import of_weights

    for stored in of_weights(line.weights.sha256):
        same_list = stored.key["list_sha256"] == report.data.list_sha256
        pixels = stored.key["protocol"]
        if same_list and pixels == {name: report.protocol.get(name) for name in pixels}:
            ordered = stored.ordered(files) if files else stored
            found = ordered.heads.get(line.head)
            if found and found.counts().correct == line.correct:
                return found, ordered.files
    raise UsageError(
        f"{line.id}: the predictions behind its report aren't kept here (MIXZOO_CACHE). Evaluate it "
        f"again: mixzoo eval {line.id} --data DIR --out REPORT.json"
    )


def _reported_rows(paths: list[Path], head: str | None) -> "list[NamedPredictions]":
    """The predictions behind reports, in the order of the first line's images."""
    from ...eval.compare import NamedPredictions
    from ...viz.report_data import read_report

    rows: list[NamedPredictions] = []
    files: tuple[str, ...] | None = None
    first: str | None = None
    for report in map(read_report, paths):
        if first not in (None, report.data.list_sha256):
            raise UsageError(
                f"{paths[0]} and another report are about other labelled images; expected one list."
            )
        first = report.data.list_sha256
        for line in _asked_for(report, head):
            predictions, files = predictions_of(report, line, files)
            several = head == ALL_HEADS and sum(one.id == line.id for one in report.rows) > 1
            name = f"{line.id} {line.head}" if several else line.id
            rows.append(NamedPredictions(name, predictions, first))
    return rows


def _asked_for(report: "StoredReport", head: str | None) -> "list[ReportLine]":
    """The lines of the head that inference uses, of the one named, or of all."""
    if head == ALL_HEADS:
        return report.rows
    if head is None:
        return report.default_lines()
    chosen = [
        line
        for line in report.rows
        if line.head == head or sum(one.id == line.id for one in report.rows) == 1
    ]
    if not any(line.head == head for line in chosen):
        known = ", ".join(dict.fromkeys(line.head for line in report.rows))
        raise UsageError(f"--head {head}: the report has {known}, or give all.")
    return chosen
