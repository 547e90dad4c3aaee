"""Finds the logs of rows and the rows of logs, and audits what was asked for."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from ...zoo import files, shelf
from ...zoo.catalog import Benchmark, Catalog, open_catalog
from ...zoo.errors import IntegrityError, MixzooError, SourceError, UsageError
from ...zoo.lock import Asset
from ...zoo.manifest import Row
from ...zoo.net.fetch import fetch
from ...zoo.net.sources import by_hand
from ...zoo.refs import is_path
from ...zoo.verify import check
from .audit import LogAudit, audit_files, claim_of
from .summaries import RULES, Claim

FORMAT = 2
SUFFIXES = frozenset({".json", ".log", ".txt"})


@dataclass(frozen=True)
class LogSource:
    """One run's log, not read yet: files, or the one that is released for a row.

    name: row id or path. claim: what it is held against.
    """

    name: str
    claim: Claim
    files: tuple[Path, ...] = ()
    owner: tuple[Benchmark, Row] | None = None

    def audit(
        self, *, images: int | None = None, epochs: int | None = None, last: int | None = None
    ) -> LogAudit:
        """Audit the log; a row's is fetched if it isn't here.

        images, last: instead of the claim's. epochs: of the whole run, if not to be found out.
        Raises DataError if it can't be read, SourceError if no log of the row is known (saying how
        to get one by hand), and what `fetch` raises.
        """
        claim = replace(
            self.claim, images=images or self.claim.images, last=last or self.claim.last
        )
        paths = self.files if self.owner is None else (_fetched(*self.owner),)
        return audit_files(paths, claim, epochs=epochs, name=self.name)


@dataclass(frozen=True)
class Request:
    """What is to be audited.

    refs: log files and row ids; a benchmark names all its rows. row: the one that files are held
    against, else they are recognised by their hash. join: the files are pieces of one run.
    everything, benchmark: every row whose log is here, instead of refs. images, epochs, last: see
    `LogSource.audit`. manifests: further ones.
    """

    refs: Sequence[str] = ()
    row: str | None = None
    join: bool = False
    everything: bool = False
    benchmark: str | None = None
    images: int | None = None
    epochs: int | None = None
    last: int | None = None
    manifests: Sequence[Path] = ()


@dataclass(frozen=True)
class Audits:
    """missing: rows whose log isn't here. errors: one for each log that couldn't be read."""

    audits: tuple[LogAudit, ...]
    errors: tuple[MixzooError, ...]
    missing: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON, with the meaning of the verdicts that it names."""
        said = {audit.verdict for audit in self.audits}
        return {
            "format": FORMAT,
            "logs": [audit.to_dict() for audit in self.audits],
            "missing": list(self.missing),
            "errors": [str(error) for error in self.errors],
            "verdicts": {word: rule for word, rule in RULES.items() if word in said},
        }


def audit_all(request: Request) -> Audits:
    """Audit each log that is asked for. One that can't be read doesn't stop the others.

    Raises UsageError for a request that contradicts itself, an unknown row or file, and SourceError
    where none of a table's logs is here.
    """
    from tqdm import tqdm

    sources, missing = find(request)
    audits: list[LogAudit] = []
    errors: list[MixzooError] = []
    for source in tqdm(
        sources, desc="logs", disable=None if len(sources) > 1 else True, leave=False
    ):
        try:
            audits.append(
                source.audit(images=request.images, epochs=request.epochs, last=request.last)
            )
        except MixzooError as error:
            errors.append(error)
    return Audits(tuple(audits), tuple(errors), tuple(missing))


def find(request: Request) -> tuple[list[LogSource], list[str]]:
    """The logs that are asked for, and of whole tables the rows whose log isn't here."""
    catalog = open_catalog(request.manifests)
    if not request.everything and not request.benchmark:
        return _named(request, catalog), []
    if request.refs or request.row or request.join:
        raise UsageError("--all and --benchmark take every row; expected no FILE or ROW beside.")
    names = [catalog.benchmark(request.benchmark).name] if request.benchmark else []
    rows = catalog.select(names)
    here = [source_of_row(*owner) for owner in rows if shelf.log(*owner).local]
    missing = [row.id for benchmark, row in rows if not shelf.log(benchmark, row).local]
    if not here:
        raise SourceError(
            f"no log of {len(missing)} rows is here. Fetch them: mixzoo zoo download NAME --logs; or "
            "adopt what a person fetched: mixzoo zoo import FILE..."
        )
    return here, missing


