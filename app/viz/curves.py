"""`mixzoo viz curves`: training curves from logs."""

from dataclasses import replace
from pathlib import Path

import click

from ...zoo.catalog import open_catalog
from ..console import say
from ..options import FilePath, manifest_option
from .options import theme_option


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
    from ...eval.logs.sources import named
    from ...viz.curves import curves_plot
    from ...viz.runs import read_run
    from ...viz.save import figure_format, save_figure
    from ...viz.themes import theme_of

    figure_format(out)
    runs = []
    for find in named(refs, open_catalog(manifests), row_id, join=join):
        source = find()
        claim = replace(source.claim, last=last or source.claim.last)
        audit = audit_files(source.paths, claim, epochs=epochs, name=source.name)
        runs.append(read_run(audit))
    figure = curves_plot(runs, heads=heads or None, theme=theme_of(theme), narrow=narrow)
    save_figure(figure, out)
    say(f"{out}: {len(runs)} {'run' if len(runs) == 1 else 'runs'}")
