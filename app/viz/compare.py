"""`mixzoo viz compare`: every two rows compared image by image, as a matrix."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ...zoo.catalog import open_catalog
from ...zoo.errors import UsageError
from ..console import say
from ..eval.compare import ALL_HEADS, find_rows
from ..options import FilePath, manifest_option
from .options import theme_option

if TYPE_CHECKING:
    from ...eval.compare import NamedPredictions
    from ...eval.predictions import Predictions
    from ...viz.report_data import ReportLine, StoredReport


@click.command("compare")
@click.argument("refs", nargs=-1, required=True, metavar="[REF|REPORT.json]...")
@click.option("--head", metavar="HEAD", help="Of AutoMix and SAMix: a head's name, or all.")
@theme_option
@click.option(
    "--out", type=FilePath, default=Path("compare.png"), show_default=True, metavar="FILE"
)
@manifest_option
def command(
    refs: tuple[str, ...],
    head: str | None,
    theme: str,
    out: Path,
    manifests: tuple[Path, ...],
) -> None:
    """Draw the paired comparisons of rows that were evaluated on the same images, as a matrix.

    REFs are rows or checkpoints, REPORT.json names all that stand in a report. The predictions are
    those that mixzoo eval kept; no model is run. A sign in each cell tells whether the row is
    better than the column, worse, or not distinguishable. --out ends in .png, .svg, .pdf or .jpg.
    """
    from ...eval.compare import compare_rows
    from ...viz.matrix import comparison_plot
    from ...viz.save import figure_format, save_figure
    from ...viz.themes import theme_of

    figure_format(out)
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
    save_figure(comparison_plot(pairs, theme=theme_of(theme)), out)
    told = sum(pair.word in ("better", "worse") for pair in pairs)
    say(f"{out}: {len(rows)} rows, {told} of {len(pairs)} pairs told apart")
    for name in fast:
        text = f"{name}: evaluated with --precision fast, so a few predictions may not be fp32's."
        click.echo(text, err=True)


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
