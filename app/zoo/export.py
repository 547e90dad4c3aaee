"""`mixzoo zoo export`: weights as safetensors files."""

from pathlib import Path
from typing import Any

import click

from ...zoo.catalog import open_catalog
from ...zoo.errors import UsageError
from ..console import print_json, say
from ..options import OutputFolder, complete_names, json_option, manifest_option, option

LACKING = {  # what an export goes without where no row says it
    "timm": "config.json, which timm's local-dir: needs, and the line above doesn't",
    "onnx": "preprocessing and classes; its crop is the one that its notes tell, else 224",
}


@click.command("export")
@click.argument("refs", nargs=-1, required=True, metavar="REF...", shell_complete=complete_names)
@option(
    "--to DIR", "Folder that the files are written to.", OutputFolder, to="folder", required=True
)
@option("--row ROW", "The row that a checkpoint file belongs to.")
@option(
    "--part KEYS",
    "Which weights to take of a file that holds several, such as state_dict_ema; keys are joined "
    "by dots.",
)
@option(
    "--names NAMES",
    "Whose names the weights get: timm and torchvision load theirs as they are.",
    click.Choice(["mixzoo", "timm", "torchvision"]),
    default="mixzoo",
)
@option(
    "--head HEAD",
    "Head of AutoMix and SAMix whose classifier timm, torchvision or ONNX get.  [default: one_k]",
)
@option("--onnx", "Write ONNX networks instead (pip install 'mixzoo[onnx]').")
@option("--force", "Replace files that are already there.")
@manifest_option
@json_option
def command(
    refs: tuple[str, ...],
    folder: Path,
    row: str | None,
    part: str | None,
    names: Any,
    head: str | None,
    onnx: bool,
    force: bool,
    manifests: tuple[Path, ...],
    as_json: bool,
) -> None:
    """Write weights as safetensors.

    A REF is a row id (its weights are fetched if they aren't here) or a checkpoint file. Values
    stay as they are stored; the file's header says which file, with which sha256, they come from.
    With --part an averaged copy, or one of several networks in a file, becomes a file of its own,
    for all other commands. --names timm writes a folder of its own for each, ROW.timm, which holds
    timm's config.json too, with the row's pixels (a file's row is named by --row):
    timm.create_model("local-dir:DIR/ROW.timm", pretrained=True). --onnx writes ROW.onnx: images (batch, 3, crop, crop) to logits (batch,
    classes); its metadata hold the row's pixels and the names of the classes.
    """
    from ...zoo.checkpoint.export import export_all
    from ...zoo.checkpoint.peers import how_to_load
    from ...zoo.refs import resolve

    if row and len(refs) > 1:
        raise UsageError(
            f"--row {row}: expected one REF with it, got {len(refs)}. Export each by itself."
        )
    if onnx and names != "mixzoo":
        raise UsageError(f"--onnx: names no weights, so --names {names} has no use. Leave one out.")
    names = "onnx" if onnx else names
    catalog = open_catalog(manifests)
    written = []
    found = [resolve(ref, catalog, row_id=row) for ref in refs]
    for one in export_all(found, folder, part=part, names=names, head=head, force=force):
        facts = {"id": one.source, "path": str(one.path), "size": one.size, "sha256": one.sha256}
        written.append(facts | {"metadata": one.metadata})
        if not as_json:
            say(f"{one.source}: wrote {one.path} ({one.size:,} bytes)")
            say(f"  sha256 {one.sha256}")
            say(f"  from   {one.metadata['source_sha256']}  {one.metadata['source_file']}")
            if onnx:
                size = f"3, {one.metadata['crop']}, {one.metadata['crop']}"
                say(f"  input  images (batch, {size}) float32, normalised")
                say(f"  load   session = onnxruntime.InferenceSession({str(one.path)!r})")
            elif names != "mixzoo":
                network, classes = one.metadata["architecture"], int(one.metadata["num_classes"])
                say(f"  load   {how_to_load(names, network, classes, one.path)}")
            if names in LACKING and "benchmark" not in one.metadata:
                say(f"  lacks  {LACKING[names]}. Name its row: --row ROW", style="yellow")
    if as_json:
        print_json(written)
