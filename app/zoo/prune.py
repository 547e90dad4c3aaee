"""`mixzoo zoo prune`: what in the cache can go, and how much that frees."""

from pathlib import Path

import click

from ...zoo.cache import cache_root
from ...zoo.catalog import open_catalog
from ...zoo.errors import UsageError
from ...zoo.prune import REASONS, Reason, removable, remove, unknown_folders
from ..console import print_json, print_table, say
from ..options import json_option, manifest_option, names_argument


@click.command("prune")
@names_argument
@click.option(
    "--only",
    multiple=True,
    type=click.Choice(REASONS),
    help="Without NAME, only what can go for this reason. Repeatable.",
)
@click.option("--yes", is_flag=True, help="Remove it; without this, it is only listed.")
@manifest_option
@json_option
def command(
    names: tuple[str, ...],
    only: tuple[Reason, ...],
    yes: bool,
    manifests: tuple[Path, ...],
    as_json: bool,
) -> None:
    """List what in the cache can go; remove it with --yes.

    partial: downloads that didn't end. damaged: set aside because their bytes were wrong.
    superseded: what an earlier lock knew, or a locked file has replaced. foreign: what no lock
    knows. Intact files go only by NAME (a row or a benchmark).
    """
    if names and only:
        raise UsageError("--only chooses among left-over files; expected it without NAME.")
    catalog = open_catalog(manifests)
    items = removable(catalog, names, only or REASONS)
    freed = remove(items, catalog) if yes else sum(item.frees for item in items)
    if as_json:
        files = [
            {
                "path": str(item.path),
                "benchmark": item.benchmark,
                "reason": item.reason,
                "frees": item.frees,
                "detail": item.detail,
            }
            for item in items
        ]
        print_json({"removed": yes, "frees": freed, "files": files})
        return
    if items:
        print_table(
            ("File", "Benchmark", "Reason", "Frees (bytes)", "Detail"),
            [(i.path.name, i.benchmark, i.reason, f"{i.frees:,}", i.detail) for i in items],
            right=("Frees (bytes)",),
            optional=("Detail",),
        )
    if not items:
        say(f"Nothing in {cache_root()} needs to go.")
    elif yes:
        say(f"Removed {len(items)} files, {freed:,} bytes freed.")
    else:
        say(f"{len(items)} files can go, which frees {freed:,} bytes. To remove them, add --yes.")
    if others := [] if names else unknown_folders(catalog):
        say(f"Not looked at, since no manifest here knows them: {', '.join(others)}.")
