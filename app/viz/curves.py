"""`mixzoo viz curves`: training curves from logs."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ...zoo.catalog import Catalog, open_catalog
from ...zoo.errors import UsageError
from ..console import say
from ..options import FilePath, manifest_option
from .options import theme_option

if TYPE_CHECKING:
    from ...eval.logs.sources import LogSource


@click.command("curves")
@click.argument("refs", nargs=-1, required=True, metavar="[FILE|ROW]...")
@click.option("--row", "row_id", metavar="ROW", help="The row that FILEs are held against.")
@click.option("--join", is_flag=True, help="The FILEs are pieces of one run, as after a restart.")
@click.option(
    "--head",
    "heads",
    multiple=True,
    metavar="HEAD",
    help="Only this head; repeatable. [default: all of one log, the first of several]",
)
@click.option(
    "--epochs", type=click.IntRange(1, 99_999), help="Of the whole run, if not found out."
)
@click.option(
    "--last", type=click.IntRange(1), help="Last epochs to summarise, if not the table's."
)
@click.option("--narrow", is_flag=True, help="All panels below one another.")
@theme_option
@click.option("--out", type=FilePath, default=Path("curves.png"), show_default=True, metavar="FILE")
@manifest_option
def command(
    refs: tuple[str, ...],
    row_id: str | None,
    join: bool,
    heads: tuple[str, ...],
    epochs: int | None,
    last: int | None,
    narrow: bool,
    theme: str,
    out: Path,
    manifests: tuple[Path, ...],
) -> None:
    """Draw validation top-1 by epoch, the last epochs from near, training loss and learning rate.

    Reads mmcv's .log.json and text logs, resumed ones too; a ROW's log is fetched if it isn't here,
    a benchmark names all its rows. Shaded are the last epochs that the table sums up, a bar is
    their median, a dotted line the published number. --out ends in .png, .svg, .pdf or .jpg.
    """
    from ...eval.logs import audit_files
    from ...viz.curves import curves_plot
    from ...viz.runs import read_run
    from ...viz.saving import figure_format, save_figure
    from ...viz.themes import theme_of

    figure_format(out)
    runs = []
    for source in _sources(refs, open_catalog(manifests), row_id, join=join):
        claim = replace(source.claim, last=last or source.claim.last)
        audit = audit_files(source.paths, claim, epochs=epochs, name=source.name)
        runs.append(read_run(audit))
    figure = curves_plot(runs, heads=heads or None, theme=theme_of(theme), narrow=narrow)
    save_figure(figure, out)
    say(f"{out}: {len(runs)} {'run' if len(runs) == 1 else 'runs'}")


def _sources(
    refs: tuple[str, ...], catalog: Catalog, row_id: str | None, *, join: bool
) -> "Iterator[LogSource]":
    """Files, each a run or all together one, then rows."""
    from ...eval.logs.sources import from_files, from_row, is_log_path

    files = [Path(ref) for ref in refs if is_log_path(ref)]
    names = [ref for ref in refs if not is_log_path(ref)]
    if names and (row_id or join):
        raise UsageError(f"--row and --join go with files, but {names[0]} names a row.")
    for run in [files] if join else [[file] for file in files]:
        yield from_files(run, catalog, row_id)
    for benchmark, row in catalog.select(names) if names else ():
        yield from_row(benchmark, row)
