"""`mixzoo zoo verify`: whether the files in the cache are the locked ones."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from ...zoo.cache import asset_path, cache_root
from ...zoo.catalog import Benchmark, Catalog, open_catalog
from ...zoo.errors import IntegrityError, UsageError
from ...zoo.lock import Asset
from ...zoo.net.progress import byte_bar
from ...zoo.verify import Finding, State, bytes_of, check_all, set_aside
from ..console import print_json, print_table, say
from ..options import json_option, manifest_option, names_argument


@dataclass(frozen=True)
class Subject:
    """A file to verify. asset: None if no lock knows it."""

    path: Path
    asset: Asset | None


@click.command("verify")
@names_argument
@click.option("--quick", is_flag=True, help="Believe files unchanged since their last full check.")
@click.option("--set-aside", "aside", is_flag=True, help="Rename damaged files to NAME.damaged.")
@manifest_option
@json_option
def command(
    names: tuple[str, ...], quick: bool, aside: bool, manifests: tuple[Path, ...], as_json: bool
) -> None:
    """Read every byte of the cached files and compare them with the lock.

    Says of each file verified, damaged, not downloaded, trusted on first use (no lock knows its
    hash) or foreign (no lock knows it). --quick goes by size and time, which damage on the disk
    doesn't change. Exits with 5 if a file is damaged, or if weights that were named aren't here.
    """
    verify(names, manifests, as_json=as_json, quick=quick, aside=aside)


def verify(
    names: Sequence[str],
    manifests: Sequence[Path] = (),
    *,
    as_json: bool = False,
    quick: bool = False,
    aside: bool = False,
) -> None:
    """Print the state of every file. Raises IntegrityError if one isn't what it has to be."""
    subjects = _subjects(open_catalog(manifests), names)
    files = [(subject.path, subject.asset) for subject in subjects]
    with byte_bar("verify", bytes_of(files)) as bar:
        found = check_all(files, quick=quick, on_bytes=bar.update)
    findings = [
        (subject.asset, finding)
        for subject, finding in zip(subjects, found, strict=True)
        if finding.state is not State.ABSENT or _promised(subject.asset, names)
    ]
    if names and not findings:
        raise UsageError(
            f"{', '.join(names)}: no file is locked or here, so there is nothing to verify."
        )
    _print(findings, as_json=as_json)
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


def _subjects(catalog: Catalog, names: Sequence[str]) -> list[Subject]:
    """All files of the rows named, and what else lies in the folders of benchmarks named."""
    from ...zoo.shelf import Role, known_assets, survey

    rows: dict[str, set[str]] = {}
    owners: dict[str, Benchmark] = {}
    for benchmark, row in catalog.select(names):
        owners[benchmark.name] = benchmark
        rows.setdefault(benchmark.name, set()).add(row.id)
    subjects = []
    for name, benchmark in owners.items():
        subjects += [
            Subject(asset_path(name, asset), asset)
            for asset in known_assets(benchmark)
            if asset.row in rows[name]
        ]
        if not names or name in names:
            strangers = (entry for entry in survey(benchmark) if entry.role is Role.FOREIGN)
            subjects += [Subject(entry.path, None) for entry in strangers]
    return subjects


def _promised(asset: Asset | None, names: Sequence[str]) -> bool:
    """Nothing was promised about files that nobody asked for: logs, or rows not named."""
    return bool(names) and asset is not None and asset.kind == "weights"


def _print(findings: Sequence[tuple[Asset | None, Finding]], *, as_json: bool) -> None:
    if as_json:
        print_json(
            [
                {
                    "id": asset and asset.row,
                    "kind": asset and asset.kind,
                    "name": finding.path.name,
                    "path": str(finding.path),
                    "state": finding.state.value,
                    "sha256": finding.sha256,
                    "expected_sha256": asset and asset.sha256,
                    "detail": finding.detail,
                }
                for asset, finding in findings
            ]
        )
    elif findings:
        rows = [
            (asset.row if asset else "-", f.path.name, f.state.value, f.detail)
            for asset, f in findings
        ]
        print_table(("Row", "File", "State", "Detail"), rows)
    else:
        say(f"No locked file has been downloaded to {cache_root()} yet.")
