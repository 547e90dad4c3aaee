"""`mixzoo viz table`: a benchmark's table as published, as logged and as recomputed."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ...zoo.catalog import Benchmark, Catalog, open_catalog
from ...zoo.errors import MixzooError, UsageError
from ..console import say
from ..options import FilePath, manifest_option
from .options import CommandWithLists, theme_option

if TYPE_CHECKING:
    from ...eval.logs import LogAudit


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
@click.option(
    "--columns", type=click.IntRange(1), help="Backbones beside one another. [default: all]"
)
@theme_option
@click.option("--out", type=FilePath, default=Path("table.png"), show_default=True, metavar="FILE")
@manifest_option
def command(
    benchmark: str,
    reports: tuple[Path, ...],
    logs: tuple[str, ...],
    no_logs: bool,
    columns: int | None,
    theme: str,
    out: Path,
    manifests: tuple[Path, ...],
) -> None:
    """Draw the table of BENCHMARK: each number as published, as its training log gives it, and as
    recomputed with its 95% interval and verdict.

    What isn't known has no place: without reports and logs it is the published table. BENCHMARK
    stands before --reports and --logs. --out ends in .png, .svg, .pdf or .jpg.
    """
    from ...viz.report_data import read_report
    from ...viz.save import figure_format, save_figure
    from ...viz.table import results_table, table_plot
    from ...viz.themes import theme_of

    figure_format(out)
    catalog = open_catalog(manifests)
    chosen = catalog.benchmark(benchmark)
    known = [read_report(path) for path in reports]
    audits = list(_given_logs(logs, catalog, chosen))
    audits += [] if no_logs else _logs_here(chosen)
    table = results_table(chosen.manifest, known, audits)
    save_figure(table_plot(table, theme=theme_of(theme), columns=columns), out)
    logged = sum(bool(line.logged) for line in table.lines)
    recomputed = sum(bool(line.recomputed) for line in table.lines)
    say(f"{out}: {len(table.lines)} rows, {logged} with a log, {recomputed} recomputed")


def _given_logs(
    logs: tuple[str, ...], catalog: Catalog, benchmark: Benchmark
) -> "Iterator[LogAudit]":
    """The logs that were named, audited. Raises UsageError for one of no row of the benchmark."""
    from ...eval.logs import audit_files
    from ...eval.logs.sources import from_files

    for text in logs:
        row_id, _, file = text.rpartition("=")
        if row_id and Path(text).exists():  # a file with this sign in its name
            row_id, file = "", text
        source = from_files([Path(file)], catalog, row_id or None)
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
        yield audit_files(source.paths, source.claim, name=source.name)


def _logs_here(benchmark: Benchmark) -> "Iterator[LogAudit]":
    """The logs of rows that need no network, audited; one that can't be read is told and left out."""
    from ...eval.logs import audit_files
    from ...eval.logs.sources import from_row
    from ...zoo import shelf

    for row in benchmark.manifest.rows:
        if not shelf.log(benchmark, row).local:
            continue
        try:
            source = from_row(benchmark, row)
            yield audit_files(source.paths, source.claim, name=source.name)
        except MixzooError as error:
            click.echo(f"left out: {error}", err=True)
