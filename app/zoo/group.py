"""`mixzoo zoo`: what there is."""

from pathlib import Path
from typing import Any

import click
import msgspec

from ...zoo import shelf
from ...zoo.catalog import Benchmark, open_catalog
from ...zoo.manifest import Row
from ...zoo.net.hosts import shown
from ..console import print_json, print_table, say
from ..groups import LazyGroup
from ..options import complete_names, json_option, manifest_option, names_argument

LAZY = {name: name for name in ("download", "lock", "unpack", "export", "publish", "inspect")}
LAZY |= {"import": "adopt"} | {name: f"cached:{name}" for name in ("where", "verify", "prune")}


@click.group(cls=LazyGroup, package=__package__, lazy=LAZY)
def commands() -> None:
    """List, fetch and verify released weights. A NAME is a row id or a benchmark."""


@commands.command("list")
@names_argument
@manifest_option
@json_option
def list_(names: tuple[str, ...], manifests: tuple[Path, ...], as_json: bool) -> None:
    """List the rows of all benchmarks, or those named.

    Of each its published number, and whether its weights are here. --manifest names its rows too.
    """
    catalog = open_catalog(manifests)
    own = [benchmark.name for benchmark in catalog.benchmarks.values() if benchmark.named]
    rows = catalog.select(names or own)
    facts = [_facts(benchmark, row) for benchmark, row in rows]
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
                "-"
                if row.reported_top1 is None
                else f"{row.reported_top1:.{benchmark.manifest.metric.decimals}f}",
                "-" if row.alpha is None else f"{row.alpha:g}",
                fact["weights"],
            )
            for (benchmark, row), fact in zip(rows, facts, strict=True)
        ],
        right=("Published top-1", "Alpha"),
        optional=("Architecture", "Method"),
    )
    unknown = shelf.State.UNKNOWN
    of = [b for (b, _), fact in zip(rows, facts, strict=True) if fact["weights"] == unknown.value]
    for rule in dict.fromkeys(shelf.rule(benchmark, unknown) for benchmark in of):
        say(f"{unknown.value}: {rule}; see `mixzoo zoo show ROW`.")


@commands.command()
@click.argument("row", shell_complete=complete_names)
@manifest_option
@json_option
def show(row: str, manifests: tuple[Path, ...], as_json: bool) -> None:
    """Show all that is known of one ROW.

    Its number, paper, recipe, protocol, data set, sources and files.
    """
    benchmark, found = open_catalog(manifests).row(row)
    manifest = msgspec.to_builtins(benchmark.manifest)
    for place in (manifest["dataset"], *manifest["sources"]):
        for field in {"base_url", "url"} & {name for name, value in place.items() if value}:
            place[field] = shown(place[field])
    facts = _facts(benchmark, found) | {
        "paper": found.paper,
        "recipe": found.recipe,
        "statistic": manifest["metric"],
        "protocol": manifest["protocol"],
        "heads": manifest["heads"],
        "dataset": manifest["dataset"],
        "sources": manifest["sources"],
        "assets": msgspec.to_builtins(shelf.known_assets(benchmark, found)),
        "manifest": str(benchmark.path),
        "with yours over it": [str(path) for path in benchmark.over],
    }
    if as_json:
        print_json(facts)
        return
    for name, value in facts.items():
        _print_fact(name, value)


def _facts(benchmark: Benchmark, row: Row) -> dict[str, Any]:
    return {
        "id": row.id,
        "benchmark": benchmark.name,
        "method": row.method,
        "architecture": row.architecture,
        "reported_top1": row.reported_top1,
        "alpha": row.alpha,
        "weights": shelf.file(benchmark, row).state.value,
    }


def _print_fact(name: str, value: Any, indent: int = 0) -> None:
    """One `name: value` line, or an indented block for tables; what is empty is left out."""
    if value in (None, "", [], {}):
        return
    label = "  " * indent + name.replace("_", " ")
    if isinstance(value, dict):
        say(f"{label}:")
        for inner, content in value.items():
            _print_fact(inner, content, indent + 1)
    elif isinstance(value, list) and isinstance(value[0], dict):
        say(f"{label}:")
        for entry in value:
            said = [str(fact) for fact in entry.values() if fact not in (None, "", False)]
            say("  " * (indent + 1) + ", ".join(said))
    else:
        say(f"{label}: {', '.join(map(str, value)) if isinstance(value, list) else value}")
