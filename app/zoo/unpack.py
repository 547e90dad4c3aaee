"""`mixzoo zoo unpack`: a release's visualisation archives, listed or unpacked safely."""

from collections.abc import Sequence
from pathlib import Path

import click

from ...zoo.archive import DEFAULT, list_archive, unpack
from ...zoo.archive_rules import Limits
from ...zoo.catalog import open_catalog
from ...zoo.errors import UsageError
from ..archives import shown, visualisations
from ..console import print_json, print_table, say
from ..options import FilePath, json_option, manifest_option

SUFFIXES = (".zip", ".tar.gz", ".tgz", ".tar")


@click.command("unpack")
@click.argument("refs", nargs=-1, required=True, metavar="ROW|FILE...")
@click.option(
    "--to", type=FilePath, default=Path(), metavar="DIR", help="Each archive in a folder below."
)
@click.option("--list", "only_list", is_flag=True, help="Only say what the archives hold.")
@click.option(
    "--max-files", type=int, default=DEFAULT.files, show_default=True, help="Entries allowed."
)
@click.option(
    "--max-size", type=int, default=DEFAULT.size, show_default=True, help="Unpacked bytes allowed."
)
@click.option(
    "--max-ratio", type=float, default=DEFAULT.ratio, show_default=True, help="Growth allowed."
)
@manifest_option
@json_option
def command(
    refs: tuple[str, ...],
    to: Path,
    only_list: bool,
    max_files: int,
    max_size: int,
    max_ratio: float,
    manifests: tuple[Path, ...],
    as_json: bool,
) -> None:
    """Unpack the visualisations of rows, or archive files (zip, tar, tar.gz), into folders.

    An archive with one unsafe entry (an absolute path, `..`, a link, a device, a name that stands
    twice), or that would grow too much, is refused whole; nothing is left half-unpacked.
    """
    limits = Limits(max_files, max_size, max_ratio)
    catalog = open_catalog(manifests)
    archives = [path for ref in refs for path in visualisations(ref, catalog, SUFFIXES)]
    targets = {path: to / _stem(path) for path in archives}
    if len(set(targets.values())) < len(targets) and not only_list:
        raise UsageError("Two archives have one name; unpack them with a --to of their own.")
    if only_list:
        _list(archives, limits, as_json=as_json)
        return
    done = []
    for path, target in targets.items():
        files = unpack(path, target, limits)
        done.append({"archive": str(path), "folder": str(target), "files": len(files)})
        if not as_json:
            say(f"{path.name}: {len(files)} files in {target}")
    if as_json:
        print_json(done)


def _stem(path: Path) -> str:
    name = path.name
    suffix = next((end for end in SUFFIXES if name.lower().endswith(end)), path.suffix)
    return name[: len(name) - len(suffix)] or name


def _list(archives: Sequence[Path], limits: Limits, *, as_json: bool) -> None:
    listed = [(path, list_archive(path, limits)) for path in archives]
    if as_json:
        print_json(
            [
                {
                    "archive": str(path),
                    "refused": content.refused,
                    "entries": [
                        {
                            "name": entry.name,
                            "size": entry.size,
                            "packed": entry.packed,
                            "folder": entry.is_folder,
                            "unsafe": entry.unsafe,
                        }
                        for entry in content.entries
                    ],
                }
                for path, content in listed
            ]
        )
        return
    for path, content in listed:
        rows = [(shown(e.name), f"{e.size:,}", e.unsafe or "") for e in content.entries]
        print_table(("Entry", "Bytes", "Unsafe"), rows, right=("Bytes",))
        total = sum(entry.size for entry in content.entries)
        state = f"will not be unpacked: {content.refused}" if content.refused else "can be unpacked"
        say(f"{path.name}: {len(rows)} entries, {total:,} bytes unpacked; {state}.")
