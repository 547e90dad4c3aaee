"""`mixzoo zoo lock`: learn a release's file names, sizes and hashes, and write them down."""

from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from ...zoo.catalog import open_catalog
from ...zoo.lock import read_lock
from ..console import print_json, print_table, say
from ..options import FilePath, json_option, manifest_option

if TYPE_CHECKING:
    from ...zoo.release.locking import Draft

SHOWN = 12  # hex digits of a hash


@click.command("lock")
@click.argument("name", metavar="BENCHMARK")
@click.option(
    "--out",
    type=FilePath,
    metavar="PATH",
    help="Write the lock to this file or into this folder. The default is MIXZOO_LOCKS if that is "
    "set, else beside a manifest of your own, else in your settings folder.",
)
@click.option(
    "--hash", "hashing", is_flag=True, help="Download files without a published hash, to hash them."
)
@click.option("--accept", is_flag=True, help="Let locked hashes change or go.")
@click.option("--allow-partial", is_flag=True, help="Lock what is clear, despite problems.")
@click.option("--dry-run", is_flag=True, help="Show the lock; download and write nothing.")
@manifest_option
@json_option
def command(
    name: str,
    out: Path | None,
    hashing: bool,
    accept: bool,
    allow_partial: bool,
    dry_run: bool,
    manifests: tuple[Path, ...],
    as_json: bool,
) -> None:
    """Ask a BENCHMARK's release for names, sizes and hashes.

    They are matched to rows and written into the lock. GitHub is asked with GITHUB_TOKEN if that is
    set. Exits with 3 if files or rows are left over, with 5 if a locked hash would change or go.
    """
    from ...zoo.release import locking

    benchmark = open_catalog(manifests).benchmark(name)
    path = locking.place_of(benchmark, out)
    known = read_lock(path, benchmark.manifest) or benchmark.lock
    drafted = locking.draft(benchmark.manifest, *locking.survey(benchmark.manifest), known)
    if hashing and not dry_run and (allow_partial or not drafted.problems):
        drafted = locking.hash_unknown(benchmark, drafted, known)
    refusal = locking.refusal(drafted, allow_partial=allow_partial, accept=accept)
    writing = refusal is None and not dry_run
    if writing:
        locking.write_lock(path, drafted.lock)
    if as_json:
        facts = {"benchmark": name, "lock": str(path), "written": writing}
        facts |= {"assets": drafted.lock.assets, "changes": drafted.changes}
        print_json(msgspec.to_builtins(facts | {"problems": drafted.problems}))
    else:
        _show(drafted, path, written=writing)
    if refusal:
        raise refusal


def _show(drafted: "Draft", path: Path, *, written: bool) -> None:
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
        texts = ["none" if v is None else str(v) for v in ((new,) if old is None else (old, new))]
        short = [f"{text[:SHOWN]}…" if len(text) == 64 else text for text in texts]
        said.append(f"{name.replace('_', ' ')} {' -> '.join(short)}")
    return ", ".join(said)
