"""`mixzoo zoo verify`: whether the files in the cache are the locked ones."""

from pathlib import Path

import click

from ...zoo.cache import cache_root
from ...zoo.catalog import open_catalog
from ...zoo.errors import IntegrityError, UsageError
from ...zoo.lock import Asset
from ...zoo.net.progress import byte_bar
from ...zoo.shelf import files_of
from ...zoo.verify import Finding, State, bytes_of, check_all, set_aside
from ..console import print_json, print_table, say
from ..options import json_option, manifest_option, names_argument


@click.command("verify")
@names_argument
@click.option("--quick", is_flag=True, help="Believe files unchanged since their last full check.")
@click.option("--set-aside", "aside", is_flag=True, help="Rename damaged files to NAME.damaged.")
@manifest_option
@json_option
def command(
    names: tuple[str, ...], quick: bool, aside: bool, manifests: tuple[Path, ...], as_json: bool
) -> None:
    """Compare every byte of the cached files with the lock.

    Says of each file verified, damaged, not downloaded, trusted on first use (no lock knows its
    hash) or foreign (no lock knows it). --quick goes by size and time, which damage on the disk
    doesn't change. Exits with 5 if a file is damaged, or if weights that were named aren't here.
    """
    files = files_of(open_catalog(manifests), names)
    with byte_bar("verify", bytes_of(files)) as bar:
        found = check_all(files, quick=quick, on_bytes=bar.update)
    # Nothing was promised about files that nobody asked for: logs, or rows not named.
    findings = [
        (asset, finding)
        for (_, asset), finding in zip(files, found, strict=True)
        if finding.state is not State.ABSENT or (names and asset and asset.kind == "weights")
    ]
    if names and not findings:
        raise UsageError(
            f"{', '.join(names)}: no file is locked or here, so there is nothing to verify."
        )
    if as_json:
        print_json([_facts(*one) for one in findings])
    elif findings:
        rows = [
            (asset.row if asset else "-", f.path.name, f.state.value, f.detail)
            for asset, f in findings
        ]
        print_table(("Row", "File", "State", "Detail"), rows)
    else:
        say(f"No locked file has been downloaded to {cache_root()} yet.")
    bad = [f for _, f in findings if f.state in (State.DAMAGED, State.ABSENT)]
    for finding in bad if aside else ():
        if finding.state is State.DAMAGED:
            click.echo(f"{finding.path.name}: now {set_aside(finding.path).name}", err=True)
    if bad:
        raise IntegrityError(
            f"{len(bad)} of {len(findings)} files are damaged or not here: "
            f"{', '.join(finding.path.name for finding in bad[:3])}. "
            f"Run: mixzoo zoo download {' '.join(names or ['NAME'])}"
        )


def _facts(asset: Asset | None, finding: Finding) -> dict[str, str | None]:
    return {
        "id": asset and asset.row,
        "kind": asset and asset.kind,
        "name": finding.path.name,
        "path": str(finding.path),
        "state": finding.state.value,
        "sha256": finding.sha256,
        "expected_sha256": asset and asset.sha256,
        "detail": finding.detail,
    }
