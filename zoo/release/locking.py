"""Makes a benchmark's lock file from what its sources hold today.

`survey` asks, `draft` decides, `hash_unknown` downloads what no source vouches for, `refusal` says
what keeps a draft from being written, `write_lock` writes it. A hash that is locked already, or
was trusted on first use, is kept as long as nothing says that the file changed, and never goes
without `accept`; then `forget` makes way for the new file.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import msgspec

from ..cache import asset_path, locks_root
from ..catalog import Benchmark, new_lock_place
from ..errors import IntegrityError, ManifestError, SourceError, UsageError, several, wall
from ..files import sha256_of, write
from ..lock import Asset, Lock, lock_path, parse_lock, render_lock
from ..looks import command
from ..manifest import GitHubSource, Manifest
from ..net.fetch import fetch_all
from ..net.sources import askable, offline
from ..verify import first_use, first_use_record, set_aside
from .inside import Inside
from .listing import Listed, release_files, repository_files
from .matching import Problem, match, merge


@dataclass(frozen=True)
class Change:
    """What becomes of one file's entry. facts: field -> (old, new), None where there is none."""

    name: str
    what: Literal["added", "removed", "changed"]
    facts: dict[str, tuple[object, object]]

    @property
    def touches_hash(self) -> bool:
        """Whether a locked hash goes, changes, or comes to stand for another row or kind."""
        old_hash, new_hash = self.facts.get("sha256", (None, None))
        moved = self.what == "changed" and bool({"row", "kind"} & self.facts.keys())
        return (old_hash is not None and old_hash != new_hash) or moved


@dataclass(frozen=True)
class Draft:
    """A lock that could be written. changes: against the lock that is known so far."""

    lock: Lock
    problems: list[Problem]
    changes: list[Change]

    @property
    def unknown(self) -> list[Asset]:
        """Assets whose hash nobody has said or seen."""
        return [asset for asset in self.lock.assets if asset.sha256 is None]


def survey(benchmark: Benchmark) -> tuple[list[Listed], list[Problem]]:
    """Ask every source that can be asked for its files, and put the answers together.

    A source that doesn't answer is a problem as long as another one does.
    Raises UsageError if the manifest names no such source, SourceError if none answers or the
    network is forbidden.
    """
    manifest = benchmark.manifest
    sources = askable(manifest)
    if not sources:
        raise UsageError(
            f"{manifest.name}: none of its sources can be asked for its files; expected one of "
            "kind github or huggingface in the manifest. Add one."
        )
    if forbidden := offline():
        raise SourceError(
            f"{manifest.name}: {forbidden} forbids to ask its sources for their files. Unset it."
        )
    listings: list[list[Listed]] = []
    failures: list[tuple[str, SourceError]] = []
    for source in sources:
        try:
            listings.append(
                release_files(source)
                if isinstance(source, GitHubSource)
                else repository_files(source)
            )
        except SourceError as error:
            failures.append((source.repository, error))
    if not listings:
        raise SourceError(" ".join(str(error) for _, error in failures))
    files, problems = merge(listings)
    return files, [Problem(name, "unreachable", str(e)) for name, e in failures] + problems


def assignments(said: Sequence[str], manifest: Manifest, files: Sequence[Listed]) -> dict[str, str]:
    """What a person says in `FILE=ROW`: file -> row. Raises UsageError if either isn't there."""
    found: dict[str, str] = {}
    for text in said:
        name, _, row = text.rpartition("=")
        if not any(file.name == name for file in files):
            raise UsageError(
                f"--assign {text}: expected FILE=ROW with a file of the release, got {name!r}. "
                f"Name one of: {several(file.name for file in files)}."
            )
        if manifest.row(row) is None:
            raise UsageError(
                f"--assign {text}: expected a row of {manifest.name}, got {row!r}. "
                f"See: {command('zoo', 'list', manifest.name)}"
            )
        found[name] = row
    return found


def draft(
    manifest: Manifest,
    files: Sequence[Listed],
    problems: Sequence[Problem] = (),
    known: Lock | None = None,
    assigned: Mapping[str, str] | None = None,
    inside: Mapping[str, Inside] | None = None,
) -> Draft:
    """The lock that these files make. Pure: nothing is asked, read or written.

    problems: of the survey, carried along. known: the present lock, whose hashes are kept for
    files that didn't change since. assigned: file -> row, as a person says now; what one said
    before stands in `known`. inside: what was seen in some of them.
    """
    before = {asset.name: asset for asset in known.assets} if known else {}
    listed = {file.name: file for file in files}
    said = {name: a.row for name, a in before.items() if a.assigned and name in listed}
    said = {name: row for name, row in said.items() if row not in (assigned or {}).values()}
    said |= assigned or {}
    matches, unmatched = match(listed, manifest, assigned=said, inside=inside)
    assets = []
    for found in matches:
        file = listed[found.name]
        asset = Asset(
            row=found.row,
            kind=found.kind,
            name=found.name,
            size=file.size,
            sha256=file.sha256,
            hash_from="published digest" if file.sha256 else None,
            release_id=file.release_id,
            updated_at=file.updated_at,
            assigned=found.name in said,
        )
        assets.append(_remembering(asset, before.get(found.name)))
    lock = Lock(format=1, benchmark=manifest.name, assets=assets)
    return Draft(lock, [*problems, *unmatched], compare(known, lock))


