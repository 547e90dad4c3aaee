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
from ..errors import IntegrityError, UsageError
from ..lock import ASSET_NAME, Asset, Kind
from ..manifest import Row
from .matching import Match, Problem, recognise

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


def identify(
    file: Arrival, catalog: Catalog, among: Sequence[Benchmark], row: Row | None = None
) -> Identity:
    """What a file is. among: the benchmarks that a person says it is of, or all of them; row: the
    row that a person says it is of, whose benchmark is the only one of `among`.

    Raises UsageError if it isn't recognised, IntegrityError if it isn't whole.
    """
    names = {benchmark.name for benchmark in among}
    by_hash = list(catalog.recognise(file.sha256))
    for benchmark, asset in by_hash:
        if benchmark.name in names and (row is None or asset.row == row.id):
            return Identity(benchmark, asset, "by its hash")
    if by_hash:
        said = row.id if row else ", ".join(names)
        raise UsageError(f"its hash says that it is {by_hash[0][1].row}, not {said}")
    _require_whole(file)
    return _as_said(file, among[0], row) if row else _by_name(file, among)


def _require_whole(file: Arrival) -> None:
    """Refuse what can't be any released file at all."""
    if file.path.name.casefold().endswith(UNFINISHED):
        raise UsageError("it is an unfinished download; let it end first")
    if not file.size:
        raise IntegrityError("it is empty; download it again")
    if file.start.lstrip().lower().startswith((b"<!doctype", b"<html")):
        raise IntegrityError(
            "it is a web page: the server sent it in place of the file; download it again"
        )


def _by_name(file: Arrival, among: Sequence[Benchmark]) -> Identity:
    """A file as what its name says: exactly a locked name, else a row by the matching rules."""
    locked = [(b, asset) for b in among for asset in b.assets if asset.name == file.name]
    if len(locked) == 1:
        return _as_locked(file, *locked[0], "by its name")
    words = re.split(r"[^a-z0-9]+", file.name.casefold())
    named = [b for b in among if b.name in words] or among
    found = [] if locked else [(b, recognise(file.name, b.manifest)) for b in named]
    matches = [(b, match) for b, match in found if isinstance(match, Match)]
    if len(matches) == 1:
        benchmark, match = matches[0]
        return _as_row(file, benchmark, match.row, match.kind, "by the matching rules")
    if locked or matches:
        fitting = ", ".join(benchmark.name for benchmark, _ in locked or matches)
        raise UsageError(f"its name fits {fitting}; say which: --benchmark NAME")
    problems = [problem.reason for _, problem in found if isinstance(problem, Problem)]
    why = problems[0] if len(problems) == 1 else "its name says no row of any benchmark"
    raise UsageError(f"no lock knows its hash, and {why}; if you know its row: --row ROW")


def _as_said(file: Arrival, benchmark: Benchmark, row: Row) -> Identity:
    """A file of which a person says the row; its ending says the kind."""
    rules: dict[str, Kind] = {
        end: kind for kind, ends in benchmark.manifest.matching.kinds.items() for end in ends
    }
    known = ENDINGS | rules
    fitting = [end for end in known if file.name.casefold().endswith(end.casefold())]
    if not fitting:
        raise UsageError(f"expected a name ending in {', '.join(known)}")
    return _as_row(file, benchmark, row.id, known[max(fitting, key=len)], "as you say")


def _as_row(file: Arrival, benchmark: Benchmark, row: str, kind: Kind, how: str) -> Identity:
    """A file as the one of this row and kind, locked or not."""
    locked = [asset for asset in benchmark.assets if (asset.row, asset.kind) == (row, kind)]
    if len(locked) > 1:
        names = ", ".join(asset.name for asset in locked)
        raise IntegrityError(f"it has the hash of none of {row}'s locked files ({names})")
    if locked:
        return _as_locked(file, benchmark, locked[0], how)
    ending = "".join(file.path.suffixes[-2:] if kind == "log" else file.path.suffixes[-1:])
    name = file.name if re.match(ASSET_NAME, file.name) else f"{row}{ending}"
    if any(asset.name.casefold() == name.casefold() for asset in benchmark.assets):
        raise UsageError(f"{name} is the name of another file in the lock; rename it first")
    _require_end(file)
    asset = Asset(row=row, kind=kind, name=name, size=file.size)
    return Identity(benchmark, asset, how, locked=False)


def _as_locked(file: Arrival, benchmark: Benchmark, asset: Asset, how: str) -> Identity:
    """A file as this asset, if the lock doesn't say otherwise."""
    if asset.size not in (None, file.size):
        differs = f"expected {asset.size} bytes, got {file.size}"
    elif asset.sha256 is not None:  # equal hashes have been found before
        differs = f"expected sha256 {asset.sha256[:12]}…, got {file.sha256[:12]}…"
    else:
        _require_end(file)
        return Identity(benchmark, asset, how)
    raise IntegrityError(
        f"it should be {asset.name} of {asset.row}, but {differs}; download it again"
    )


def _require_end(file: Arrival) -> None:
    """No hash tells that an unlocked file is whole, but a zip (or torch file) has its list last."""
    if file.start.startswith(b"PK\x03\x04") and not zipfile.is_zipfile(file.path):
        raise IntegrityError("it is cut short: its end is missing; download it again")
