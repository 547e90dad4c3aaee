"""`mixzoo zoo lock`: learn a release's file names, sizes and hashes, and write them down."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ...zoo.catalog import Benchmark, open_catalog
from ...zoo.errors import several
from ...zoo.lock import Asset, read_lock
from ...zoo.looks import counted
from ...zoo.shelf import of_asset
from ..console import print_json, print_table, say
from ..options import FilePath, complete_names, json_option, manifest_option, option

if TYPE_CHECKING:
    from ...zoo.release.locking import Change, Draft

SHOWN = 12  # hex digits of a hash
MOST_CHOICES = 3  # commands printed for one file or row that isn't clear


@click.command("lock")
@click.argument("name", metavar="BENCHMARK", shell_complete=complete_names)
@option(
    "--out PATH",
    "Write the lock to this file or into this folder. The default is MIXZOO_LOCKS if that is "
    "set, else beside a manifest of your own, else in your settings folder.",
    FilePath,
)
@option("--hash", "Download files without a published hash, to hash them.", to="hashing")
@option(
    "--assign FILE=ROW",
    "Say which row a file of the release is of; kept in the lock, where a name isn't enough. "
    "What else is clear is locked too. Repeatable.",
    multiple=True,
)
@option("--accept", "Let hashes that are locked or trusted change or go.")
@option("--allow-partial", "Lock what is clear, despite problems.")
@option("--dry-run", "Show the lock; download and write nothing.")
@manifest_option
@json_option
def command(
    name: str,
    out: Path | None,
    hashing: bool,
    assign: tuple[str, ...],
    accept: bool,
    allow_partial: bool,
    dry_run: bool,
    manifests: tuple[Path, ...],
    as_json: bool,
) -> None:
    """Ask a BENCHMARK's release for names, sizes and hashes.

    They are matched to rows and written into the lock. A download asks by itself for what no lock
    names; this command is for reviewing, settling and committing. GitHub is asked with GITHUB_TOKEN
    if that is set. Exits with 3 if files or rows are left over, with 5 if a hash that is locked,
    or was trusted on first use, would change or go.
    """
    from ...zoo.release import locking
    from ...zoo.release.inside import look_inside

    benchmark = open_catalog(manifests).benchmark(name)
    manifest, path = benchmark.manifest, locking.place_of(benchmark, out)
    before = read_lock(path, manifest) or benchmark.lock
    known = locking.trusted(benchmark, before)
    files, problems = locking.survey(benchmark)
    assigned = locking.assignments(assign, manifest, files)
    inside = look_inside(benchmark, files, assigned)
    drafted = locking.draft(manifest, files, problems, known, assigned, inside)
    allow_partial = allow_partial or bool(assigned)
    if hashing and not dry_run and (allow_partial or not drafted.problems):
        drafted = locking.hash_unknown(benchmark, drafted, known)
    refusal = locking.refusal(
        benchmark, drafted, allow_partial=allow_partial, accept=accept, said=assign
    )
    writing = refusal is None and not dry_run
    if writing:
        locking.write_lock(path, drafted.lock, manifest)
        locking.forget(benchmark, drafted)
    if as_json:
        facts = {"benchmark": name, "lock": path, "written": writing}
        facts |= {"assets": drafted.lock.assets, "changes": drafted.changes}
        print_json(facts | {"problems": drafted.problems})
    else:
        _show(benchmark, drafted)
        if not writing:
            say(f"Nothing written; it would be {path}")
        else:
            say(f"{'Unchanged' if drafted.lock == before else 'Written'}: {path}")
    if refusal:
        raise refusal


def _show(benchmark: Benchmark, drafted: "Draft") -> None:
    """A line for each row with new files, one for each file that changes or isn't clear."""
    added = {change.name for change in drafted.changes if change.what == "added"}
    assets, unknown = drafted.lock.assets, drafted.unknown
    new = [[a for a in assets if a.row == row.id] for row in benchmark.manifest.rows]
    new = [files for files in new if added & {asset.name for asset in files}]
    if new:
        rows = [(files[0].row, files[0].name, _others(files[1:])) for files in new]
        print_table(("Row", "File", "Also"), rows, cut="File")
    if changes := [change for change in drafted.changes if change.what != "added"]:
        print_table(
            ("File", "Change", "Facts"),
            [(change.name, change.what, _facts(change)) for change in changes],
        )
    if drafted.problems:
        print_table(
            ("Problem", "What", "Reason"),
            [(problem.what, problem.subject, problem.reason) for problem in drafted.problems],
            whole=("What",),
        )
    for problem in drafted.problems:
        pairs = [f"{problem.subject}={row}" for row in problem.rows]
        pairs += [f"{file}={problem.subject}" for file in problem.candidates]
        if len(pairs) > MOST_CHOICES:
            pairs = [f"{problem.subject}=ROW"] if problem.rows else [f"FILE={problem.subject}"]
        choices = (benchmark.command("zoo", "lock", benchmark.name, "--assign", p) for p in pairs)
        if pairs:
            say(f"If you know it: {several(choices, '  or  ')}")
    rows = counted(len({asset.row for asset in assets}), "row")
    say(f"{benchmark.name}: {counted(len(assets), 'file')} of {rows}.")
    if unknown:
        here = [asset for asset in unknown if of_asset(benchmark, asset).is_here]
        size = sum(asset.size or 0 for asset in unknown if asset not in here)
        hashing = benchmark.command("zoo", "lock", benchmark.name, "--hash")
        say(
            f"{len(unknown)} of them have no published hash, so a first download is trusted; to "
            f"lock their hashes too (downloads {size:,} bytes): {hashing}"
        )


def _others(assets: Sequence[Asset]) -> str:
    """`log, text log, 2 visualisations`: a row's files beside the first one."""
    counts = Counter(asset.kind.replace("_", " ") for asset in assets)
    return ", ".join(k if n == 1 else counted(n, k) for k, n in counts.items())


def _facts(change: "Change") -> str:
    """`size 5, sha256 3fa9… -> 91c2…`: old values only where there are new ones."""
    said = []
    for name, values in change.facts.items():
        known = [str(value) for value in values if value not in (None, False)]
        short = [f"{text[:SHOWN]}…" if len(text) == 64 else text for text in known]
        if short and (change.what != "removed" or name in ("row", "sha256")):
            gone = [*short, "none"] if change.what == "changed" and values[1] is None else short
            said.append(f"{name.replace('_', ' ')} {' -> '.join(gone)}")
    return ", ".join(said)
