"""`mixzoo zoo inspect`: what a checkpoint file says of its own training."""

from pathlib import Path

import click

from ...zoo.errors import CheckpointError
from ..console import print_json, say
from ..options import complete_names, json_option, manifest_option, option

SILENT = "says nothing of its training: no config, no epoch, no versions."


@click.command("inspect")
@click.argument("ref", metavar="FILE|ROW", shell_complete=complete_names)
@option("--row ROW", "Also compare with this row of a table.", to="row_id")
@manifest_option
@json_option
def command(ref: str, row_id: str | None, manifests: tuple[Path, ...], as_json: bool) -> None:
    """Show what the checkpoint of a FILE or ROW says and holds.

    That is its method, epochs, protocol, data and versions. The training config inside is read as
    text, never run. With --row, differences from that row, from how its table was trained and from
    its protocol are named; a ROW's file, fetched if it isn't here, is compared with its own. The
    notes are the author's word, not proof. Of the weights, the network is told, and what they
    aren't though they seem to be: stored in half precision, an averaged copy, not numbers at all.
    """
    from ...zoo.catalog import open_catalog
    from ...zoo.checkpoint.claims import claims
    from ...zoo.checkpoint.load import examine
    from ...zoo.checkpoint.reading import read_checkpoint
    from ...zoo.refs import is_path, resolve
    from ...zoo.verify import check_loose

    catalog = open_catalog(manifests)
    file = resolve(ref, catalog).path
    checkpoint, row_id = read_checkpoint(file), row_id or (None if is_path(ref) else ref)
    released, finding = check_loose(file, catalog)
    benchmark, row = catalog.row(row_id) if row_id else (None, None)
    manifest = benchmark and benchmark.manifest
    found = claims(checkpoint.meta, manifest and manifest.protocol, row, manifest)
    facts, weights = dict(found.facts), None
    try:
        model, _ = examine(checkpoint, row, manifest and manifest.dataset.num_classes)
    except CheckpointError as error:
        remarks = [f"The weights can't be used: {error}"]
    else:
        weights = f"a {model.architecture} with {model.num_classes} classes (heads: {', '.join(model.heads)})"
        remarks = [f"{text[:1].upper()}{text[1:]}." for text in model.remarks]
    if as_json:
        print_json(
            {
                "file": str(file),
                "sha256": finding.sha256,
                "released": released and released.name,
                "facts": facts,
                "disagreements": found.disagreements,
                "weights": weights,
                "remarks": remarks,
            }
        )
        return
    say(f"{file} {'says of itself:' if facts else SILENT}")
    width = max(map(len, facts), default=0)
    for name, text in facts.items():
        say(f"  {name:{width}}  {text}")
    say(f"The file {finding.detail}." if released else "No table's lock knows these bytes.")
    if weights:
        say(f"Its weights are {weights}.")
    for sentence in (*remarks, *found.disagreements):
        say(sentence, style="yellow")
    if row_id and facts and not (remarks or found.disagreements):
        say(f"Nothing of this differs from {row_id}.", style="green")
