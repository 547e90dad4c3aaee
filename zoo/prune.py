"""Says what in the cache can go and how much that frees, and removes it.

Never offered by itself: intact files that a lock or a person vouches for, and folders of benchmarks
that no manifest here knows (their manifest may only not be named this time). Both go by name. What
a locked file was at its first use stays noted in any case.
"""

from collections.abc import Collection, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from .cache import asset_path, assets_folder, cache_root
from .catalog import Benchmark, Catalog
from .errors import MixzooError
from .shelf import alone, files_below, first_uses, known_assets, notes_of, survey
from .verify import read_checks

Reason = Literal["partial", "damaged", "superseded", "foreign", "orphaned note", "named"]
REASONS: tuple[Reason, ...] = ("partial", "damaged", "superseded", "foreign", "orphaned note")


@dataclass(frozen=True)
class Removable:
    """A file that can go. frees: bytes; 0 if the same bytes have another name (a hard link)."""

    path: Path
    benchmark: str
    reason: Reason
    frees: int
    detail: str = ""


def removable(
    catalog: Catalog, names: Sequence[str] = (), only: Collection[Reason] = REASONS
) -> list[Removable]:
    """What can go, sorted by path; nothing is touched.

    names: benchmarks (also such that are only in the cache) or row ids: all of their files.
    only: without names, the reasons that count. Raises UsageError for a name of neither.
    """
    if not names:
        found = [item for owner in catalog.benchmarks.values() for item in _left_over(owner)]
        return [item for item in found if item.reason in only]
    by_path = {item.path: item for name in names for item in _named(catalog, name)}
    return [by_path[path] for path in sorted(by_path)]


def unknown_folders(catalog: Catalog) -> list[str]:
    """Names of folders in the cache that belong to no benchmark known here."""
    root = cache_root() / "assets"
    folders = sorted(path.name for path in root.iterdir() if path.is_dir()) if root.is_dir() else []
    return [name for name in folders if name not in catalog.benchmarks]


def remove(items: Sequence[Removable], catalog: Catalog) -> int:
    """Remove these files, and folders that are empty then. Returns the bytes that were freed.

    One that can't be removed, or is being downloaded, doesn't keep the others. Raises MixzooError
    at the end if there was one.
    """
    freed, failures = 0, []
    for item in items:
        try:
            with _undisturbed(item, catalog):
                item.path.unlink(missing_ok=True)
            freed += item.frees
        except OSError as error:
            failures.append(f"{item.path}: {error.strerror}")
        except MixzooError as error:
            failures.append(str(error))
    for folder in sorted({item.path.parent for item in items}, reverse=True):
        with suppress(OSError):  # not empty
            folder.rmdir()
    if failures:
        raise MixzooError(
            f"{len(failures)} of {len(items)} files could not be removed. Check who may write "
            f"there. First: {failures[0]}."
        )
    return freed


def _left_over(benchmark: Benchmark) -> Iterator[Removable]:
    """What a benchmark's folder holds and nobody needs."""
    read = read_checks(assets_folder(benchmark.name))
    known = {asset.name: asset for asset in known_assets(benchmark)}
    for path, role in survey(benchmark).items():
        superseded, mine = "", known.get(path.name)
        locked = benchmark.asset(mine.row, mine.kind) if mine else None
        if locked not in (None, mine) and asset_path(benchmark.name, locked).is_file():
            superseded = f"{locked.name} of the lock is here"
        elif role == "foreign" and (path.name in read or notes_of(path)):
            superseded = "a lock knew it once, today's doesn't"
        if superseded:
            for file in (path, *notes_of(path)):
                yield _item(file, benchmark.name, "superseded", superseded)
        elif role == "foreign":
            detail = "no lock knows it, and mixzoo didn't put it here"
            yield _item(path, benchmark.name, role, detail)
        elif role not in ("asset", "note"):
            yield _item(path, benchmark.name, role)


def _named(catalog: Catalog, name: str) -> list[Removable]:
    if name in unknown_folders(catalog):
        return [_item(path, name, "named") for path in files_below(assets_folder(name))]
    if name in catalog.benchmarks:
        benchmark, here = catalog.benchmarks[name], files_below(assets_folder(name))
    else:
        benchmark, row = catalog.row(name)
        files = [asset_path(benchmark.name, asset) for asset in known_assets(benchmark, row)]
        here = [path for file in files for path in (file, *notes_of(file)) if path.is_file()]
    kept = first_uses(benchmark)
    return [_item(path, benchmark.name, "named") for path in here if path not in kept]


def _item(path: Path, benchmark: str, reason: Reason, detail: str = "") -> Removable:
    state = path.lstat()
    frees = state.st_size if state.st_nlink == 1 else 0
    return Removable(path, benchmark, reason, frees, detail)


def _undisturbed(item: Removable, catalog: Catalog) -> AbstractContextManager[None]:
    """Wait for nobody, but leave alone what another process is fetching."""
    owner = catalog.benchmarks.get(item.benchmark)
    name = item.path.name
    for asset in known_assets(owner) if owner else ():
        if name == asset.name or name.startswith((f".{asset.name}.", f"{asset.name}.")):
            return alone(item.benchmark, asset.name)
    return nullcontext()
