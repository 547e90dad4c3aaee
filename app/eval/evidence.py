"""`mixzoo evidence`: write the evidence of rows that were evaluated, from the kept predictions."""

from pathlib import Path

import click

from ...zoo.catalog import open_catalog
from ...zoo.looks import command as command_line
from ...zoo.looks import naming
from ..console import say
from ..options import OutputFolder, complete_names, manifest_option, option


@click.command("evidence")
@click.argument("rows", nargs=-1, required=True, metavar="ROW...", shell_complete=complete_names)
@option("--out DIR", "The folder to write the evidence into.", OutputFolder, required=True)
@manifest_option
def command(rows: tuple[str, ...], out: Path, manifests: tuple[Path, ...]) -> None:
    """Write the evidence of rows that were evaluated here.

    Each row gets a folder; no model is run and no image is read. For a checkpoint file, and with
    the breakdown by training images, the evaluation writes it: mixzoo eval REF --evidence DIR.
    """
    from ...eval.kept import write_evidence

    catalog = open_catalog(manifests)
    for name in rows:
        folder = write_evidence(*catalog.row(name), out)
        say(f"Evidence: {folder}")
    check = command_line("eval", "check", out, *naming(manifests))
    say(f"Check it, here or elsewhere: {check}")
