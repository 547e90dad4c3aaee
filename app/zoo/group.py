"""`mixzoo zoo`: what there is, where it is, and whether it is intact."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import msgspec

from ...zoo import shelf
from ...zoo.cache import asset_path, cache_root
from ...zoo.catalog import Benchmark, open_catalog
from ...zoo.errors import UsageError
from ...zoo.manifest import Row
from ..console import print_json, print_table, say
from ..groups import LazyGroup
from ..options import json_option, manifest_option, names_argument

LAZY = ("download", "verify", "lock", "prune", "unpack", "export", "publish", "inspect")


@click.group(cls=LazyGroup, package=__package__, lazy={"import": "adopt"} | {n: n for n in LAZY})
def commands() -> None:
    """List, fetch and verify released weights. A NAME is a row id or a benchmark."""


@commands.command("list")
@names_argument
@manifest_option
@json_option
def list_command(names: tuple[str, ...], manifests: tuple[Path, ...], as_json: bool) -> None:
    """List the rows of all benchmarks, or those named."""
    list_rows(names, manifests, as_json=as_json)


def list_rows(
    names: Sequence[str], manifests: Sequence[Path] = (), *, as_json: bool = False
) -> None:
    """Print rows with their published numbers and whether their weights are here."""
    rows = open_catalog(manifests).select(names)
    facts = [_row_facts(benchmark, row) for benchmark, row in rows]
    if as_json:
        print_json(facts)
        return
    print_table(
        ("Row", "Method", "Architecture", "Published top-1", "Alpha", "Weights"),
        [
            (
                row.id,
                row.method,
                row.architecture,
                _number(row.reported_top1, benchmark.manifest.metric.decimals),
                "-" if row.alpha is None else f"{row.alpha:g}",
                fact["weights"],
            )
            for (benchmark, row), fact in zip(rows, facts, strict=True)
        ],
        right=("Published top-1", "Alpha"),
        optional=("Architecture", "Method"),
    )
    if any(fact["weights"] == "not locked" for fact in facts):
        say(
            "not locked: the release's file names and hashes are not known yet; see "
            "`mixzoo zoo show ROW` and `mixzoo zoo lock BENCHMARK`."
        )


@commands.command()
@click.argument("row")
@manifest_option
@json_option
def show(row: str, manifests: tuple[Path, ...], as_json: bool) -> None:
    """Show all that is known of one ROW: number, paper, protocol, data set, sources, files."""
    benchmark, found = open_catalog(manifests).row(row)
    facts = _row_facts(benchmark, found) | {
        "paper": found.paper,
        "statistic": msgspec.to_builtins(benchmark.manifest.metric),
        "protocol": msgspec.to_builtins(benchmark.manifest.protocol),
        "heads": msgspec.to_builtins(benchmark.manifest.heads),
        "dataset": msgspec.to_builtins(benchmark.manifest.dataset),
        "sources": msgspec.to_builtins(benchmark.manifest.sources),
        "assets": [msgspec.to_builtins(asset) for asset in shelf.known_assets(benchmark, found)],
        "manifest": str(benchmark.path),
    }
    if as_json:
        print_json(facts)
        return
    for name, value in facts.items():
        _print_fact(name, value)


@commands.command()
@names_argument
@manifest_option
@json_option
def where(names: tuple[str, ...], manifests: tuple[Path, ...], as_json: bool) -> None:
    """Print the paths of cached files, one a line; without a NAME, the cache folder."""
    if not names:
        print_json({"cache": str(cache_root())}) if as_json else say(str(cache_root()))
        return
    paths = [
        {"id": row.id, "kind": asset.kind, "path": str(path), "exists": path.is_file()}
        for benchmark, row in open_catalog(manifests).select(names)
        for asset in shelf.known_assets(benchmark, row)
        for path in [asset_path(benchmark.name, asset)]
    ]
    if not paths:
        raise UsageError(f"{', '.join(names)}: no file is locked yet, so none has a place.")
    if as_json:
        print_json(paths)
    for entry in paths if not as_json else ():
        say(f"{entry['path']}{'' if entry['exists'] else '  (not downloaded)'}")


def _row_facts(benchmark: Benchmark, row: Row) -> dict[str, Any]:
    return {
        "id": row.id,
        "benchmark": benchmark.name,
        "method": row.method,
        "architecture": row.architecture,
        "reported_top1": row.reported_top1,
        "alpha": row.alpha,
        "weights": shelf.file(benchmark, row).state.value,
    }


def _number(value: float | None, decimals: int) -> str:
    return "-" if value is None else f"{value:.{decimals}f}"


def _print_fact(name: str, value: Any, indent: int = 0) -> None:
    """One `name: value` line, or an indented block for tables; what is empty is left out."""
    label = "  " * indent + name.replace("_", " ")
    if isinstance(value, dict) and value:
        say(f"{label}:")
        for inner, content in value.items():
            _print_fact(inner, content, indent + 1)
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        say(f"{label}:")
        for entry in value:
            say(
                "  " * (indent + 1)
                + ", ".join(f"{v}" for v in entry.values() if v not in (None, ""))
            )
    elif value not in (None, "", [], {}):
        text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
        say(f"{label}: {text}")
