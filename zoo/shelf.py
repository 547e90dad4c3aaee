"""Is this row's file here, where, whole, and with which hash? And what else lies in the cache?

Beside the released files lie their notes: `NAME.sha256` (hash at first use), `NAME.adopted.json`
(the row that a person said a file belongs to, for rows that no lock knows yet), `.verified.json`
(what the last full check saw), `.NAME.part*` of downloads, and `NAME.damaged`.
"""

import json
import re
from collections.abc import Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from . import files
from .cache import asset_path, assets_folder, process_lock_path
from .catalog import Benchmark, Catalog
from .errors import ManifestError, SourceError, wall
from .lock import LOGS, Asset, Kind
from .manifest import PackageSource, Row, convert
from .net.partial import Partial
from .net.sources import askable, locations
from .verify import FIRST_USE, RECORD, State, first_use, first_use_record, recall

ADOPTED = ".adopted.json"
# What a file in the cache is for. "note": what is remembered of another file, or of the folder;
# "orphaned note": what is remembered of a file that is gone.
Role = Literal["asset", "note", "orphaned note", "partial", "damaged", "foreign"]
_PARTIAL = re.compile(r"\..+\.part(\.json)?")
_DAMAGED = re.compile(r".+\.damaged(\.\d+)?")

RULES = {
    State.UNKNOWN: "no lock names its file yet; a download, or "
    "`mixzoo zoo lock BENCHMARK`, asks the release for the names first",
    State.ABSENT: "its name, size and hash are locked, so it can be downloaded",
    State.PACKAGED: "the package carries it; it is copied, and its hash compared, at its first use",
    State.PARTIAL: "a download that hasn't ended; the next one goes on where it stopped",
    State.HERE: "its hash was compared when it arrived; a check reads it again",
    State.FIRST_USE: "no lock knows its hash; its bytes are still those of its first use",
    State.VERIFIED: "every byte was compared with the lock, and the file hasn't changed since",
    State.DAMAGED: "not the locked bytes: it is never used; a download replaces it",
    State.FOREIGN: "it lies in the cache, but no lock knows it",
}
UNLISTED = "no source lists its files: train and publish the row first"


def rule(benchmark: Benchmark, state: State) -> str:
    """What a state means for this benchmark, whose release can be asked or not."""
    unlisted = state == State.UNKNOWN and not askable(benchmark.manifest)
    return f"no lock names its file, and {UNLISTED}" if unlisted else RULES[state]


@dataclass(frozen=True)
class OnShelf:
    """A row's file of one kind, as far as it can be known without reading it.

    asset: its locked or imported entry, path: where it lies or would lie; both None if nobody knows
    its name. sha256: the locked hash, else the one noted at its first use. local: whether its bytes
    can be had without a network, from the cache, the package, or a folder that the manifest names.
    """

    asset: Asset | None
    path: Path | None
    state: State
    sha256: str | None
    local: bool

    @property
    def is_here(self) -> bool:
        """Whether it lies in the cache, and nothing speaks against its bytes."""
        return self.state in (State.HERE, State.FIRST_USE, State.VERIFIED)


def file(benchmark: Benchmark, row: Row, kind: Kind = "weights") -> OnShelf:
    """What is known of a row's file: the locked one, else the one that a person has imported."""
    found = benchmark.asset(row.id, kind) or next(
        (a for a in _adopted(benchmark) if (a.row, a.kind) == (row.id, kind)), None
    )
    if found is None:
        return OnShelf(None, None, State.UNKNOWN, None, local=False)
    return of_asset(benchmark, found)


def log(benchmark: Benchmark, row: Row) -> OnShelf:
    """What is known of a row's training log: of the kind with more decimals, if there are two."""
    found = [file(benchmark, row, kind) for kind in LOGS]
    return next((one for one in found if one.asset), found[0])


def of_asset(benchmark: Benchmark, asset: Asset) -> OnShelf:
    """What is known of one known asset (see `known_assets`)."""
    path = asset_path(benchmark.name, asset)
    state = recall(path, asset).state
    packaged = any(isinstance(source, PackageSource) for source in benchmark.manifest.sources)
    if state is State.ABSENT and Partial(path).received:
        state = State.PARTIAL
    elif state is State.ABSENT and packaged:
        state = State.PACKAGED
    places = [path, *(place.address for place in locations(benchmark, asset))]
    local = any(isinstance(place, Path) and place.is_file() for place in places)
    return OnShelf(asset, path, state, asset.sha256 or first_use(path), local)


