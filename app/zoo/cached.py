"""What lies in the cache: where it is, whether it is intact, and what can go."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from ...zoo import signing
from ...zoo.cache import asset_path, cache_root
from ...zoo.catalog import Catalog, open_catalog
from ...zoo.errors import IntegrityError, UsageError, several
from ...zoo.lock import LOGS, Asset
from ...zoo.looks import command, counted, naming
from ...zoo.net.progress import byte_bar, tell
from ...zoo.prune import REASONS, Reason, removable, remove, unknown_folders
from ...zoo.refs import is_path
from ...zoo.shelf import files_of, known_assets
from ...zoo.verify import Finding, State, bytes_of, check_all, check_loose, set_aside
from ..console import print_json, print_table, say
from ..options import json_option, manifest_option, names_argument, option, signed_by_option


@click.command()
@names_argument
@manifest_option
@json_option
def where(names: tuple[str, ...], manifests: tuple[Path, ...], as_json: bool) -> None:
    """Print the paths of cached files, one a line.

    Without a NAME, the cache folder.
    """
    if not names:
        root = cache_root()
        print_json({"cache": root}) if as_json else say(str(root))
        return
    paths = [
        {"id": row.id, "kind": asset.kind, "path": path, "exists": path.is_file()}
        for benchmark, row in open_catalog(manifests).select(names)
        for asset in known_assets(benchmark, row)
        for path in [asset_path(benchmark.name, asset)]
    ]
    if not paths:
        raise UsageError(
            f"{', '.join(names)}: no file is locked yet, so none has a place. Lock the release "
            "first: mixzoo zoo lock BENCHMARK"
        )
    if as_json:
        print_json(paths)
    for entry in paths if not as_json else ():
        say(f"{entry['path']}{'' if entry['exists'] else '  (not downloaded)'}")


@click.command("verify")
@names_argument
@option("--quick", "Believe files unchanged since their last full check.")
@option("--set-aside", "Rename damaged files to NAME.damaged.", to="aside")
@signed_by_option
@manifest_option
@json_option
def verify(
    names: tuple[str, ...],
    quick: bool,
    aside: bool,
    signed_by: Path | None,
    manifests: tuple[Path, ...],
    as_json: bool,
) -> None:
    """Compare every byte of the cached files with the lock.

    Says of each file verified, damaged, not downloaded, trusted on first use (no lock knows its
    hash) or foreign (no lock knows it). --quick goes by size and time, which damage on the disk
    doesn't change. A NAME may also be a checkpoint file, which is held against all locks and its
    own checksums, or a folder, as of a repository, which is held against what mixzoo sign wrote
    into it. Exits with 5 if a file is damaged, if a signature doesn't hold, or if weights that were
    named aren't here, with 2 if a NAME has no file that is locked or here.
    """
    catalog = open_catalog(manifests)
    known = {*catalog.benchmarks, *(row.id for _, row in catalog)}
    paths = [Path(name) for name in names if name not in known and is_path(name)]
    folders = [path for path in paths if path.is_dir()]
    loose = [path for path in paths if path not in folders]
    names = tuple(name for name in names if Path(name) not in paths)
    if signed_by and (names or loose or not folders):
        raise UsageError(
            "--signed-by: expected signed folders alone as NAME. Leave the others out."
        )
    files = files_of(catalog, names) if names or not paths else []
    with byte_bar("verify", bytes_of(files)) as bar:
        found = check_all(files, quick=quick, on_bytes=bar.update)
    # Nothing was promised about files that nobody asked for: logs, or rows not named.
    findings = [
        (asset, finding)
        for (_, asset), finding in zip(files, found, strict=True)
        if finding.state is not State.ABSENT or (names and asset and asset.kind == "weights")
    ]
    unanswered = _unanswered(catalog, names, findings)
    findings += [check_loose(path, catalog) for path in loose]
    findings += [(None, signing.finding(folder, signed_by)) for folder in folders]
    if as_json:
        print_json([_facts(*one) for one in findings])
    elif findings:
        rows = [
            (asset.row if asset else "-", f.path.name, f.state.value, f.detail)
            for asset, f in findings
        ]
        print_table(("Row", "File", "State", "Detail"), rows, whole=("Row", "State"), cut="File")
    elif not (names or paths):
        say(f"No locked file has been downloaded to {cache_root()} yet.")
    mend = [(a, f) for a, f in findings if a and f.state in (State.DAMAGED, State.ABSENT)]
    bad = [finding for _, finding in mend]
    for finding in bad if aside else ():
        if finding.state is State.DAMAGED:
            tell(f"{finding.path.name}: set aside as {set_aside(finding.path).name}")
    if bad:
        raise IntegrityError(
            f"{len(bad)} of {len(findings)} files are damaged or not here: "
            f"{several(finding.path.name for finding in bad)}. "
            f"Run: {_download(catalog, [asset for asset, _ in mend])}"
        )
    if unanswered:
        raise UsageError(
            f"{', '.join(unanswered)}: no file is locked or here. Fetch it first: mixzoo zoo "
            "download NAME"
        )


@click.command("prune")
@names_argument
@option(
    "--only",
    "List only what can go for this reason, without NAME. Repeatable.",
    click.Choice(REASONS),
    multiple=True,
)
@option("--yes", "Remove what is listed.")
@manifest_option
@json_option
def prune(
    names: tuple[str, ...],
    only: tuple[Reason, ...],
    yes: bool,
    manifests: tuple[Path, ...],
    as_json: bool,
) -> None:
    """List what in the cache can go; remove it with --yes.

    partial: downloads that didn't end. damaged: set aside because their bytes were wrong.
    superseded: what an earlier lock knew, or a locked file has replaced. foreign: what no lock
    knows. orphaned note: what was remembered of a file that is gone. Intact files go only by NAME
    (a row or a benchmark). What a locked file was at its first use stays noted.
    """
    if names and only:
        raise UsageError(
            "--only chooses among left-over files; expected it without NAME. Leave NAME out."
        )
    catalog = open_catalog(manifests)
    items = removable(catalog, names, only or REASONS)
    freed = remove(items, catalog) if yes else sum(item.frees for item in items)
    if as_json:
        print_json({"removed": yes, "frees": freed, "files": items})
        return
    if items:
        print_table(
            ("File", "Benchmark", "Reason", "Frees (bytes)", "Detail"),
            [(i.path.name, i.benchmark, i.reason, f"{i.frees:,}", i.detail) for i in items],
            right=("Frees (bytes)",),
            optional=("Detail", "Benchmark"),
            cut="File",
        )
    if not items:
        say(f"Nothing in {cache_root()} needs to go.")
    elif yes:
        say(f"Removed {counted(len(items), 'file')}, {freed:,} bytes freed.")
    else:
        say(
            f"{counted(len(items), 'file')} can go, which frees {freed:,} bytes. To remove them, add --yes."
        )
    if others := [] if names else unknown_folders(catalog):
        say(f"No manifest here knows these, so they stay: {', '.join(others)}.")


def _download(catalog: Catalog, assets: Sequence[Asset]) -> str:
    """The command that fetches these files, whatever their kinds and benchmarks."""
    rows = dict.fromkeys(asset.row for asset in assets)
    kinds = {asset.kind for asset in assets}
    named = dict.fromkeys(path for row in rows for path in catalog.row(row)[0].named)
    options = ["--logs"] * bool(kinds & {*LOGS}) + ["--viz"] * ("visualisation" in kinds)
    return command("zoo", "download", *rows, *options, *naming(named))


def _unanswered(
    catalog: Catalog, names: Sequence[str], findings: Sequence[tuple[Asset | None, Finding]]
) -> list[str]:
    """The names that no finding is of: a row's, a benchmark's, or foreign to a benchmark."""
    told = {asset.row if asset else finding.path.parent.name for asset, finding in findings}
    return [n for n in names if not told & {n, *(row.id for _, row in catalog.select([n]))}]


def _facts(asset: Asset | None, finding: Finding) -> dict[str, Any]:
    return {
        "id": asset and asset.row,
        "kind": asset and asset.kind,
        "name": finding.path.name,
        "path": finding.path,
        "state": finding.state.value,
        "sha256": finding.sha256,
        "expected_sha256": asset and asset.sha256,
        "detail": finding.detail,
    }
