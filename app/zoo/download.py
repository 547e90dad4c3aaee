"""`mixzoo zoo download`: have released files in the cache."""

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import click

from ...zoo.cache import asset_path
from ...zoo.catalog import Benchmark, open_catalog
from ...zoo.errors import MixzooError, SourceError
from ...zoo.lock import LOGS, Asset, Kind
from ...zoo.net.fetch import CONNECTIONS, JOBS, fetch_all
from ...zoo.net.partial import Partial
from ...zoo.net.sources import locations
from ...zoo.shelf import of_asset, weights_of
from ..console import print_json, say
from ..options import json_option, manifest_option


@click.command("download")
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@click.option("--logs", is_flag=True, help="Also fetch the training logs.")
@click.option("--viz", is_flag=True, help="Also fetch the archives of visualisations.")
@click.option(
    "--jobs",
    type=click.IntRange(1, 32),
    default=JOBS,
    show_default=True,
    help="How many files to fetch at once.",
)
@click.option(
    "--connections",
    type=click.IntRange(1, 32),
    default=CONNECTIONS,
    show_default=True,
    help="How many ranges of one file to fetch at once, where the server can.",
)
@click.option("--dry-run", is_flag=True, help="Only say what would be fetched, and from where.")
@manifest_option
@json_option
def command(
    names: tuple[str, ...],
    logs: bool,
    viz: bool,
    jobs: int,
    connections: int,
    dry_run: bool,
    manifests: tuple[Path, ...],
    as_json: bool,
) -> None:
    """Download released weights, resumed and verified.

    They are hashed while they stream, and moved into place only when right. A NAME is a row id or a
    benchmark. Interrupt it at any time: the same command goes on. One bad file doesn't stop the
    others. Tokens are read from GITHUB_TOKEN or GH_TOKEN, and HF_TOKEN; MIXZOO_OFFLINE=1 forbids
    the network.
    """
    kinds: set[Kind] = {"weights"}
    kinds |= set(LOGS) if logs else set()
    kinds |= {"visualisation"} if viz else set()
    wanted, errors = _wanted(names, manifests, kinds)
    if dry_run:
        _show_plan(wanted, as_json=as_json)
    else:
        errors += _fetch(wanted, jobs, connections, as_json=as_json)
    if len(errors) > 1:
        raise type(errors[0])(f"{len(errors)} files failed, the first: {errors[0]}")
    if errors:
        raise errors[0]


def _wanted(
    names: Sequence[str], manifests: Sequence[Path], kinds: set[Kind]
) -> tuple[list[tuple[Benchmark, Asset]], list[MixzooError]]:
    """The locked assets of the rows, and an error for each row whose weights aren't locked."""
    wanted: list[tuple[Benchmark, Asset]] = []
    errors: list[MixzooError] = []
    for benchmark, row in open_catalog(manifests).select(names):
        try:
            weights_of(benchmark, row)
        except SourceError as error:
            errors.append(error)
        wanted += [(benchmark, a) for a in benchmark.assets if a.row == row.id and a.kind in kinds]
    return wanted, errors


def _fetch(
    wanted: Sequence[tuple[Benchmark, Asset]], jobs: int, connections: int, *, as_json: bool
) -> list[MixzooError]:
    """Fetch all, saying of each what was done, and return the errors."""
    from tqdm import tqdm

    facts, errors = [], []
    with closing(fetch_all(wanted, jobs=jobs, connections=connections)) as fetched:
        for one in fetched:
            said = str(one.error) if one.error else None
            facts.append(
                _facts(one.asset, one.path) | {"done": one.done or "failed", "error": said}
            )
            if one.error:
                errors.append(one.error)
            elif not as_json:
                trust = "" if one.asset.sha256 else "; no locked hash, trusted on first use"
                size = one.path.stat().st_size
                with tqdm.external_write_mode():  # the bar steps aside
                    say(f"{one.asset.row}: {one.done}, {one.path} ({size:,} bytes{trust})")
    if as_json:
        print_json(facts)
    return errors


def _show_plan(wanted: Sequence[tuple[Benchmark, Asset]], *, as_json: bool) -> None:
    """Say what would be fetched. Asks no server, reads no weights, writes nothing."""
    plan: list[dict[str, Any]] = []
    for benchmark, asset in wanted:
        found, path = of_asset(benchmark, asset), asset_path(benchmark.name, asset)
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


def _facts(asset: Asset, path: Path) -> dict[str, Any]:
    return {"id": asset.row, "kind": asset.kind, "name": asset.name, "path": str(path)}
