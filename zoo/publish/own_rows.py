"""Adds rows with their files to a manifest of one's own: a source that is a folder beside it.

The files are copied there under names that carry their hash, so nothing published is overwritten,
and the manifest, its lock and its folder can be moved or shared together.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from ..catalog import Benchmark, Catalog, open_catalog
from ..errors import ManifestError, UsageError
from ..files import alone, sha256_of, write
from ..lock import SINGLE, Asset, Kind, Lock, lock_path, render_lock
from ..manifest import FileSource, Manifest, Matching, Row, manifest_text, slug, with_row
from ..release.by_hand import copy

ENDINGS: dict[Kind, str] = {"log": ".log.json", "text_log": ".log", "visualisation": ".zip"}


@dataclass(frozen=True)
class AddedRow:
    """A row that stands in a manifest now. new: whether it didn't before.

    files: its own, in the folder of the manifest's source.
    """

    row: Row
    manifest: Path
    files: tuple[Path, ...]
    new: bool


def manifest_for(target: Path, base: Benchmark, catalog: Catalog) -> Manifest:
    """The manifest at `target`, or one to be made there with the data, protocol and rule of `base`.

    Raises UsageError if the new one's name, which is the file's, can't be a benchmark's.
    """
    if base.path == target:
        return base.manifest
    name = slug(target.stem)
    if not name or name in catalog.benchmarks:
        taken = f"{name!r} is the name of another benchmark" if name else "it has no letters"
        raise UsageError(f"{target}: can't be a manifest's file name: {taken}. Choose another.")
    return msgspec.structs.replace(
        base.manifest,
        name=name,
        title=f"Own runs on {base.manifest.dataset.name}",
        homepage=None,
        paper=None,
        rows=[],
        sources=[FileSource(path=f"{target.stem}.files")],
        matching=Matching(),
        training=None,  # runs of one's own may have any recipe
    )


def add_row(
    target: Path, manifest: Manifest, row: Row, files: Mapping[Kind, Path], *, force: bool = False
) -> AddedRow:
    """Copy a row's files beside the manifest at `target`, and write the row and its locked hashes.

    manifest: of `manifest_for`. files: its weights and, where there is one, its log. Several
    processes take turns; each state on the way is valid. A row that stands there with these very
    weights and number is left as it is; another one is replaced if `force`.
    Raises UsageError if it isn't, or if the manifest has no source of kind "file".
    """
    folder = target.parent / _source(manifest, target).path
    assets = [
        Asset.of(row.id, kind, path, "built by this repository", f"{row.id}-{{}}{ending}")
        for kind, path in files.items()
        for ending in (ENDINGS.get(kind, path.suffix),)
    ]
    folder.mkdir(parents=True, exist_ok=True)
    with alone(target.with_name(f".{target.name}.lock"), waiting=lambda: None):
        # As it is now: another process may have added a row since it was read.
        own = open_catalog([target]).benchmark(manifest.name) if target.is_file() else None
        before = own.manifest.row(row.id) if own else None
        known = own.assets if own else []
        if own and before and not force:
            _require_same(own, before, row, assets)
        for asset in assets:
            path = folder / asset.name
            if not (path.is_file() and sha256_of(path) == asset.sha256):
                # Not a link: a run's log grows in place if the run goes on.
                copy(files[asset.kind], path, asset.sha256 or "")
        if own is None:
            write(target, manifest_text(msgspec.structs.replace(manifest, rows=[row])))
        elif before != row:
            write(target, with_row(target.read_text(encoding="utf-8"), row))
        if any(asset not in known for asset in assets):
            # After the manifest: a lock must not name a row that isn't there.
            kept = [a for a in known if a.row != row.id or a.kind not in SINGLE]
            lock = Lock(format=1, benchmark=manifest.name, assets=kept + assets)
            write(lock_path(target), render_lock(lock))
    return AddedRow(row, target, tuple(folder / asset.name for asset in assets), before is None)


def _source(manifest: Manifest, target: Path) -> FileSource:
    found = next((s for s in manifest.sources if isinstance(s, FileSource)), None)
    if found is None:
        raise ManifestError(
            f'{target}: expected a source of kind "file" to put weights into, got none. Add: '
            '[[sources]] kind = "file" path = "weights"'
        )
    return found


def _require_same(own: Benchmark, before: Row, row: Row, assets: list[Asset]) -> None:
    """A row that stands there may get a first number and first weights, but no others."""
    locked = own.asset(row.id)
    same_number = before.reported_top1 in (None, row.reported_top1)
    if same_number and (locked is None or locked.sha256 in [asset.sha256 for asset in assets]):
        return
    raise UsageError(
        f"{own.path}: has {row.id} already, with other weights or another number "
        f"({before.reported_top1}). Give --force to replace it, or --id with a tag of its own."
    )