def known_assets(benchmark: Benchmark, row: Row | None = None) -> list[Asset]:
    """The locked assets of a benchmark, and then those that a person has given to its rows.

    row: only this row's.
    """
    locked = benchmark.assets
    names = {asset.name for asset in locked}
    known = locked + [asset for asset in _adopted(benchmark) if asset.name not in names]
    return [asset for asset in known if row is None or asset.row == row.id]


def note_adoption(benchmark: Benchmark, asset: Asset) -> None:
    """Remember which row and kind an imported file is, beside the file.

    Its hash is None, since no lock vouches for it: the one noted at its import stands in, as for
    every first use.
    """
    facts = {"format": 1, "row": asset.row, "kind": asset.kind}
    path = asset_path(benchmark.name, asset)
    files.write(path.with_name(f"{path.name}{ADOPTED}"), json.dumps(facts) + "\n")


def alone(benchmark: str, name: str) -> AbstractContextManager[None]:
    """Hold the lock that a download of this file holds. Raises SourceError if one is running."""

    def busy() -> None:
        raise SourceError(f"{name}: another process is fetching it; run again later.")

    return files.alone(process_lock_path(benchmark, name), waiting=busy)


def survey(benchmark: Benchmark) -> dict[Path, Role]:
    """What each file in a benchmark's folder is for, sorted by path; links are not followed."""
    folder = assets_folder(benchmark.name)
    roles: dict[Path, Role] = dict.fromkeys(first_uses(benchmark), "note")
    roles |= {folder / asset.name: "asset" for asset in known_assets(benchmark)}
    return {path: roles.get(path) or _role(path) for path in files_below(folder)}


def first_uses(benchmark: Benchmark) -> set[Path]:
    """Where the first use of locked files is noted. The notes stay when the files go.

    So a later download is still held against what was trusted once.
    """
    return {first_use_record(asset_path(benchmark.name, asset)) for asset in benchmark.assets}


def files_below(folder: Path) -> list[Path]:
    """Files and links in a folder and its folders, sorted by path."""
    return [path for path in sorted(folder.rglob("*")) if path.is_symlink() or not path.is_dir()]


def files_of(catalog: Catalog, names: Sequence[str] = ()) -> list[tuple[Path, Asset | None]]:
    """All files of the rows and benchmarks named, here or not; of all if none is named.

    With a benchmark come the foreign files in its folder, whose asset is None. Raises UsageError
    for a name of neither.
    """
    rows: dict[str, set[str]] = {}
    for benchmark, row in catalog.select(names):
        rows.setdefault(benchmark.name, set()).add(row.id)
    found: list[tuple[Path, Asset | None]] = []
    for name, chosen in rows.items():
        benchmark = catalog.benchmark(name)
        assets = [asset for asset in known_assets(benchmark) if asset.row in chosen]
        found += [(asset_path(name, asset), asset) for asset in assets]
        if not names or name in names:
            roles = survey(benchmark).items()
            found += [(path, None) for path, role in roles if role == "foreign"]
    return found


def notes_of(path: Path) -> list[Path]:
    """The notes that lie beside a file and mean nothing without it."""
    notes = (first_use_record(path), path.with_name(f"{path.name}{ADOPTED}"))
    return [note for note in notes if note.exists()]


def _adopted(benchmark: Benchmark) -> list[Asset]:
    """What the notes say, as far as they can be understood and their file is here."""
    assets = []
    for note in sorted(assets_folder(benchmark.name).glob(f"*{ADOPTED}")):
        path = note.with_name(note.name.removesuffix(ADOPTED))
        with suppress(ManifestError), wall(ManifestError, note):
            facts = json.loads(note.read_text(encoding="utf-8"))
            entry = {"row": facts["row"], "kind": facts["kind"], "name": path.name}
            asset = convert(entry | {"size": path.stat().st_size}, Asset, str(note))
            if benchmark.manifest.row(asset.row):
                assets.append(asset)
    return assets


def _role(path: Path) -> Role:
    """What a file that is no asset is for, by its name."""
    name = path.name
    if name == RECORD:
        return "note"
    if _PARTIAL.fullmatch(name):
        return "partial"
    if _DAMAGED.fullmatch(name):
        return "damaged"
    for suffix in (FIRST_USE, ADOPTED):
        if name.endswith(suffix):
            here = path.with_name(name.removesuffix(suffix)).is_file()
            return "note" if here else "orphaned note"
    return "foreign"
