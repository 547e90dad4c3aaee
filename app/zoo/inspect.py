"""`mixzoo zoo inspect`: what a checkpoint file says of its own training."""

from pathlib import Path
from typing import Any

import click

from ...zoo.errors import UsageError
from ..console import print_json, say
from ..options import FilePath, json_option, manifest_option

SILENT = "says nothing of its training: no config, no epoch, no versions."


@click.command("inspect")
@click.argument("file", type=FilePath)
@click.option("--row", "row_id", metavar="ROW", help="Also compare with this row of a table.")
@manifest_option
@json_option
def command(file: Path, row_id: str | None, manifests: tuple[Path, ...], as_json: bool) -> None:
    """Show what a checkpoint FILE says of itself: method, epochs, protocol, data, versions.

    The training config inside is read as text, never run. With --row, differences from that row,
    its benchmark's recipe and its protocol are named. The notes are the author's word, not proof.
    """
    if not file.is_file():
        raise UsageError(f"{file}: expected a checkpoint file, but there is none.")
    content = {"file": str(file), **_claims(file, row_id, manifests)}
    if as_json:
        print_json(content)
        return
    facts = content["facts"]
    say(f"{file} {'says of itself:' if facts else SILENT}")
    width = max(map(len, facts), default=0)
    for name, text in facts.items():
        say(f"  {name:{width}}  {text}")
    for sentence in content["disagreements"]:
        say(sentence, style="yellow")
    if row_id and facts and not content["disagreements"]:
        say(f"Nothing of this differs from {row_id}.", style="green")


def _claims(file: Path, row_id: str | None, manifests: tuple[Path, ...]) -> dict[str, Any]:
    from ...eval.claims import claims
    from ...zoo.catalog import open_catalog
    from ...zoo.checkpoint.facts import training_facts
    from ...zoo.checkpoint.reading import read_checkpoint
    from ...zoo.checkpoint.words import in_words

    if row_id is None:
        facts = in_words(training_facts(read_checkpoint(file).meta))
        return {"facts": facts, "disagreements": []}
    benchmark, row = open_catalog(manifests).row(row_id)
    manifest = benchmark.manifest
    return claims(read_checkpoint(file).meta, manifest.protocol, row, manifest)
