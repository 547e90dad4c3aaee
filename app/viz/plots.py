"""`mixzoo viz table|curves|groups|compare`: plots of what was published, logged and evaluated."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ...zoo.catalog import open_catalog
from ...zoo.looks import counted
from ...zoo.net.progress import tell
from ..logs import log_options
from ..options import FilePath, PresentFile, complete_names, manifest_option, option
from .options import CommandWithLists, draws, narrow_option

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ...viz.themes import Theme


@click.command("table", cls=CommandWithLists, lists=("--reports",))
@click.argument("benchmark", shell_complete=complete_names)
@option(
    "--reports FILE.json...",
    "Reports of mixzoo eval; of several with one row that of most images counts, then the newest.",
    FilePath,
    multiple=True,
)
@narrow_option
@manifest_option
@draws("table.png")
def table(
    benchmark: str,
    reports: tuple[Path, ...],
    narrow: bool,
    manifests: tuple[Path, ...],
    theme: "Theme",
) -> "tuple[Figure, str]":
    """Draw a benchmark's table of published numbers.

    Each number as published, as its training log gives it, and as recomputed with its 95% interval
    and verdict.

    What isn't known has no place: without reports and logs it is the published table. Logs are
    those that are here; give a row one of yours by mixzoo zoo import FILE --row ROW. BENCHMARK
    stands before --reports. --out ends in .png, .svg, .pdf or .jpg.
    """
    from ...eval.report import readable_audit
    from ...viz.table import results_table, table_plot
    from ...zoo.report import read_report

    chosen = open_catalog(manifests).benchmark(benchmark)
    known = [read_report(path) for path in reports]
    audits = []
    for row in chosen.manifest.rows:
        audit, unread = readable_audit(chosen, row)
        audits += [audit] if audit else []
        for problem in unread:
            tell(f"left out: {problem}")
    found = results_table(chosen.manifest, known, audits)
    logged = sum(bool(line.logged) for line in found.lines)
    recomputed = sum(bool(line.recomputed) for line in found.lines)
    words = f"{counted(len(found.lines), 'row')}, {logged} with a log, {recomputed} recomputed"
    return table_plot(found, theme=theme, narrow=narrow), words


@click.command("curves")
@click.argument(
    "refs", nargs=-1, required=True, metavar="[FILE|ROW]...", shell_complete=complete_names
)
@log_options
@option(
    "--head HEAD",
    "Draw only this head; repeatable.  [default: all of one log, the first of several]",
    to="heads",
    multiple=True,
)
@narrow_option
@draws("curves.png")
def curves(
    heads: tuple[str, ...], narrow: bool, theme: "Theme", **request: Any
) -> "tuple[Figure, str]":
    """Draw training curves from logs.

    Validation top-1 by epoch, the last epochs from near, training loss and learning rate.
    Reads what mixzoo logs reads, resumed logs too; a ROW's log is fetched if it isn't here,
    a benchmark names all its rows. Shaded are the last epochs that the table sums up, a bar is
    their median, a wedge at the right edge the published number. --out ends in .png, .svg, .pdf or
    .jpg.
    """
    from ...eval.logs.sources import Request, audit_all
    from ...viz.curves import curves_plot

    found = audit_all(Request(**request))
    for error in found.errors:
        raise error
    figure = curves_plot(found.audits, heads=heads or None, theme=theme, narrow=narrow)
    return figure, counted(len(found.audits), "run")


@click.command("groups")
@click.argument("reports", nargs=-1, required=True, type=FilePath, metavar="REPORT.json...")
@option(
    "--train FILE",
    "Add accuracy against the training images of a class, which these annotations tell "
    "(train2018.json), from the predictions that mixzoo eval kept.",
    PresentFile,
)
@manifest_option
@narrow_option
@draws("groups.png")
def groups(
    reports: tuple[Path, ...],
    train: Path | None,
    manifests: tuple[Path, ...],
    narrow: bool,
    theme: "Theme",
) -> "tuple[Figure, str]":
    """Draw accuracy by group of classes.

    All checkpoints of the REPORTs stand side by side: by supercategory; by many-, medium- and
    few-shot classes; with --train also against the number of training images. Of AutoMix and SAMix
    the head that inference uses. --out ends in .png, .svg, .pdf or .jpg.
    """
    from ...eval.kept import behind
    from ...viz.groups import grouped, groups_plot
    from ...zoo.data import from_file
    from ...zoo.report import read_report

    counts = None
    if train:
        images = from_file(train.parent, train)
        counts = images.class_counts()
        for note in images.notes:
            tell(note)
    kept = partial(behind, catalog=open_catalog(manifests))
    checkpoints = grouped([read_report(path) for path in reports], counts, kept)
    figure = groups_plot(checkpoints, theme=theme, narrow=narrow)
    return figure, counted(len(checkpoints), "checkpoint")


@click.command("compare")
@click.argument(
    "refs", nargs=-1, required=True, metavar="[REF|REPORT.json]...", shell_complete=complete_names
)
@option(
    "--head HEAD",
    "Which head of AutoMix and SAMix to compare, or all of them.  [default: inference's]",
)
@manifest_option
@draws("compare.png")
def compare(
    refs: tuple[str, ...], head: str | None, manifests: tuple[Path, ...], theme: "Theme"
) -> "tuple[Figure, str]":
    """Draw paired comparisons of rows as a matrix.

    REFs as in mixzoo eval compare: rows, checkpoints, reports and folders of evidence, all on the
    same images; no model is run. A sign in each cell tells whether the row is better than the
    column, worse, or not distinguishable.
    --out ends in .png, .svg, .pdf or .jpg.
    """
    from ...eval.compare import BETTER, WORSE, compare_rows
    from ...eval.kept import rows_of
    from ...viz.matrix import comparison_plot

    rows, fast = rows_of(refs, open_catalog(manifests), head)
    pairs = compare_rows(rows)
    for name in fast:
        tell(f"{name}: evaluated with --precision fast, so a few predictions may not be fp32's.")
    told = sum(pair.word in (BETTER, WORSE) for pair in pairs)
    words = f"{counted(len(rows), 'row')}, {told} of {len(pairs)} pairs told apart"
    return comparison_plot(pairs, theme=theme), words