def compare(old: Lock | None, new: Lock) -> list[Change]:
    """What becomes of every file's entry, by name; entries that stay as they are are left out."""
    before = {asset.name: msgspec.to_builtins(asset) for asset in (old.assets if old else ())}
    after = {asset.name: msgspec.to_builtins(asset) for asset in new.assets}
    changes = []
    for name in sorted(before.keys() | after.keys()):
        was, becomes = before.get(name, {}), after.get(name, {})
        facts = {
            fact: (was.get(fact), becomes.get(fact))
            for fact in was | becomes
            if fact != "name" and was.get(fact) != becomes.get(fact)
        }
        if facts:
            what = "added" if not was else "changed" if becomes else "removed"
            changes.append(Change(name, what, facts))
    return changes


def trusted(benchmark: Benchmark, lock: Lock | None) -> Lock | None:
    """A lock with the hashes of files whose first use was trusted here: they are to be kept too."""
    if lock is None:
        return None
    notes = {a.name: first_use(asset_path(benchmark.name, a)) for a in lock.assets if not a.sha256}
    return _hashed(lock, notes)


def _hashed(lock: Lock, hashes: Mapping[str, str | None]) -> Lock:
    """A lock with hashes of first use, by the names of files."""
    assets = [
        msgspec.structs.replace(asset, sha256=sha256, hash_from="first use")
        if (sha256 := hashes.get(asset.name))
        else asset
        for asset in lock.assets
    ]
    return msgspec.structs.replace(lock, assets=assets)


def forget(benchmark: Benchmark, drafted: Draft) -> None:
    """Make way in the cache for files that the release has changed, as a person has accepted.

    The hash of an old file's first use goes; where no new hash would tell the old file from the new
    one, it is set aside.
    """
    locked = {asset.name: asset for asset in drafted.lock.assets}
    for change in drafted.changes:
        if change.touches_hash and (asset := locked.get(change.name)):
            path = asset_path(benchmark.name, asset)
            if asset.sha256 is None and path.is_file():
                set_aside(path)
            if first_use(path) != asset.sha256:
                first_use_record(path).unlink(missing_ok=True)


def hash_unknown(benchmark: Benchmark, drafted: Draft, known: Lock | None = None) -> Draft:
    """Download what has no hash yet and lock what came: trust on first use.

    The files stay in the cache, so a run that is interrupted goes on where it stopped. A cached
    file that is older than the release's is set aside first.
    Raises what `fetch_all` raises, and the first error of a file.
    """
    for asset in drafted.unknown:
        path, changed = asset_path(benchmark.name, asset), asset.updated_at or ""
        if _is_older(path, changed):
            set_aside(path)
        if _is_older(first_use_record(path), changed):
            first_use_record(path).unlink()
    hashed: dict[str, str | None] = {}
    for one in fetch_all([(benchmark, asset) for asset in drafted.unknown]):
        if one.error:
            raise one.error
        hashed[one.asset.name] = sha256_of(one.path)
    lock = _hashed(drafted.lock, hashed)
    return replace(drafted, lock=lock, changes=compare(known, lock))


def _is_older(file: Path, changed: str) -> bool:
    """Whether a file is here and older than a release's: as texts, that may name no real day."""
    if not file.is_file():
        return False
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(file.stat().st_mtime)) < changed


def refusal(
    benchmark: Benchmark,
    drafted: Draft,
    *,
    allow_partial: bool,
    accept: bool,
    said: Sequence[str] = (),
) -> IntegrityError | ManifestError | None:
    """What keeps a draft from being written, None if nothing does.

    allow_partial: problems don't. accept: changed and vanished hashes don't. said: `FILE=ROW` as a
    person says it, which the command that goes on repeats.
    """
    name = benchmark.name
    words = ["zoo", "lock", name, *(word for one in said for word in ("--assign", one))]
    words += ["--allow-partial"] * bool(drafted.problems)
    touched = [change.name for change in drafted.changes if change.touches_hash]
    if touched and not accept:
        return IntegrityError(
            f"{name}: expected every locked hash to stay, got {len(touched)} that change or go "
            f"({several(touched)}); nothing was written. If the release changed on purpose: "
            f"{benchmark.command(*words, '--accept')}"
        )
    if drafted.problems and not allow_partial:
        subjects = [problem.subject for problem in drafted.problems]
        return ManifestError(
            f"{name}: expected a complete and unambiguous release, got {len(subjects)} problems "
            f"({several(subjects)}); nothing was written. Say which file is which row with "
            "--assign FILE=ROW, teach [matching] in a manifest of your own, or lock what is clear: "
            f"{benchmark.command(*words, *['--accept'] * accept)}"
        )
    return None


def place_of(benchmark: Benchmark, out: Path | None) -> Path:
    """Where a benchmark's lock is written: as told by a path or a folder, else `new_lock_place`."""
    if out is None:
        return new_lock_place(benchmark.path, benchmark.name)
    return out / lock_path(benchmark.path).name if out.is_dir() else out


def write_lock(path: Path, lock: Lock, manifest: Manifest) -> None:
    """Write a lock file, whole or not at all.

    Raises UsageError if the folder can't be written, ManifestError if it couldn't be read again.
    """
    text = render_lock(lock)
    parse_lock(text, str(path), manifest)
    with wall(UsageError, f"{path}: cannot be written", "Name another place with --out PATH."):
        if path.parent == locks_root():
            path.parent.mkdir(parents=True, exist_ok=True)
        write(path, text)


def _remembering(asset: Asset, known: Asset | None) -> Asset:
    """The entry with what was locked of the same file and isn't said today.

    A file counts as the same while its size, and its time of change where both tell it, are.
    """
    if known is None or known.size not in (None, asset.size):
        return asset
    for fact in ("updated_at", "sha256"):
        said, locked = getattr(asset, fact), getattr(known, fact)
        if said and locked and said != locked:
            return asset
    facts = ("sha256", "hash_from", "release_id", "updated_at")
    kept = {fact: getattr(known, fact) for fact in facts if getattr(asset, fact) is None}
    return msgspec.structs.replace(asset, **kept)
