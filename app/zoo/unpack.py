"""`mixzoo zoo unpack`: a release's zips of visualisations, listed or unpacked safely."""

from collections.abc import Sequence
from pathlib import Path

import click
import msgspec

from ...zoo.archive import list_archive, unpack
from ...zoo.catalog import open_catalog
from ...zoo.errors import UsageError
from ...zoo.looks import counted
from ..console import print_json, print_table, say
from ..options import FilePath, complete_names, json_option, manifest_option, option


@click.command("unpack")
@click.argument(
    "refs", nargs=-1, required=True, metavar="ROW|FILE...", shell_complete=complete_names
)
@option(
    "--to DIR",
    "Unpack each archive into a folder of its own in this one.",
    FilePath,
    default=Path(),
)
@option("--list", "Only say what the archives hold.", to="only_list")
@manifest_option
@json_option
def command(
    refs: tuple[str, ...], to: Path, only_list: bool, manifests: tuple[Path, ...], as_json: bool
) -> None:
    """Unpack released visualisations, or zip and tar files.

    Each into a folder of its own name. An archive with one unsafe entry (an absolute path, `..`, a
    link, a device, a name that stands twice), or that would grow too much, is refused whole;
    nothing is left half-unpacked.
    """
    from ...zoo.refs import visualisations

    catalog = open_catalog(manifests)
    archives = [path for ref in refs for path in visualisations(ref, catalog)]
    if only_list:
        _list(archives, as_json=as_json)
        return
    targets = {path: to / path.stem for path in archives}
    if len(set(targets.values())) < len(targets):
        raise UsageError("Two zips have one name; unpack them with a --to of their own.")
    done = []
    for path, target in targets.items():
        files = unpack(path, target)
        done.append({"archive": path, "folder": target, "files": len(files)})
        if not as_json:
            say(f"{path.name}: {counted(len(files), 'file')} in {target}")
    if as_json:
        print_json(done)


def _list(archives: Sequence[Path], *, as_json: bool) -> None:
    listed = [(path, list_archive(path)) for path in archives]
    if as_json:
        print_json([{"archive": path} | msgspec.to_builtins(c) for path, c in listed])
        return
    for path, content in listed:
        rows = [(e.name, f"{e.size:,}", e.unsafe or "") for e in content.entries]
        print_table(("Entry", "Bytes", "Unsafe"), rows, right=("Bytes",))
        total = sum(entry.size for entry in content.entries)
        state = f"will not be unpacked: {content.refused}" if content.refused else "can be unpacked"
        say(f"{path.name}: {len(rows)} entries, {total:,} bytes unpacked; {state}.")
