"""`mixzoo zoo inspect`: what a checkpoint file says of its own training."""

from pathlib import Path

import click

from ..console import print_json, say
from ..options import json_option, manifest_option

SILENT = "says nothing of its training: no config, no epoch, no versions."


@click.command("inspect")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--row", "row_id", metavar="ROW", help="Also compare with this row of a table.")
@manifest_option
@json_option
def command(file: Path, row_id: str | None, manifests: tuple[Path, ...], as_json: bool) -> None:
    """Show what a checkpoint FILE says of itself.

    That is its method, epochs, protocol, data and versions. The training config inside is read as
    text, never run. With --row, differences from that row, from how its table was trained and from
    its protocol are named. The notes are the author's word, not proof.
    """
    from ...zoo.catalog import open_catalog
    from ...zoo.checkpoint.claims import claims
    from ...zoo.checkpoint.reading import read_checkpoint

    meta = read_checkpoint(file).meta
    if row_id is None:
        found = claims(meta)
    else:
        benchmark, row = open_catalog(manifests).row(row_id)
        found = claims(meta, benchmark.manifest.protocol, row, benchmark.manifest)
    facts, disagreements = found.facts, found.disagreements
    if as_json:
        print_json({"file": str(file), "facts": facts, "disagreements": disagreements})
        return
    say(f"{file} {'says of itself:' if facts else SILENT}")
    width = max(map(len, facts), default=0)
    for name, text in facts.items():
        say(f"  {name:{width}}  {text}")
    for sentence in disagreements:
        say(sentence, style="yellow")
    if row_id and facts and not disagreements:
        say(f"Nothing of this differs from {row_id}.", style="green")
