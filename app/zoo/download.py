"""`mixzoo zoo download`: have released files in the cache."""

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import click

from ...zoo.catalog import open_catalog
from ...zoo.errors import MixzooError, SourceError
from ...zoo.lock import Kind
from ...zoo.net.fetch import (
    CONNECTIONS,
    JOBS,
    Action,
    Outcome,
    Plan,
    Wanted,
    fetch_all,
    plan,
)
from ...zoo.shelf import weights_of
from ..console import print_json, say
from ..options import json_option, manifest_option

DONE = {Action.KEEP: "already here", Action.FETCH: "fetched", Action.REPLACE: "fetched again"}
TO_DO = {Action.KEEP: "already here", Action.FETCH: "to fetch", Action.REPLACE: "damaged, to fetch"}


@click.command("download")
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@click.option("--logs", is_flag=True, help="Also fetch the training logs.")
@click.option("--viz", is_flag=True, help="Also fetch the archives of visualisations.")
@click.option(
    "--jobs", type=click.IntRange(1, 32), default=JOBS, show_default=True, help="Files at once."
)
@click.option(
    "--connections",
    type=click.IntRange(1, 32),
    default=CONNECTIONS,
    show_default=True,
    help="Ranges of one file at once, where the server can.",
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
    """Download weights: resumed, hashed while they stream, moved into place only when right.

    A NAME is a row id or a benchmark. Interrupt it at any time: the same command goes on. Tokens
    are read from GITHUB_TOKEN or GH_TOKEN, and HF_TOKEN; MIXZOO_OFFLINE=1 forbids the network.
    """
    if dry_run:
        show_plans(names, manifests, logs=logs, viz=viz, as_json=as_json)
        return
    download(
        names,
        manifests,
        logs=logs,
        viz=viz,
        jobs=jobs,
        connections=connections,
        as_json=as_json,
    )


def download(
    names: Sequence[str],
    manifests: Sequence[Path] = (),
    *,
    logs: bool = False,
    viz: bool = False,
    jobs: int = JOBS,
    connections: int = CONNECTIONS,
    as_json: bool = False,
) -> None:
    """Have the files of rows in the cache, and say of each what was done.

    One bad file doesn't stop the others; when all are through, the first error is raised.
    """
    wanted, errors = _wanted(names, manifests, _kinds(logs, viz))
    facts = []
    with closing(fetch_all(wanted, jobs=jobs, connections=connections)) as outcomes:
        for outcome in outcomes:
            if outcome.error is not None:
                errors.append(outcome.error)
            if as_json:
                facts.append(_outcome_facts(outcome))
            elif outcome.action is not None:
                _say_outcome(outcome, outcome.action)
    if as_json:
        print_json(facts)
    _raise_together(errors)


def show_plans(
    names: Sequence[str],
    manifests: Sequence[Path] = (),
    *,
    logs: bool = False,
    viz: bool = False,
    as_json: bool = False,
) -> None:
    """Say what `download` would do. Reads what is here, asks no server, writes nothing."""
    wanted, errors = _wanted(names, manifests, _kinds(logs, viz))
    plans = [plan(*entry) for entry in wanted]
    if as_json:
        print_json([_plan_facts(entry) for entry in plans])
    elif plans:
        for entry in plans:
            here = f"{entry.received:,} of " if 0 < entry.received < (entry.asset.size or 0) else ""
            size = "?" if entry.asset.size is None else f"{entry.asset.size:,}"
            say(f"{entry.asset.row}: {TO_DO[entry.action]}, {entry.path} ({here}{size} bytes)")
            for place in entry.places if entry.action is not Action.KEEP else ():
                say(f"  from {place}")
        sizes = [(e.asset.size or 0) - e.received for e in plans if e.action is not Action.KEEP]
        say(f"{len(sizes)} of {len(plans)} files to fetch, {sum(sizes):,} bytes.")
    _raise_together(errors)


def _wanted(
    names: Sequence[str], manifests: Sequence[Path], kinds: set[Kind]
) -> tuple[list[Wanted], list[MixzooError]]:
    """The locked assets of the rows, and an error for each row whose weights aren't locked."""
    wanted: list[Wanted] = []
    errors: list[MixzooError] = []
    for benchmark, row in open_catalog(manifests).select(names):
        try:
            weights_of(benchmark, row)
        except SourceError as error:
            errors.append(error)
        assets = benchmark.lock.assets if benchmark.lock else ()
        wanted += [(benchmark, a) for a in assets if a.row == row.id and a.kind in kinds]
    return wanted, errors


def _kinds(logs: bool, viz: bool) -> set[Kind]:
    kinds: set[Kind] = {"weights"}
    if logs:
        kinds |= {"log", "text_log"}
    if viz:
        kinds |= {"visualisation"}
    return kinds


def _say_outcome(outcome: Outcome, action: Action) -> None:
    from tqdm import tqdm

    asset = outcome.asset
    trust = "" if asset.sha256 else "; no locked hash, trusted on first use"
    size = outcome.path.stat().st_size
    with tqdm.external_write_mode():  # the bars of those that are still coming step aside
        say(f"{asset.row}: {DONE[action]}, {outcome.path} ({size:,} bytes{trust})")


def _outcome_facts(outcome: Outcome) -> dict[str, Any]:
    return {
        "id": outcome.asset.row,
        "kind": outcome.asset.kind,
        "name": outcome.asset.name,
        "path": str(outcome.path),
        "done": DONE[outcome.action] if outcome.action else "failed",
        "error": str(outcome.error) if outcome.error else None,
    }


def _plan_facts(entry: Plan) -> dict[str, Any]:
    return {
        "id": entry.asset.row,
        "kind": entry.asset.kind,
        "name": entry.asset.name,
        "path": str(entry.path),
        "to_do": TO_DO[entry.action],
        "size": entry.asset.size,
        "received": entry.received,
        "sources": [str(place) for place in entry.places],
    }


def _raise_together(errors: Sequence[MixzooError]) -> None:
    """Raise the only error, or one line for all of them, of the first one's class."""
    if len(errors) > 1:
        raise type(errors[0])(f"{len(errors)} files failed, the first: {errors[0]}")
    for error in errors:
        raise error