def source_of_row(benchmark: Benchmark, row: Row) -> LogSource:
    """A row's released log."""
    return LogSource(row.id, claim_of(benchmark.manifest, row), owner=(benchmark, row))


def audit_of_row(benchmark: Benchmark, row: Row) -> LogAudit | None:
    """The audit of a row's log, made once as long as its file stays as it is.

    None if its bytes would have to be fetched from a network, or there is none. Raises
    IntegrityError if the file isn't the locked one, DataError if it can't be read.
    """
    found = shelf.log(benchmark, row)
    if found.asset is None or not found.local:
        return None
    path = found.path if found.path and found.path.is_file() else fetch(benchmark, found.asset)
    facts = path.stat()
    claim = claim_of(benchmark.manifest, row)
    return _audited(path, found.asset, claim, (facts.st_mtime_ns, facts.st_size))


@lru_cache(maxsize=64)
def _audited(path: Path, asset: Asset, claim: Claim, _state: tuple[int, int]) -> LogAudit:
    finding = check(path, asset)
    if finding.state is shelf.State.DAMAGED:
        raise IntegrityError(
            f"{path.name}: expected the locked file, got another ({finding.detail}). "
            f"Fetch it again: mixzoo zoo download {asset.row} --logs"
        )
    return audit_files([path], claim, name=asset.row)


def source_of_files(paths: Sequence[Path], catalog: Catalog, row_id: str | None) -> LogSource:
    """The files of one run.

    row_id: the row that they are held against; without it a file is recognised by its hash.
    Raises UsageError for an unknown row, or what isn't a file.
    """
    for path in paths:
        if not path.is_file():
            problem = "is a folder; name its files" if path.is_dir() else "does not exist"
            raise UsageError(f"{path}: expected a log file, but it {problem}.")
    owner = catalog.row(row_id) if row_id else _recognise(paths, catalog)
    claim = claim_of(owner[0].manifest, owner[1]) if owner else Claim()
    return LogSource(" + ".join(map(str, paths)), claim, tuple(paths))


def _named(request: Request, catalog: Catalog) -> list[LogSource]:
    """Files first, then rows."""
    paths = [Path(ref) for ref in request.refs if is_path(ref, SUFFIXES)]
    names = [ref for ref in request.refs if not is_path(ref, SUFFIXES)]
    if not request.refs:
        raise UsageError(
            "expected a FILE, a ROW, --benchmark NAME or --all. See: mixzoo logs --help"
        )
    if names and (request.row or request.join):
        raise UsageError(f"--row and --join go with files, but {names[0]} names a row.")
    runs: Iterable[list[Path]] = [paths] if request.join else ([path] for path in paths)
    found = [source_of_files(run, catalog, request.row) for run in runs]
    return found + [source_of_row(*owner) for owner in (catalog.select(names) if names else ())]


def _fetched(benchmark: Benchmark, row: Row) -> Path:
    asset = shelf.log(benchmark, row).asset
    if asset is None:
        places = by_hand(benchmark)
        raise SourceError(
            f"{row.id}: no log of it is locked, so it cannot be fetched"
            + (f". Get it by hand from {places}" if places else "")
            + f", then: mixzoo zoo import FILE --row {row.id}, or: mixzoo logs FILE --row {row.id}"
        )
    return fetch(benchmark, asset)


def _recognise(paths: Sequence[Path], catalog: Catalog) -> tuple[Benchmark, Row] | None:
    for path in paths:
        for _, asset in catalog.recognise(files.sha256_of(path)):
            if asset.kind in shelf.LOGS:
                return catalog.row(asset.row)
    return None
