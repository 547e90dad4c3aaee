"""`mixzoo zoo import`: takes files that were downloaded by hand into the cache."""

from collections.abc import Sequence
from pathlib import Path

import click

from ...zoo.catalog import open_catalog
from ...zoo.errors import IntegrityError, SourceError, UsageError
from ...zoo.files import size_of
from ...zoo.net.progress import Progress
from ...zoo.release.by_hand import Adoption, find_files, import_files
from ...zoo.release.placing import Mode
from ..console import print_json, print_table
from ..options import FilePath, json_option, manifest_option


@click.command("import")
@click.argument("paths", nargs=-1, required=True, type=FilePath, metavar="PATH...")
@click.option("--benchmark", metavar="NAME", help="The benchmark that the files belong to.")
@click.option("--row", metavar="ROW", help="The row that the files belong to, if you know it.")
@click.option(
    "--link", "mode", flag_value=Mode.LINK, type=Mode, help="Adopt by hard link only, or fail."
)
@click.option(
    "--copy", "mode", flag_value=Mode.COPY, type=Mode, help="Copy; default: link where possible."
)
@manifest_option
@json_option
def command(
    paths: tuple[Path, ...],
    benchmark: str | None,
    row: str | None,
    mode: Mode | None,
    manifests: tuple[Path, ...],
    as_json: bool,
) -> None:
    """Take files or folders that you downloaded by hand (from Baidu Cloud, a disk) into the cache.

    A file is recognised by its hash against all locks, else by its name; what differs from a
    locked hash is refused. A file that no lock vouches for is trusted on first use: its hash is
    noted, and a later change is corruption. Exits with 5 if a file is damaged, else with 2 if one
    isn't recognised.
    """
    files = find_files(paths)
    if not files:
        raise UsageError(f"{', '.join(map(str, paths))}: expected files, got none.")
    catalog = open_catalog(manifests)
    with Progress().bar("recognise", sum(map(size_of, files)), 0) as bar:
        adoptions = import_files(
            files,
            catalog,
            benchmark=benchmark,
            row=row,
            mode=mode or Mode.AUTO,
            on_bytes=bar.update,
        )
    _print(adoptions, as_json=as_json)
    _require_all(adoptions)


def _print(adoptions: Sequence[Adoption], *, as_json: bool) -> None:
    if as_json:
        print_json(
            [
                {
                    "file": str(a.file),
                    "result": a.what,
                    "detail": a.detail,
                    "id": a.row,
                    "kind": a.kind,
                    "path": a.path and str(a.path),
                    "sha256": a.sha256,
                    "locked": a.locked,
                }
                for a in adoptions
            ]
        )
        return
    trust = "; no locked hash, trusted on first use"
    print_table(
        ("File", "Result", "Row", "Kind", "Detail"),
        [
            (
                a.file.name,
                a.what,
                a.row or "-",
                a.kind or "-",
                a.detail + ("" if a.locked or a.error else trust),
            )
            for a in adoptions
        ],
        optional=("Kind",),
    )


def _require_all(adoptions: Sequence[Adoption]) -> None:
    """Raise the gravest of what went wrong, naming the files."""
    for kind in (IntegrityError, SourceError, UsageError):
        bad = [a for a in adoptions if a.error is kind]
        if bad:
            refused = sum(a.error is not None for a in adoptions)
            raise kind(
                f"{refused} of {len(adoptions)} files were refused. "
                f"{bad[0].file.name}: {bad[0].detail}."
            )
