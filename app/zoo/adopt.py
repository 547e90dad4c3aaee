"""`mixzoo zoo import`: takes files that were downloaded by hand into the cache."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from ...zoo.catalog import open_catalog
from ...zoo.errors import CheckpointError, IntegrityError, SourceError, UsageError
from ...zoo.files import size_of
from ...zoo.net.progress import byte_bar
from ...zoo.release.by_hand import Adoption, find_files, import_files
from ..console import print_json, print_table, say
from ..options import FilePath, json_option, manifest_option, option

UNLOCKED = "; no locked hash, trusted on first use"


@click.command("import")
@click.argument("paths", nargs=-1, required=True, type=FilePath, metavar="PATH...")
@option("--benchmark NAME", "The benchmark that the files belong to.")
@option("--row ROW", "The row that the files belong to, if you know it.")
@option("--copy", "Copy the files, even where a hard link would do.", to="as_copies")
@manifest_option
@json_option
def command(
    paths: tuple[Path, ...],
    benchmark: str | None,
    row: str | None,
    as_copies: bool,
    manifests: tuple[Path, ...],
    as_json: bool,
) -> None:
    """Take files that you downloaded by hand into the cache.

    From Baidu Cloud, from a colleague's disk; folders are looked through, and archives (zip, tar,
    tar.gz) of weights or logs opened. A file is recognised by its hash against all locks, else by
    its name, its folders and what it holds; what differs from a locked hash is refused. A file that
    no lock vouches for is trusted on first use: its hash is noted, and a later change is
    corruption; weights are opened, and must be the network of their row. Exits with 5 if a file is
    damaged, else with 6 if weights aren't their row's, else with 2 if one isn't recognised.
    """
    files = find_files(paths)
    if not files:
        raise UsageError(
            f"{', '.join(map(str, paths))}: expected files, got none. Name files, or folders that "
            "hold some."
        )
    catalog = open_catalog(manifests)
    with byte_bar("recognise", sum(map(size_of, files))) as bar:
        adoptions = import_files(
            files,
            catalog,
            benchmark=benchmark,
            row=row,
            as_copies=as_copies,
            on_bytes=bar.update,
        )
    facts = [_facts(adoption) for adoption in adoptions]
    bad = [adoption for adoption in adoptions if adoption.error]
    if as_json:
        print_json(facts)
    else:
        print_table(
            ("File", "Result", "Row", "Kind", "Detail"),
            [
                (
                    name,
                    one["result"],
                    one["id"] or "-",
                    one["kind"] or "-",
                    "see below"
                    if one["result"] == "refused"
                    else one["detail"] + (UNLOCKED if one["path"] and not one["locked"] else ""),
                )
                for name, one in zip(_names(adoptions), facts, strict=True)
            ],
            whole=("Row",),
            optional=("Kind",),
        )
        for name, one in zip(_names(adoptions), adoptions, strict=True):
            if one.error and len(bad) > 1:  # on lines of its own, which break no command
                say(f"{name}: {one.detail}")
    for gravest in (IntegrityError, CheckpointError, SourceError, UsageError):
        for adoption in bad:
            if adoption.error is gravest:
                raise gravest(
                    f"{len(bad)} of {len(adoptions)} files were refused. "
                    f"{adoption.file.name}: {adoption.detail}"
                )


def _names(adoptions: Sequence[Adoption]) -> list[str]:
    """File names, with their folder where two have the same."""
    names = Counter(adoption.file.name for adoption in adoptions)
    folders = {one.file: f"{one.file.parent.name}/{one.file.name}" for one in adoptions}
    return [folders[one.file] if names[one.file.name] > 1 else one.file.name for one in adoptions]


def _facts(adoption: Adoption) -> dict[str, Any]:
    asset, path = adoption.asset, adoption.path
    return {
        "file": adoption.file,
        "result": adoption.what,
        "detail": adoption.detail,
        "id": asset and asset.row,
        "kind": asset and asset.kind,
        "path": path,
        "sha256": adoption.sha256,
        "locked": bool(asset and asset.sha256),
    }
