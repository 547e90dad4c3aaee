"""Says which released file a file from anywhere is: by its hash, else by its name.

Pure decisions: nothing is moved or written. A hash is proof. A name is only a claim, so it never
overrules a locked hash, and where it could mean several things a person has to say which.
"""

import re
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..catalog import Benchmark, Catalog
from ..errors import IntegrityError, MixzooError, UsageError
from ..lock import ASSET_NAME, Asset, Kind
from ..manifest import Row
from .listing import Problem
from .matching import recognise

# What tools write while a download runs: browsers, Baidu's client, aria2, IDM, curl-like tools.
UNFINISHED = (
    ".downloading",
    ".crdownload",
    ".part",
    ".partial",
    ".download",
    ".aria2",
    ".!ut",
    ".tmp",
)
ENDINGS: dict[str, Kind] = {
    ".pth": "weights",
    ".pt": "weights",
    ".ckpt": "weights",
    ".safetensors": "weights",
    ".log.json": "log",
    ".log": "text_log",
    ".zip": "visualisation",
}
_COPY_NUMBER = re.compile(r" ?\(\d+\)(?=\.)")  # `w (1).pth`: the second download of a browser
HEAD = 512  # bytes that tell a web page from a file


@dataclass(frozen=True)
class Arrival:
    """A file that somebody has. mtime_ns: when it last changed. start: its first bytes."""

    path: Path
    size: int
    mtime_ns: int
    sha256: str
    start: bytes

    @property
    def name(self) -> str:
        """Its name without the number that a browser adds to a second download."""
        return _COPY_NUMBER.sub("", self.path.name)


@dataclass(frozen=True)
class Identity:
    """The released file that an arrival is. how: in words. locked: whether the lock has it."""

    benchmark: Benchmark
    asset: Asset
    how: str
    locked: bool = True


@dataclass(frozen=True)
class Unknown:
    """Why an arrival isn't taken for a released file. kind: the error that this is."""

    reason: str
    kind: type[MixzooError] = UsageError


def identify(
    file: Arrival, catalog: Catalog, *, benchmark: str | None = None, row: str | None = None
) -> Identity | Unknown:
    """What a file is. benchmark, row: what a person says that it belongs to.

    Raises UsageError if these name nothing.
    """
    said = catalog.row(row) if row else None
    if said:
        among = [said[0]]
    else:
        among = [catalog.benchmark(benchmark)] if benchmark else list(catalog.benchmarks.values())
    by_hash = [
        Identity(owner, asset, "by its hash")
        for owner in catalog.benchmarks.values()
        for asset in _locked(owner)
        if asset.sha256 == file.sha256
    ]
    for found in by_hash:
        if found.benchmark in among and (not said or found.asset.row == said[1].id):
            return found
    if by_hash:
        return Unknown(f"its hash says that it is {by_hash[0].asset.row}, not {row or benchmark}")
    if fault := _fault(file):
        return fault
    if said:
        return _as_said(file, *said)
    return _by_name(file, among)


def _fault(file: Arrival) -> Unknown | None:
    """What keeps a file from being any released file at all."""
    if file.path.name.casefold().endswith(UNFINISHED):
        return Unknown("it is an unfinished download; let it end first")
    if not file.size:
        return Unknown("it is empty; download it again", IntegrityError)
    if file.start.lstrip().lower().startswith((b"<!doctype", b"<html")):
        reason = "it is a web page: the server sent it in place of the file; download it again"
        return Unknown(reason, IntegrityError)
    return None


def _by_name(file: Arrival, among: Sequence[Benchmark]) -> Identity | Unknown:
    """A file as what its name says: exactly a locked name, else a row by the matching rules."""
    claims = [
        _as_locked(file, benchmark, asset, "by its name")
        for benchmark in among
        for asset in _locked(benchmark)
        if asset.name == file.name
    ]
    owners = [b.name for b in among for asset in _locked(b) if asset.name == file.name]
    problems: list[str] = []
    words = re.split(r"[^a-z0-9]+", file.name.casefold())
    for benchmark in () if claims else [b for b in among if b.name in words] or among:
        found = recognise(file.name, benchmark.manifest)
        if isinstance(found, Problem):
            problems.append(found.reason)
        else:
            claims.append(_as_row(file, benchmark, found.row, found.kind, "by the matching rules"))
            owners.append(benchmark.name)
    if not claims:
        why = problems[0] if len(problems) == 1 else "its name says no row of any benchmark"
        return Unknown(f"no lock knows its hash, and {why}; if you know its row: --row ROW")
    if len(claims) > 1:
        return Unknown(f"its name fits {', '.join(owners)}; say which: --benchmark NAME")
    return claims[0]


def _as_said(file: Arrival, benchmark: Benchmark, row: Row) -> Identity | Unknown:
    """A file of which a person says the row; its ending says the kind."""
    rules: dict[str, Kind] = {
        end: kind for kind, ends in benchmark.manifest.matching.kinds.items() for end in ends
    }
    known = ENDINGS | rules
    fitting = [end for end in known if file.name.casefold().endswith(end.casefold())]
    if not fitting:
        return Unknown(f"expected a name ending in {', '.join(known)}")
    return _as_row(file, benchmark, row.id, known[max(fitting, key=len)], "as you say")


def _as_row(
    file: Arrival, benchmark: Benchmark, row: str, kind: Kind, how: str
) -> Identity | Unknown:
    """A file as the one of this row and kind, locked or not."""
    locked = [asset for asset in _locked(benchmark) if (asset.row, asset.kind) == (row, kind)]
    if len(locked) > 1:
        names = ", ".join(asset.name for asset in locked)
        return Unknown(f"it has the hash of none of {row}'s locked files ({names})", IntegrityError)
    if locked:
        return _as_locked(file, benchmark, locked[0], how)
    ending = "".join(file.path.suffixes[-2:] if kind == "log" else file.path.suffixes[-1:])
    name = file.name if re.match(ASSET_NAME, file.name) else f"{row}{ending}"
    if any(asset.name.casefold() == name.casefold() for asset in _locked(benchmark)):
        return Unknown(f"{name} is the name of another file in the lock; rename it first")
    asset = Asset(row=row, kind=kind, name=name, size=file.size)
    return _unless_cut(file) or Identity(benchmark, asset, how, locked=False)


def _as_locked(file: Arrival, benchmark: Benchmark, asset: Asset, how: str) -> Identity | Unknown:
    """A file as this asset, if the lock doesn't say otherwise."""
    said = f"it should be {asset.name} of {asset.row}"
    if asset.size is not None and asset.size != file.size:
        got = f"expected {asset.size} bytes, got {file.size}; download it again"
        return Unknown(f"{said}, but {got}", IntegrityError)
    if asset.sha256 is not None:  # equal hashes have been found before
        got = f"expected sha256 {asset.sha256[:12]}…, got {file.sha256[:12]}…; download it again"
        return Unknown(f"{said}, but {got}", IntegrityError)
    return _unless_cut(file) or Identity(benchmark, asset, how)


def _unless_cut(file: Arrival) -> Unknown | None:
    """No hash can tell that an unlocked file is whole, but a zip (or torch file) has its list last."""
    if file.start.startswith(b"PK\x03\x04") and not zipfile.is_zipfile(file.path):
        return Unknown("it is cut short: its end is missing; download it again", IntegrityError)
    return None


def _locked(benchmark: Benchmark) -> list[Asset]:
    return list(benchmark.lock.assets) if benchmark.lock else []
