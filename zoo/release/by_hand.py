"""Takes files that a person downloaded by hand into the cache, verified, by hard link or copy.

For sources that no program can use (Baidu Cloud asks for a person and a code), for machines without
a network, and for colleagues with a disk. `identify` decides what a file is; here it gets its place.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..cache import asset_path, cache_root
from ..catalog import Catalog
from ..errors import IntegrityError, MixzooError, SourceError, UsageError
from ..files import OnBytes, ignore, sha256_of, sha256_of_open, size_of
from ..lock import SINGLE, Asset
from ..net.partial import Partial
from ..parallel import each_in_parallel
from ..shelf import alone, known_assets, note_adoption
from ..verify import State, check, first_use, first_use_record, record_first_use, set_aside
from .identify import HEAD, Arrival, Identity, Unknown, identify
from .placing import Mode, place


@dataclass(frozen=True)
class Adoption:
    """What became of one file, adopted or not.

    what: "linked", "copied", "already here" or "refused". detail: how it was recognised, or why it
    was refused. row, kind, path: of the file in the cache. error: the kind of a refusal.
    """

    file: Path
    what: str
    detail: str
    sha256: str | None = None
    row: str | None = None
    kind: str | None = None
    path: Path | None = None
    locked: bool = False
    error: type[MixzooError] | None = None


def find_files(paths: Sequence[Path]) -> list[Path]:
    """The files named, and all files below the folders named, each once.

    Hidden files below folders are left out, and what lies in the cache already; links to folders
    are not followed. Raises UsageError for a path that isn't there or is neither file nor folder.
    """
    found: list[Path] = []
    cache = cache_root().resolve()
    for path in paths:
        if path.is_dir():
            inside = (p for p in sorted(path.rglob("*")) if p.is_file())
            found += [p for p in inside if not _hidden(p.relative_to(path))]
        elif path.is_file():
            found.append(path)
        else:
            problem = "is no file or folder" if path.exists() else "does not exist"
            raise UsageError(f"{path}: expected a file or a folder, but it {problem}.")
    unique: dict[Path, Path] = {}
    for path in found:
        unique.setdefault(path.resolve(), path)
    return [path for real, path in unique.items() if not real.is_relative_to(cache)]


def import_files(
    files: Sequence[Path],
    catalog: Catalog,
    *,
    benchmark: str | None = None,
    row: str | None = None,
    mode: Mode = Mode.AUTO,
    on_bytes: OnBytes = ignore,
) -> list[Adoption]:
    """Recognise files and have them in the cache; one adoption per file, in order.

    benchmark, row: what a person says that all of them belong to. One bad file doesn't stop the
    others. on_bytes: told how many more bytes have been read to recognise them.
    Raises UsageError if benchmark or row name nothing.
    """
    if benchmark and row and catalog.row(row)[0].name != benchmark:
        raise UsageError(
            f"--row {row} is no row of {benchmark}; give one of --benchmark and --row."
        )
    sizes = [size_of(path) for path in files]
    adoptions = []
    for path, seen in zip(files, each_in_parallel(_look, files, sizes, on_bytes), strict=True):
        if isinstance(seen, OSError):
            reason = f"cannot be read: {seen.strerror}"
            adoptions.append(Adoption(path, "refused", reason, error=SourceError))
            continue
        identity = identify(seen, catalog, benchmark=benchmark, row=row)
        if isinstance(identity, Unknown):
            adoptions.append(_refused(seen, identity.reason, identity.kind))
        else:
            adoptions.append(adopt(seen, identity, mode))
    return adoptions


def adopt(file: Arrival, identity: Identity, mode: Mode = Mode.AUTO) -> Adoption:
    """Give a recognised file its place in the cache.

    A damaged file in its place is set aside; a good one is never touched.
    """
    path = asset_path(identity.benchmark.name, identity.asset)
    try:
        what = _put(file, identity, path, mode)
    except MixzooError as error:
        return _refused(file, str(error), type(error))
    except OSError as error:
        return _refused(file, f"{path} cannot be written: {error.strerror}", SourceError)
    return Adoption(
        file.path,
        what,
        identity.how,
        file.sha256,
        identity.asset.row,
        identity.asset.kind,
        path,
        locked=identity.asset.sha256 is not None,
    )


def _put(file: Arrival, identity: Identity, path: Path, mode: Mode) -> str:
    _require_free_place(file, identity)
    _require_same_as_before(file, identity.asset, path)
    if _is_whole(file, identity.asset, path):
        _note(file, identity, path)
        return "already here"
    path.parent.mkdir(parents=True, exist_ok=True)
    with alone(identity.benchmark.name, identity.asset.name):
        if path.exists() and not _is_whole(file, identity.asset, path):
            set_aside(path)
        what = place(file, path, mode)
        _note(file, identity, path)
        Partial(path).reset()  # what a download had of it isn't needed any more
    return what


def _require_free_place(file: Arrival, identity: Identity) -> None:
    """One file per name, and one of each single kind per row: none replaces another silently."""
    new = identity.asset
    for asset in () if identity.locked else known_assets(identity.benchmark):
        same_row = (asset.row, asset.kind) == (new.row, new.kind)
        same_name = asset.name.casefold() == new.name.casefold()
        if same_name != same_row and (same_name or new.kind in SINGLE):
            there = asset_path(identity.benchmark.name, asset)
            raise UsageError(
                f"{there} is there as {asset.kind} of {asset.row}; remove it first to have "
                f"{file.path.name} as {new.kind} of {new.row}"
            )


def _require_same_as_before(file: Arrival, asset: Asset, path: Path) -> None:
    """A file that no lock vouches for must be the one that was trusted on first use, if one was."""
    if asset.sha256 is not None:
        return
    before, what = first_use(path), "was first used"
    if before is None and path.is_file():
        before, what = sha256_of(path), "is there"
    if before not in (None, file.sha256):
        raise IntegrityError(
            f"{path} {what} with sha256 {before[:12]}…, this one has {file.sha256[:12]}…; if this "
            f"one is right, remove {path.name} and {first_use_record(path).name} there first"
        )


def _is_whole(file: Arrival, asset: Asset, path: Path) -> bool:
    finding = check(path, asset)
    return finding.state in (State.VERIFIED, State.FIRST_USE) and finding.sha256 == file.sha256


def _note(file: Arrival, identity: Identity, path: Path) -> None:
    if identity.asset.sha256 is None and first_use(path) is None:
        record_first_use(path, file.sha256)
    if not identity.locked and identity.asset not in known_assets(identity.benchmark):
        note_adoption(identity.benchmark, identity.asset)


def _look(path: Path, on_bytes: OnBytes) -> Arrival | OSError:
    """Read a file once: its hash, and what `identify` wants to know."""
    try:
        with path.open("rb", buffering=0) as file:
            start = file.read(HEAD)
            file.seek(0)
            sha256 = sha256_of_open(file, on_bytes)
            stat = os.fstat(file.fileno())
    except OSError as error:
        return error
    return Arrival(path, stat.st_size, stat.st_mtime_ns, sha256, start)


def _refused(file: Arrival, reason: str, kind: type[MixzooError]) -> Adoption:
    return Adoption(file.path, "refused", reason, file.sha256, error=kind)


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)
