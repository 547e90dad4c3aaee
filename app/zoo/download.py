"""`mixzoo zoo download`: have released files in the cache."""

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import click

from ...zoo import shelf
from ...zoo.cache import asset_path
from ...zoo.catalog import Benchmark, Catalog, open_catalog
from ...zoo.errors import MixzooError, SourceError, several
from ...zoo.lock import LOGS, Asset, Kind
from ...zoo.manifest import Row
from ...zoo.net.fetch import JOBS, fetch_all
from ...zoo.net.partial import Partial
from ...zoo.net.progress import tell
from ...zoo.net.sources import locations
from ...zoo.release.learn import files_of_row
from ...zoo.shelf import known_assets
from ..console import print_json, say
from ..options import complete_names, json_option, manifest_option, option


@click.command("download")
@click.argument("names", nargs=-1, required=True, metavar="NAME...", shell_complete=complete_names)
@option("--logs", "Also fetch the training logs.")
@option("--viz", "Also fetch the archives of visualisations.")
@option("--jobs", "How many files to fetch at once.", click.IntRange(1, 32), default=JOBS)
@option(
    "--mirror URL",
    "Look here first: the web address of a folder with the files. Repeatable.",
    to="mirrors",
    multiple=True,
)
@option("--dry-run", "Only say what would be fetched, and from where.")
@manifest_option
@json_option
def command(
    names: tuple[str, ...],
    logs: bool,
    viz: bool,
    jobs: int,
    mirrors: tuple[str, ...],
    dry_run: bool,
    manifests: tuple[Path, ...],
    as_json: bool,
) -> None:
    """Download released weights, resumed and verified.

    A NAME is a row id or a benchmark. Names of files that no lock knows yet are asked of the
    release. All is hashed while it streams, and moved into place only when right. Interrupt it at
    any time: the same command goes on. One bad file doesn't stop the others. A source that wants to
    be waited for, or crawls, is left for the next. Tokens are read from GITHUB_TOKEN or GH_TOKEN,
    and HF_TOKEN; MIXZOO_OFFLINE=1 forbids the network.
    """
    kinds = [("weights",), *[LOGS] * logs, *[("visualisation",)] * viz]
    catalog = open_catalog(manifests).mirrored(mirrors)
    rows = catalog.select(names)
    if dry_run:
        _show_plan(rows, [kind for group in kinds for kind in group], as_json=as_json)
        return
    wanted, errors = _wanted(rows, catalog, kinds)
    errors += _fetch(wanted, jobs, as_json=as_json)
    if len(errors) > 1:
        errors[0].args = (f"{len(errors)} files failed, the first: {errors[0]}",)
    if errors:
        raise errors[0]


def _wanted(
    rows: Sequence[tuple[Benchmark, Row]], catalog: Catalog, kinds: Sequence[tuple[Kind, ...]]
) -> tuple[list[tuple[Benchmark, Asset]], list[MixzooError]]:
    """The files of the rows, and an error for each row whose weights can't be named."""
    wanted: list[tuple[Benchmark, Asset]] = []
    errors: list[MixzooError] = []
    for group in kinds:
        without = []
        for _, row in rows:
            try:
                benchmark, _, assets = files_of_row(catalog, row.id, group)
                wanted += [(benchmark, asset) for asset in assets]
            except SourceError as error:
                if "weights" in group:
                    errors.append(error)
                without.append(row.id)
        if without and "weights" not in group:
            tell(f"No {group[0]} is known of {several(without)}.")
    return wanted, errors


def _fetch(
    wanted: Sequence[tuple[Benchmark, Asset]], jobs: int, *, as_json: bool
) -> list[MixzooError]:
    """Fetch all, saying of each what was done, and return the errors."""
    from tqdm import tqdm

    facts, errors = [], []
    with closing(fetch_all(wanted, jobs=jobs)) as fetched:
        for one in fetched:
            said = str(one.error) if one.error else None
            facts.append(
                _facts(one.asset, one.path) | {"done": one.done or "failed", "error": said}
            )
            if one.error:
                errors.append(one.error)
            elif not as_json:
                size = one.path.stat().st_size
                with tqdm.external_write_mode():  # the bar steps aside
                    say(f"{one.asset.row}: {one.done}, {one.path} ({size:,} bytes)")
    if as_json:
        print_json(facts)
    return errors


def _show_plan(
    rows: Sequence[tuple[Benchmark, Row]], kinds: Sequence[Kind], *, as_json: bool
) -> None:
    """Say what would be fetched. Asks no server, reads no weights, writes nothing."""
    plan: list[dict[str, Any]] = []
    unnamed = [row.id for benchmark, row in rows if not shelf.file(benchmark, row).asset]
    known = [
        (benchmark, asset) for benchmark, row in rows for asset in known_assets(benchmark, row)
    ]
    for benchmark, asset in known:
        if asset.kind not in kinds:
            continue
        found, path = shelf.of_asset(benchmark, asset), asset_path(benchmark.name, asset)
        plan.append(
            _facts(asset, path)
            | {"state": found.state.value, "to_fetch": not found.is_here, "size": asset.size}
            | {"received": asset.size if found.is_here else Partial(path).received}
            | {"sources": [str(place) for place in locations(benchmark, asset)]}
        )
    if as_json:
        print_json(plan)
        return
    for one in plan:
        size = "?" if one["size"] is None else f"{one['size']:,}"
        had = f"{one['received']:,} of " if one["to_fetch"] and one["received"] else ""
        say(f"{one['id']}: {one['state']}, {one['path']} ({had}{size} bytes)")
        for place in one["sources"] if one["to_fetch"] else ():
            say(f"  from {place}")
    left = [(one["size"] or 0) - one["received"] for one in plan if one["to_fetch"]]
    say(f"{len(left)} of {len(plan)} files to fetch, {sum(left):,} bytes.")
    if unnamed:
        say(f"The release would be asked first for the files of {several(unnamed)}.")


def _facts(asset: Asset, path: Path) -> dict[str, Any]:
    return {"id": asset.row, "kind": asset.kind, "name": asset.name, "path": str(path)}
