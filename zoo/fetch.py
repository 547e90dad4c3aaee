"""Gets an asset's exact bytes onto this machine.

`decide` looks and says what must be done; `fetch` is the one place that acts: temporary file,
hash while streaming, then an atomic move. A file under its final name is always whole.
"""

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import BinaryIO

from .cache import asset_path
from .catalog import Benchmark
from .errors import IntegrityError, SourceError
from .lock import Asset
from .manifest import Row
from .sources import Location, by_hand, locations, open_stream
from .verify import Status, check, record_first_use


class Action(Enum):
    """What must be done for a file."""

    KEEP = "keep"
    FETCH = "fetch"
    REPLACE = "replace"


def decide(status: Status) -> Action:
    """What a file's state asks for. Pure: nothing is touched."""
    if status is Status.MISSING:
        return Action.FETCH
    return Action.REPLACE if status is Status.CORRUPT else Action.KEEP


def weights_of(benchmark: Benchmark, row: Row) -> Asset:
    """The locked weights of a row. Raises SourceError saying how to get them by hand if unknown."""
    asset = benchmark.asset(row.id, "weights")
    if asset is not None:
        return asset
    places = by_hand(benchmark)
    raise SourceError(
        f"{row.id}: its file name and hash are not locked yet, so it cannot be downloaded"
        + (f". Get it by hand from {places}" if places else "")
        + f", then: mixzoo eval FILE --row {row.id} --data DIR"
    )


def fetch(benchmark: Benchmark, asset: Asset, *, quiet: bool = False) -> tuple[Path, Action]:
    """Have an asset in the cache, whole and verified.

    quiet: no progress bar (there is none either where stderr isn't a terminal).
    Returns its path and what was done. A damaged file is set aside as `<name>.damaged` first.
    Raises SourceError or IntegrityError naming every source that failed; nothing is left behind.
    """
    path = asset_path(benchmark.name, asset)
    action = decide(check(path, asset).status)
    if action is Action.KEEP:
        return path, action
    path.parent.mkdir(parents=True, exist_ok=True)
    if action is Action.REPLACE:
        path.replace(path.with_name(f"{path.name}.damaged"))
    failures: list[SourceError | IntegrityError] = []
    for location in locations(benchmark, asset):
        try:
            _fetch_from(location, asset, path, quiet=quiet)
            return path, action
        except (SourceError, IntegrityError) as error:
            failures.append(error)
    if not failures:
        raise SourceError(f"{asset.name}: the manifest of {benchmark.name} names no source for it.")
    if len(failures) == 1:
        raise failures[0]
    raise type(failures[-1])(
        f"{asset.name}: no source delivered it. " + " ".join(map(str, failures))
    )


def _fetch_from(location: Location, asset: Asset, path: Path, *, quiet: bool) -> None:
    from tqdm import tqdm

    digest = hashlib.sha256()
    with _part_file(path) as part:
        with open_stream(location) as stream:
            total = stream.size or asset.size
            bar = tqdm(
                total=total,
                desc=asset.name,
                unit="B",
                unit_scale=True,
                unit_divisor=1024,
                disable=True if quiet else None,
            )
            with bar:
                for chunk in stream.chunks:
                    part.write(chunk)
                    digest.update(chunk)
                    bar.update(len(chunk))
        _require(asset, part.tell(), digest.hexdigest(), location)
    if asset.sha256 is None:
        record_first_use(path, digest.hexdigest())


def _require(asset: Asset, size: int, sha256: str, location: Location) -> None:
    removed = "The partial file was removed; run again, or try another source."
    if asset.size is not None and size != asset.size:
        raise IntegrityError(
            f"{asset.name} from {location}: expected {asset.size} bytes, got {size}. {removed}"
        )
    if asset.sha256 is not None and sha256 != asset.sha256:
        raise IntegrityError(
            f"{asset.name} from {location}: expected sha256 {asset.sha256[:12]}…, got "
            f"{sha256[:12]}…. {removed}"
        )


@contextmanager
def _part_file(path: Path) -> Iterator[BinaryIO]:
    """A temporary file beside `path` that takes its name when the block ends well."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    part = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.chmod(0o644)  # mkstemp's 0600 would hide a shared cache from colleagues
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
