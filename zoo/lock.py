"""The lock file: which assets a benchmark has, byte for byte.

It stands beside the manifest as `<name>.lock.json` and holds only what has been seen: asset names,
sizes and hashes are never guessed.
"""

import json
from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta

from .errors import ManifestError
from .manifest import Count, Facts, Name, RowId, Sha256, convert

AssetName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]*$")]  # never a path
Kind = Literal["weights", "log", "text_log", "visualisation"]


class Asset(Facts, frozen=True, kw_only=True):
    """One released file. `sha256` None means not known yet: the first download is trusted."""

    row: RowId
    kind: Kind
    name: AssetName
    size: Count | None = None  # bytes
    sha256: Sha256 | None = None
    hash_from: Literal["published digest", "first use", "built by this repository"] | None = None


class Lock(Facts, frozen=True, kw_only=True):
    """All assets of one benchmark."""

    format: Literal[1]
    benchmark: Name
    assets: list[Asset]


def parse_lock(text: str, origin: str, *, benchmark: str, rows: set[str]) -> Lock:
    """Read and check a lock file.

    text: JSON. origin: file name for messages. benchmark, rows: what its manifest says.
    Raises ManifestError if it isn't valid, belongs to another benchmark, names a row that the
    manifest doesn't have, or gives two assets one name.
    """
    try:
        content = json.loads(text)
    except ValueError as error:
        raise ManifestError(f"{origin}: not valid JSON: {error}. Correct the file.") from None
    lock = convert(content, Lock, origin)
    if lock.benchmark != benchmark:
        raise ManifestError(
            f"{origin}: field 'benchmark': expected {benchmark!r}, got {lock.benchmark!r}."
        )
    names: set[str] = set()
    for asset in lock.assets:
        if asset.row not in rows:
            raise ManifestError(
                f"{origin}: asset {asset.name!r}, field 'row': expected a row of the manifest, "
                f"got {asset.row!r}."
            )
        if asset.name in names:
            raise ManifestError(f"{origin}: asset {asset.name!r} stands twice; names are unique.")
        names.add(asset.name)
    return lock


def lock_path(manifest: Path) -> Path:
    """Where the lock file of a manifest file lies: `inat2018.toml` -> `inat2018.lock.json`."""
    return manifest.with_name(f"{manifest.stem}.lock.json")
