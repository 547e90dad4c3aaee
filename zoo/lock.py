"""The lock file: which assets a benchmark has, byte for byte.

It stands beside the manifest as `<name>.lock.json` and holds only what has been seen: asset names,
sizes and hashes are never guessed.
"""

import json
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from .errors import ManifestError, wall
from .files import sha256_of
from .manifest import Count, Facts, Manifest, Name, RowId, Sha256, convert, each_once, text_of

ASSET_NAME = r"^[A-Za-z0-9][A-Za-z0-9._+-]{0,199}\Z"  # never a path; short enough for its notes

AssetName = Annotated[str, Meta(pattern=ASSET_NAME)]
# UTC, as GitHub writes it
Time = Annotated[str, Meta(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ\Z")]
Kind = Literal["weights", "log", "text_log", "visualisation"]
HashFrom = Literal["published digest", "first use", "built by this repository"]
LOGS: tuple[Kind, ...] = ("log", "text_log")  # the one with more decimals first
SINGLE: frozenset[Kind] = frozenset({"weights", *LOGS})  # a row has at most one of each


class Asset(Facts, frozen=True, kw_only=True):
    """One released file. `sha256` None means not known yet: the first download is trusted.

    assigned: a person said which row it is of, so its name is never asked again.
    """

    row: RowId
    kind: Kind
    name: AssetName
    size: Count | None = None  # bytes
    sha256: Sha256 | None = None
    hash_from: HashFrom | None = None
    release_id: Count | None = None  # GitHub's number of the release that has it
    updated_at: Time | None = None  # when GitHub last saw it change
    assigned: bool = False

    @classmethod
    def of(cls, row: str, kind: Kind, path: Path, whence: HashFrom, name: str = "") -> "Asset":
        """The asset that a file is, with its size and hash. name: {} is where its hash goes."""
        sha256 = sha256_of(path)
        name = name.format(sha256[:8]) or path.name
        size = path.stat().st_size
        return cls(row=row, kind=kind, name=name, size=size, sha256=sha256, hash_from=whence)


class Lock(Facts, frozen=True, kw_only=True):
    """All assets of one benchmark."""

    format: Literal[1]
    benchmark: Name
    assets: list[Asset]


def parse_lock(text: str, origin: str, manifest: Manifest) -> Lock:
    """Read and check a lock file.

    text: JSON. origin: file name for messages. manifest: of the same benchmark.
    Raises ManifestError if it isn't valid, belongs to another benchmark, names a row that the
    manifest doesn't have, gives two assets one name, or one row two weights or two logs.
    """
    with wall(ManifestError, f"{origin}: not valid JSON", "Correct the file, or remove it."):
        content = json.loads(text, object_pairs_hook=each_once)
    lock = convert(content, Lock, origin)
    if lock.benchmark != manifest.name:
        raise ManifestError(
            f"{origin}: field 'benchmark': expected {manifest.name!r}, got {lock.benchmark!r}. Is "
            "it another benchmark's lock?"
        )
    rows = {row.id for row in manifest.rows}
    names: set[str] = set()
    places: set[tuple[str, Kind]] = set()
    for asset in lock.assets:
        if asset.row not in rows:
            raise ManifestError(
                f"{origin}: asset {asset.name!r}, field 'row': expected a row of the manifest, "
                f"got {asset.row!r}. Correct it, or lock again."
            )
        if asset.name.casefold() in names:  # Windows and macOS keep both in one file
            raise ManifestError(
                f"{origin}: asset {asset.name!r} stands twice; names are unique. Remove one."
            )
        if (asset.row, asset.kind) in places and asset.kind in SINGLE:
            raise ManifestError(
                f"{origin}: row {asset.row!r} has a second asset of kind {asset.kind!r}, "
                f"{asset.name!r}; expected one. Remove the other."
            )
        names.add(asset.name.casefold())
        places.add((asset.row, asset.kind))
    return lock


def read_lock(path: Path, manifest: Manifest) -> Lock | None:
    """The lock file at `path`, None if there is none. Raises ManifestError if it isn't valid."""
    if not path.is_file():
        return None
    return parse_lock(text_of(path, "a lock"), str(path), manifest)


def render_lock(lock: Lock) -> str:
    """A lock as the text of its file: the same lock always gives the same bytes.

    Optional facts that aren't known are left out, except the hash: `null` says so aloud.
    """
    content = msgspec.to_builtins(lock)
    content["assets"] = [
        {
            name: fact
            for name, fact in asset.items()
            if name == "sha256" or not (fact is None or fact is False)
        }
        for asset in content["assets"]
    ]
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def lock_path(manifest: Path) -> Path:
    """Where the lock file of a manifest file lies: `inat2018.toml` -> `inat2018.lock.json`."""
    return manifest.with_name(f"{manifest.stem}.lock.json")
