"""`mixzoo zoo export`: weights as safetensors files."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ...zoo.catalog import open_catalog
from ...zoo.errors import UsageError
from ..console import print_json, say
from ..options import FilePath, json_option, manifest_option

if TYPE_CHECKING:
    from ...zoo.checkpoint.export import Exported


@click.command("export")
@click.argument("refs", nargs=-1, required=True, metavar="REF...")
@click.option("--to", "folder", type=FilePath, required=True, metavar="DIR", help="Write here.")
@click.option("--row", metavar="ROW", help="The row that a checkpoint file belongs to.")
@click.option("--force", is_flag=True, help="Replace files that are already there.")
@manifest_option
@json_option
def command(
    refs: tuple[str, ...],
    folder: Path,
    row: str | None,
    force: bool,
    manifests: tuple[Path, ...],
    as_json: bool,
) -> None:
    """Write the weights of rows or checkpoint files as safetensors.

    A REF is a row id (its weights are fetched if they aren't here) or a checkpoint file. Values
    stay as they are stored; the file's header says which file, with which sha256, they come from.
    """
    from ...zoo.checkpoint.export import export, export_name
    from ...zoo.refs import resolve

    if row and len(refs) > 1:
        raise UsageError(f"--row {row}: expected one REF with it, got {len(refs)}.")
    catalog = open_catalog(manifests)
    sources = [resolve(ref, catalog, row_id=row) for ref in refs]
    targets = [folder / export_name(source) for source in sources]
    if twice := next((path for path in targets if targets.count(path) > 1), None):
        raise UsageError(f"{twice}: two REFs would get this name. Export them to two folders.")
    written = []
    for source, path in zip(sources, targets, strict=True):
        exported = export(source, path, force=force)
        written.append(_facts(source.name, exported))
        if not as_json:
            _print(source.name, exported)
    if as_json:
        print_json(written)


def _facts(name: str, exported: "Exported") -> dict[str, Any]:
    return {
        "id": name,
        "path": str(exported.path),
        "size": exported.size,
        "sha256": exported.sha256,
        "metadata": exported.metadata,
    }


def _print(name: str, exported: "Exported") -> None:
    say(f"{name}: wrote {exported.path} ({exported.size:,} bytes)")
    say(f"  sha256 {exported.sha256}")
    say(f"  from   {exported.metadata['source_sha256']}  {exported.metadata['source_file']}")
