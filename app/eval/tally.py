"""`mixzoo eval tally`: how many published numbers are off, and by how much."""

from pathlib import Path

import click
import msgspec

from ...zoo.catalog import open_catalog
from ...zoo.errors import UsageError
from ..console import print_json, print_table, say
from ..options import FilePath, json_option, manifest_option, option


@click.command("tally")
@click.argument("paths", nargs=-1, required=True, type=FilePath, metavar="REPORT|EVIDENCE...")
@option("--csv", "Print CSV instead of a table.", to="as_csv")
@manifest_option
@json_option
def command(
    paths: tuple[Path, ...], as_csv: bool, manifests: tuple[Path, ...], as_json: bool
) -> None:
    """Count the published numbers that are off, by how much.

    By more than 0.05, 1 and 5 points. A REPORT is what mixzoo eval --out FILE.json wrote, EVIDENCE
    a folder of --evidence, which is checked. A row counts if it was evaluated on the images and
    pixels that its table is about.
    """
    from ...eval.evidence import INDEX
    from ...eval.signed import sound
    from ...zoo.report import read_report
    from ...zoo.tally import COLUMNS, tally

    if as_json and as_csv:
        raise UsageError("Both --json and --csv were given; expected one of them. Leave one out.")
    catalog = open_catalog(manifests)
    files = [p for p in paths if p.suffix == ".json" and p.name != INDEX]
    folders = tuple(path for path in paths if path not in files)
    checked = sound(folders, catalog)
    reports = [*map(read_report, files), *(one.report for one in checked)]
    found = tally(reports, catalog)
    if as_json:
        print_json(msgspec.to_builtins(found))
    elif as_csv:
        click.echo(found.to_csv(), nl=False)
    else:
        cells = [claim.cells for claim in found.claims]
        print_table(COLUMNS, cells, right=COLUMNS[2:6], optional=("Correct", "Head"))
        say(found.sentence)
        for name, why in found.left_out.items():
            say(f"{name} doesn't count: {why}.", style="yellow")
