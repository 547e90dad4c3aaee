"""`mixzoo eval doubts`: images that all rows miss, and labels that the rows speak against."""

from pathlib import Path

import click
import msgspec

from ...zoo.catalog import open_catalog
from ...zoo.files import write
from ...zoo.looks import command as command_line
from ..console import print_json, print_table, say
from ..options import (
    FilePath,
    OutputForms,
    Real,
    complete_names,
    data_option,
    json_option,
    manifest_option,
    option,
)

SHOWN = 20  # images on the screen


@click.command("doubts")
@click.argument("refs", nargs=-1, required=True, metavar="REF...", shell_complete=complete_names)
@data_option
@option(
    "--list FILE",
    "The images' annotations or list, where they aren't found in the folder.",
    FilePath,
    to="labels",
)
@option("--head HEAD", "Which head of AutoMix and SAMix to ask.  [default: inference's]")
@option(
    "--odds",
    "Odds of another class from which on a label is in doubt.",
    Real(0, 1e9),
    default=10.0,
)
@option(
    "--out FILE.json", "Write the list; FILE.csv and a page, FILE.html, beside it.", OutputForms
)
@manifest_option
@json_option
def command(
    refs: tuple[str, ...],
    data: Path | None,
    labels: Path | None,
    head: str | None,
    odds: float,
    out: Path | None,
    manifests: tuple[Path, ...],
    as_json: bool,
) -> None:
    """Find images that all rows miss, and labels in doubt.

    Each REF is a row or checkpoint that was evaluated here, a report, or a folder of evidence, all
    on the same list; no model is run. A label in doubt is a candidate to look at, no proof. --data
    names the images for the page's pictures.
    """
    from ...eval import doubts
    from ...eval.kept import rows_of
    from ...zoo.data import find_images

    rows, _ = rows_of(refs, open_catalog(manifests), head)
    found = doubts.find_doubts(rows, odds)
    if out:
        from ...viz.doubts_page import to_html

        images = find_images(data, labels, allow_missing=True) if data else None
        out.parent.mkdir(parents=True, exist_ok=True)
        write(out, msgspec.json.format(msgspec.json.encode(found), indent=2))
        write(out.with_suffix(".csv"), doubts.to_csv(found))
        write(out.with_suffix(".html"), to_html(found, images))
    if as_json:
        print_json(msgspec.to_builtins(found))
        return
    shown = [doubts.cells(one, len(found.rows)) for one in found.doubts[:SHOWN]]
    print_table(doubts.COLUMNS, shown, right=doubts.COLUMNS[1:7], cut="File")
    print_table(doubts.ACCURACY, doubts.accuracy_cells(found), right=doubts.ACCURACY[1:])
    for sentence in doubts.sentences(found):
        say(sentence)
    if out:
        without = "" if data else "; without --data it has no pictures"
        say(f"List: {out} and {out.with_suffix('.csv')}. Page: {out.with_suffix('.html')}{without}")
    elif len(found.doubts) > SHOWN:
        say(
            f"All {len(found.doubts)}: "
            f"{command_line('eval', 'doubts', *refs, '--out', 'FILE.json')}"
        )
