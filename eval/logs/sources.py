"""Finds the log files of rows, and the rows of log files."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ...zoo import shelf
from ...zoo.catalog import Benchmark, Catalog
from ...zoo.errors import SourceError, UsageError
from ...zoo.files import sha256_of
from ...zoo.manifest import Row
from ...zoo.net.fetch import fetch
from ...zoo.net.sources import by_hand
from .audit import Claim, LogAudit, audit_files, claim_of

SUFFIXES = frozenset({".json", ".log", ".txt"})


@dataclass(frozen=True)
class LogSource:
    """One run's files, and what they are held against. name: row id or path."""

    name: str
    paths: tuple[Path, ...]
    claim: Claim


def is_log_path(ref: str) -> bool:
    """Whether a reference is meant as a file: it exists, or looks like a path or a log."""
    path = Path(ref)
    return path.exists() or path.suffix in SUFFIXES or len(path.parts) > 1


def named(
    refs: Sequence[str], catalog: Catalog, row_id: str | None, *, join: bool
) -> list[Callable[[], LogSource]]:
    """What finds the logs that were named: files first, then rows; a benchmark names all its rows.

    row_id: see `from_files`. join: all files are one run, else each is. Nothing is read or fetched
    yet. Raises UsageError where `row_id` or `join` meets a row.
    """
    files = [Path(ref) for ref in refs if is_log_path(ref)]
    names = [ref for ref in refs if not is_log_path(ref)]
    if names and (row_id or join):
        raise UsageError(f"--row and --join go with files, but {names[0]} names a row.")
    runs = ([files] if files else []) if join else [[file] for file in files]
    rows = catalog.select(names) if names else ()
    found: list[Callable[[], LogSource]] = [
        partial(from_files, run, catalog, row_id) for run in runs
    ]
    return found + [partial(from_row, benchmark, row) for benchmark, row in rows]


def from_files(paths: Sequence[Path], catalog: Catalog, row_id: str | None) -> LogSource:
    """The files of one run as a source.

    row_id: the row that they are held against; without it a file is recognised by its hash.
    Raises UsageError for an unknown row, or what isn't a file.
    """
    for path in paths:
        if not path.is_file():
            problem = "is a folder; name its files" if path.is_dir() else "does not exist"
            raise UsageError(f"{path}: expected a log file, but it {problem}.")
    owner = catalog.row(row_id) if row_id else _recognise(paths, catalog)
    claim = claim_of(owner[0].manifest, owner[1]) if owner else Claim()
    return LogSource(" + ".join(map(str, paths)), tuple(paths), claim)


def from_row(benchmark: Benchmark, row: Row) -> LogSource:
    """A row's released log, fetched if it isn't here.

    Raises SourceError if no log of it is known, saying how to get one by hand; and what `fetch` raises.
    """
    asset = shelf.log(benchmark, row).asset
    if asset is None:
        places = by_hand(benchmark)
        raise SourceError(
            f"{row.id}: no log of it is locked, so it cannot be fetched"
            + (f". Get it by hand from {places}" if places else "")
            + f", then: mixzoo zoo import FILE --row {row.id}, or: mixzoo logs FILE --row {row.id}"
        )
    path = fetch(benchmark, asset)
    return LogSource(row.id, (path,), claim_of(benchmark.manifest, row))


def audit_of_row(benchmark: Benchmark, row: Row) -> LogAudit | None:
    """The audit of a row's log, None if its bytes would have to be fetched, or there is none.

    Raises DataError if it can't be read.
    """
    if not shelf.log(benchmark, row).local:
        return None
    source = from_row(benchmark, row)
    return audit_files(source.paths, source.claim, name=source.name)


def _recognise(paths: Sequence[Path], catalog: Catalog) -> tuple[Benchmark, Row] | None:
    hashes = {sha256_of(path) for path in paths}
    for benchmark in catalog.benchmarks.values():
        for asset in benchmark.lock.assets if benchmark.lock else ():
            if asset.kind in shelf.LOGS and asset.sha256 in hashes:
                return catalog.row(asset.row)
    return None
