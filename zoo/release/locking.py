"""Makes a benchmark's lock file from what its sources hold today.

`survey` asks, `draft` decides, `hash_unknown` downloads what no source vouches for, `refusal` says
what keeps a draft from being written, `write_lock` writes it. A hash that is locked already is
kept as long as nothing says that the file changed, and never goes without `accept`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Literal

import msgspec

from ..cache import asset_path, locks_root
from ..catalog import Benchmark, new_lock_place
from ..errors import IntegrityError, ManifestError, SourceError, UsageError, several
from ..files import sha256_of, write
from ..lock import Asset, Lock, lock_path, render_lock
from ..manifest import GitHubSource, HuggingFaceSource, Manifest
from ..net.fetch import fetch_all
from ..net.sources import offline
from ..verify import first_use_record, set_aside
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


def survey(manifest: Manifest) -> tuple[list[Listed], list[Problem]]:
    """Ask every source that can be asked for its files, and put the answers together.

    A source that doesn't answer is a problem as long as another one does.
    Raises UsageError if the manifest names no such source, SourceError if none answers or the
    network is forbidden.
    """
    sources = [s for s in manifest.sources if isinstance(s, GitHubSource | HuggingFaceSource)]
    if not sources:
        raise UsageError(
            f"{manifest.name}: none of its sources can be asked for its files; expected one of "
            "kind github or huggingface in the manifest."
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


def draft(
    manifest: Manifest,
    files: Sequence[Listed],
    problems: Sequence[Problem] = (),
    known: Lock | None = None,
) -> Draft:
    """The lock that these files make. Pure: nothing is asked, read or written.

    problems: of the survey, carried along. known: the present lock, whose hashes are kept for
    files that didn't change since.
    """
    matches, unmatched = match([file.name for file in files], manifest)
    listed = {file.name: file for file in files}
    before = {asset.name: asset for asset in known.assets} if known else {}
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


def hash_unknown(benchmark: Benchmark, drafted: Draft, known: Lock | None = None) -> Draft:
    """Download what has no hash yet and lock what came: trust on first use.

    The files stay in the cache, so a run that is interrupted goes on where it stopped. A cached
    file that is older than the release's is set aside first.
    Raises what `fetch_all` raises, and the first error of a file.
    """
    for asset in drafted.unknown:
        _forget_older(asset_path(benchmark.name, asset), asset)
    hashed: dict[str, str] = {}
    for one in fetch_all([(benchmark, asset) for asset in drafted.unknown]):
        if one.error:
            raise one.error
        hashed[one.asset.name] = sha256_of(one.path)
    assets = [
        msgspec.structs.replace(asset, sha256=hashed[asset.name], hash_from="first use")
        if asset.name in hashed
        else asset
        for asset in drafted.lock.assets
    ]
    lock = msgspec.structs.replace(drafted.lock, assets=assets)
    return replace(drafted, lock=lock, changes=compare(known, lock))


def refusal(
    drafted: Draft, *, allow_partial: bool, accept: bool
) -> IntegrityError | ManifestError | None:
    """What keeps a draft from being written, None if nothing does.

    allow_partial: problems don't. accept: changed and vanished hashes don't.
    """
    name = drafted.lock.benchmark
    touched = [change.name for change in drafted.changes if change.touches_hash]
    if touched and not accept:
        return IntegrityError(
            f"{name}: expected every locked hash to stay, got {len(touched)} that change or go "
            f"({several(touched)}); nothing was written. If the release changed on purpose: mixzoo "
            f"zoo lock {name} --accept"
        )
    if drafted.problems and not allow_partial:
        subjects = [problem.subject for problem in drafted.problems]
        return ManifestError(
            f"{name}: expected a complete and unambiguous release, got {len(subjects)} problems "
            f"({several(subjects)}); nothing was written. Adapt [matching] in the manifest, or lock "
            "the rest with --allow-partial."
        )
    return None


def place_of(benchmark: Benchmark, out: Path | None) -> Path:
    """Where a benchmark's lock is written: as told by a path or a folder, else `new_lock_place`."""
    if out is None:
        return new_lock_place(benchmark.path, benchmark.name)
    return out / lock_path(benchmark.path).name if out.is_dir() else out


def write_lock(path: Path, lock: Lock) -> None:
    """Write a lock file, whole or not at all. Raises UsageError if the folder can't be written."""
    try:
        if path.parent == locks_root():
            path.parent.mkdir(parents=True, exist_ok=True)
        write(path, render_lock(lock))
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise UsageError(
            f"{path}: cannot be written ({reason}). Name another place with --out PATH."
        ) from None


def _remembering(asset: Asset, known: Asset | None) -> Asset:
    """The entry with what was locked of the same file and isn't said today.

    A file counts as the same while its size, and its time of change where both tell it, are.
    """
    if known is None or known.size not in (None, asset.size):
        return asset
    if asset.updated_at and known.updated_at and asset.updated_at != known.updated_at:
        return asset
    if asset.sha256 and known.sha256 and asset.sha256 != known.sha256:
        return asset
    return msgspec.structs.replace(
        asset,
        sha256=asset.sha256 or known.sha256,
        hash_from=asset.hash_from or known.hash_from,
        release_id=asset.release_id if asset.release_id is not None else known.release_id,
        updated_at=asset.updated_at or known.updated_at,
    )


def _forget_older(path: Path, asset: Asset) -> None:
    """Set a cached file aside, and forget its hash, if they are older than the release's file."""
    if asset.updated_at is None:
        return
    changed = datetime.fromisoformat(asset.updated_at).timestamp()
    record = first_use_record(path)
    if path.is_file() and path.stat().st_mtime < changed:
        set_aside(path)
    if record.is_file() and record.stat().st_mtime < changed:
        record.unlink()
