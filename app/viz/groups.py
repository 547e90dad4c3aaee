"""`mixzoo viz groups`: accuracy by supercategory and by training images of the class."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ...zoo.errors import UsageError
from ..console import say
from ..options import FilePath
from .compare import predictions_of
from .options import theme_option

if TYPE_CHECKING:
    from ...viz.groups import Frequencies
    from ...viz.report_data import ReportLine, StoredReport


@click.command("groups")
@click.argument("reports", nargs=-1, required=True, type=FilePath, metavar="REPORT.json...")
@click.option(
    "--train",
    type=FilePath,
    metavar="FILE",
    help="Training annotations (train2018.json): adds accuracy against the training images of a "
    "class, from the predictions that mixzoo eval kept.",
)
@click.option("--narrow", is_flag=True, help="All panels below one another.")
@theme_option
@click.option("--out", type=FilePath, default=Path("groups.png"), show_default=True, metavar="FILE")
def command(
    reports: tuple[Path, ...], train: Path | None, narrow: bool, theme: str, out: Path
) -> None:
    """Draw accuracy by group of classes, all checkpoints of the REPORTs side by side.

    By supercategory; by many-, medium- and few-shot classes; with --train also against the number
    of training images. Of AutoMix and SAMix the head that inference uses. --out ends in .png, .svg,
    .pdf or .jpg.
    """
    from ...viz.groups import grouped, groups_plot
    from ...viz.report_data import read_report
    from ...viz.save import figure_format, save_figure
    from ...viz.themes import theme_of

    figure_format(out)
    known = [read_report(path) for path in reports]
    checkpoints = grouped(known, _frequencies(train) if train else None)
    save_figure(groups_plot(checkpoints, theme=theme_of(theme), narrow=narrow), out)
    count = len(checkpoints)
    say(f"{out}: {count} {'checkpoint' if count == 1 else 'checkpoints'}")


def _frequencies(train: Path) -> "Callable[[StoredReport, ReportLine], Frequencies]":
    """What counts a line's kept predictions by training images of the class."""
    from ...viz.groups import count_frequencies
    from ...zoo.data import from_annotations

    if not train.is_file():
        raise UsageError(f"--train {train}: expected the training annotations, found no such file.")
    counts = from_annotations(train.parent, train).class_counts()
    return lambda report, line: count_frequencies(predictions_of(report, line)[0], counts)
