"""`mixzoo zoo lock`: learn a release's file names, sizes and hashes, and write them down."""

import os
from pathlib import Path
from typing import Any

import click
import msgspec

from ...zoo.cache import locks_root
from ...zoo.catalog import open_catalog
from ...zoo.lock import lock_path
from ..console import print_json, print_table, say
from ..options import FilePath, json_option, manifest_option

SHOWN = 12  # hex digits of a hash


@click.command("lock")
@click.argument("benchmark")
@click.option("--out", type=FilePath, metavar="PATH", help="Write the lock here.")
@click.option("--hash", "hashing", is_flag=True, help="Download files without a published hash.")
@click.option("--accept", is_flag=True, help="Let locked hashes change or go.")
@click.option("--allow-partial", is_flag=True, help="Lock what is clear, despite problems.")
@click.option("--dry-run", is_flag=True, help="Download and write nothing.")
@manifest_option
@json_option
def command(
    benchmark: str,
    out: Path | None,
    hashing: bool,
    accept: bool,
    allow_partial: bool,
    dry_run: bool,
    manifests: tuple[Path, ...],
    as_json: bool,
) -> None:
    """Lock a BENCHMARK: ask its release for names, sizes and hashes, match them to rows.

    The lock file is written beside the manifest, or in MIXZOO_LOCKS where that can't be. GitHub is asked with GITHUB_TOKEN if that is set.
    Exits with 3 if files or rows are left over, with 5 if a locked hash would change or go.
    """
    lock(
        benchmark,
        manifests,
        out=out,
        hashing=hashing,
        accept=accept,
        allow_partial=allow_partial,
        dry_run=dry_run,
        as_json=as_json,
    )


def lock(
    name: str,
    manifests: tuple[Path, ...] = (),
    *,
    out: Path | None = None,
    hashing: bool = False,
    accept: bool = False,
    allow_partial: bool = False,
    dry_run: bool = False,
    as_json: bool = False,
) -> None:
    """Draft a benchmark's lock, show what is new and what is wrong, and write it if it may be."""
    from ...zoo.release import locking

    benchmark = open_catalog(manifests).benchmark(name)
    path = _target(out, benchmark.path)
    known = locking.read_lock(path, benchmark.manifest) or benchmark.lock
    files, problems = locking.survey(benchmark.manifest)
    drafted = locking.draft(benchmark.manifest, files, problems, known)
    if hashing and not dry_run and (allow_partial or not drafted.problems):
        drafted = locking.hash_unknown(benchmark, drafted, known)
    refusal = locking.refusal(drafted, allow_partial=allow_partial, accept=accept)
    writing = refusal is None and not dry_run
    if writing:
        locking.write_lock(path, drafted.lock)
    if as_json:
        print_json(_facts(drafted, path, written=writing))
    else:
        _show(drafted, path, written=writing)
    if refusal:
        raise refusal


def _target(out: Path | None, manifest: Path) -> Path:
    beside = lock_path(manifest)
    if out is None:
        return beside if os.access(beside.parent, os.W_OK) else locks_root() / beside.name
    return out / beside.name if out.is_dir() else out


def _facts(drafted: Any, path: Path, *, written: bool) -> dict[str, Any]:
    return {
        "benchmark": drafted.lock.benchmark,
        "lock": str(path),
        "written": written,
        "assets": msgspec.to_builtins(drafted.lock.assets),
        "changes": msgspec.to_builtins(drafted.changes),
        "problems": msgspec.to_builtins(drafted.problems),
    }


def _show(drafted: Any, path: Path, *, written: bool) -> None:
    if drafted.changes:
        print_table(
            ("File", "Change", "Facts"),
            [(change.name, change.what, _change(change.facts)) for change in drafted.changes],
        )
    if drafted.problems:
        print_table(
            ("Problem", "What", "Reason"),
            [(problem.what, problem.subject, problem.reason) for problem in drafted.problems],
        )
    assets, unknown = drafted.lock.assets, drafted.unknown
    rows = len({asset.row for asset in assets})
    say(f"{drafted.lock.benchmark}: {len(assets)} files of {rows} rows.")
    if unknown:
        size = sum(asset.size or 0 for asset in unknown)
        say(
            f"{len(unknown)} of them have no published hash, so a first download is trusted; to "
            f"lock their hashes too, add --hash (downloads {size:,} bytes)."
        )
    if written:
        say(f"Written: {path}" if drafted.changes else f"Unchanged: {path}")
    else:
        say(f"Nothing written; it would be {path}")


def _change(facts: dict[str, tuple[object, object]]) -> str:
    """`size 5, sha256 3fa9… -> 91c2…`: old values only where there were some."""
    said = []
    for name, (old, new) in facts.items():
        values = [_short(value) for value in ((new,) if old is None else (old, new))]
        said.append(f"{name.replace('_', ' ')} {' -> '.join(values)}")
    return ", ".join(said)


def _short(value: object) -> str:
    if value is None:
        return "none"
    text = str(value)
    return f"{text[:SHOWN]}…" if len(text) == 64 else text
