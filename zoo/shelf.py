"""What lies in a benchmark's folder of the cache, and what each file there is for.

Beside the released files lie their notes: `NAME.sha256` (hash at first use), `NAME.adopted.json`
(the row that a person said a file belongs to, for rows that no lock knows yet), `.verified.json`
(see `checks`), `.NAME.part*` of downloads, and `NAME.damaged`.
"""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from .cache import asset_path, cache_root, process_lock_path
from .catalog import Benchmark
from .checks import RECORD, write_text
from .errors import ManifestError, SourceError
from .lock import Asset, Kind
from .manifest import Row, convert
from .verify import first_use_record

ADOPTED = ".adopted.json"
_PARTIAL = re.compile(r"\..+\.part(\.json(\.new)?)?")
_DAMAGED = re.compile(r".+\.damaged(\.\d+)?")


class Role(Enum):
    """What a file in the cache is for."""

    ASSET = "asset"  # a locked or an adopted file
    NOTE = "note"  # what is remembered of another file, or of the folder
    ORPHAN = "orphaned note"  # what is remembered of a file that is gone
    PARTIAL = "partial"  # a download that didn't end, or is running
    DAMAGED = "damaged"  # set aside because its bytes were wrong
    FOREIGN = "foreign"  # nothing here knows it


@dataclass(frozen=True)
class Entry:
    """One file in a benchmark's folder. asset: what it is, if its role is ASSET."""

    path: Path
    role: Role
    asset: Asset | None = None


def folder_of(benchmark: str) -> Path:
    """The cache folder of a benchmark's files."""
    return cache_root() / "assets" / benchmark


@contextmanager
def alone(benchmark: str, name: str) -> Iterator[None]:
    """Hold the lock that a download of this file holds. Raises SourceError if one is running."""
    from filelock import FileLock, Timeout

    path = process_lock_path(benchmark, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(path, timeout=0):
            yield
    except Timeout:
        raise SourceError(f"{name}: another process is fetching it; run again later.") from None


def survey(benchmark: Benchmark) -> list[Entry]:
    """All files in a benchmark's folder, sorted by path; links are not followed."""
    folder = folder_of(benchmark.name)
    assets = {asset.name: asset for asset in known_assets(benchmark)}
    return [
        _entry(path, assets if path.parent == folder else {})
        for path in sorted(folder.rglob("*"))
        if path.is_symlink() or not path.is_dir()
    ]


def known_assets(benchmark: Benchmark) -> list[Asset]:
    """The locked assets of a benchmark, and then those that a person has given to its rows."""
    locked = list(benchmark.lock.assets) if benchmark.lock else []
    names = {asset.name for asset in locked}
    return locked + [asset for asset in _adopted(benchmark) if asset.name not in names]


def adopted(benchmark: Benchmark, row: Row, kind: Kind = "weights") -> Asset | None:
    """The file that a person has given to a row by `mixzoo zoo import --row`, if it is here.

    Its hash is None, since no lock vouches for it: the one noted at its import stands in, as for
    every first use.
    """
    found = (a for a in _adopted(benchmark) if (a.row, a.kind) == (row.id, kind))
    return next(found, None)


def note_adoption(benchmark: Benchmark, asset: Asset) -> None:
    """Remember which row and kind an adopted file is, beside the file."""
    facts = {"format": 1, "row": asset.row, "kind": asset.kind}
    path = asset_path(benchmark.name, asset)
    write_text(path.with_name(f"{path.name}{ADOPTED}"), json.dumps(facts) + "\n")


def notes_of(path: Path) -> list[Path]:
    """The notes that lie beside a file and mean nothing without it."""
    notes = (first_use_record(path), path.with_name(f"{path.name}{ADOPTED}"))
    return [note for note in notes if note.exists()]


def _adopted(benchmark: Benchmark) -> list[Asset]:
    """What the notes say, as far as they can be understood and their file is here."""
    assets = []
    for note in sorted(folder_of(benchmark.name).glob(f"*{ADOPTED}")):
        path = note.with_name(note.name.removesuffix(ADOPTED))
        with suppress(OSError, ValueError, KeyError, TypeError, ManifestError):
            facts = json.loads(note.read_text(encoding="utf-8"))
            entry = {"row": facts["row"], "kind": facts["kind"], "name": path.name}
            asset = convert(entry | {"size": path.stat().st_size}, Asset, str(note))
            if benchmark.manifest.row(asset.row):
                assets.append(asset)
    return assets


def _entry(path: Path, assets: dict[str, Asset]) -> Entry:
    name = path.name
    if name in assets:
        return Entry(path, Role.ASSET, assets[name])
    if name == RECORD:
        return Entry(path, Role.NOTE)
    if _PARTIAL.fullmatch(name):
        return Entry(path, Role.PARTIAL)
    if _DAMAGED.fullmatch(name):
        return Entry(path, Role.DAMAGED)
    for suffix in (".sha256", ADOPTED):
        if name.endswith(suffix):
            here = path.with_name(name.removesuffix(suffix)).is_file()
            return Entry(path, Role.NOTE if here else Role.ORPHAN)
    return Entry(path, Role.FOREIGN)
