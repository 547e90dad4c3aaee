"""Finds the logs of rows and the rows of logs, and audits what was asked for."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from ...zoo import files, shelf
from ...zoo.catalog import Benchmark, Catalog, open_catalog
from ...zoo.errors import IntegrityError, MixzooError, SourceError, UsageError
from ...zoo.lock import Asset
from ...zoo.looks import command
from ...zoo.manifest import Row
from ...zoo.net.fetch import fetch
from ...zoo.refs import is_path
from ...zoo.release.learn import files_of_row
from ...zoo.verify import check
from .audit import LogAudit, audit_files, claim_of
from .summaries import RULES, Claim

FORMAT = 2
SUFFIXES = frozenset({".json", ".log", ".txt", ".csv"})


@dataclass(frozen=True)
class Request:
    """What is to be audited.

    refs: log files and row ids; a benchmark names all its rows. row: the one that files are held
    against, else they are recognised by their hash. join: the files are of one run, pieces or its
    two logs; `NAME.log` and `NAME.log.json` are so without it.
    everything, benchmark: every row whose log is here, instead of refs. images, last: instead of
    the row's. epochs: of the whole run, if not to be found out. manifests: further ones.
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
    """Audit each log that is asked for; rows' logs are fetched if they aren't here.

    One that can't be read doesn't stop the others. Raises UsageError for a request that contradicts
    itself or an unknown row, and SourceError where none of a whole table's logs is here.
    """
    from tqdm import tqdm

    catalog = open_catalog(request.manifests)
    jobs, missing = _asked(request, catalog)
    audits: list[LogAudit] = []
    errors: list[MixzooError] = []
    for job in tqdm(jobs, desc="logs", disable=None if len(jobs) > 1 else True, leave=False):
        try:
            paths, claim, name = job()
            claim = replace(
                claim, images=request.images or claim.images, last=request.last or claim.last
            )
            audits.append(audit_files(paths, claim, epochs=request.epochs, name=name))
        except MixzooError as error:
            errors.append(error)
    return Audits(tuple(audits), tuple(errors), missing)


def audit_of_row(benchmark: Benchmark, row: Row) -> LogAudit | None:
    """The audit of a row's log, made once as long as its files stay as they are.

    A row's two logs are compared where both are here. None if the bytes of the one with more
    decimals would have to be fetched from a network, or there is none. Raises IntegrityError if a
    file isn't the locked one, DataError if it can't be read.
    """
    found = shelf.log(benchmark, row)
    if found.asset is None or not found.local:
        return None
    paths, assets = [], _logs_here(benchmark, row)
    for asset in assets:
        path = shelf.of_asset(benchmark, asset).path
        paths.append(path if path and path.is_file() else fetch(benchmark, asset))
    states = tuple((path.stat().st_mtime_ns, path.stat().st_size) for path in paths)
    return _audited(tuple(paths), assets, claim_of(benchmark.manifest, row), states)


def _logs_here(benchmark: Benchmark, row: Row) -> tuple[Asset, ...]:
    """A row's logs that are here, the one with more decimals first."""
    known = [shelf.file(benchmark, row, kind) for kind in shelf.LOGS]
    return tuple(one.asset for one in known if one.asset and one.local)


@lru_cache(maxsize=64)
def _audited(
    paths: Sequence[Path], assets: Sequence[Asset], claim: Claim, _states: tuple[object, ...]
) -> LogAudit:
    for path, asset in zip(paths, assets, strict=True):
        finding = check(path, asset)
        if finding.state is shelf.State.DAMAGED:
            raise IntegrityError(
                f"{path.name}: expected the locked file, got another ({finding.detail}). "
                f"Fetch it again: {command('zoo', 'download', asset.row, '--logs')}"
            )
    return audit_files(paths, claim, name=assets[0].row)


_Job = Callable[[], tuple[Sequence[Path], Claim, str]]  # files, what they are held against, name


def _asked(request: Request, catalog: Catalog) -> tuple[list[_Job], tuple[str, ...]]:
    """What finds each log that is asked for, and of whole tables the rows whose log isn't here."""
    refs, whole = request.refs, request.everything or request.benchmark
    paths = [Path(ref) for ref in refs if is_path(ref, SUFFIXES)]
    names = [ref for ref in refs if not is_path(ref, SUFFIXES)]
    if whole and (refs or request.row or request.join):
        raise UsageError(
            "--all and --benchmark take every row; expected no FILE or ROW beside. Leave it out."
        )
    if not whole and not refs:
        raise UsageError(
            "expected a FILE, a ROW, --benchmark NAME or --all. See: mixzoo logs --help"
        )
    if names and (request.row or request.join):
        raise UsageError(
            f"--row and --join go with files, but {names[0]} names a row. Name a file, or leave "
            "them out."
        )
    if request.benchmark:
        names = [catalog.benchmark(request.benchmark).name]
    rows = catalog.select(names) if whole or names else ()
    here = [owner for owner in rows if not whole or shelf.log(*owner).local]
    missing = tuple(row.id for benchmark, row in rows if (benchmark, row) not in here)
    if rows and not here:
        raise SourceError(
            f"no log of {len(missing)} rows is here. Fetch them: "
            f"{rows[0][0].command('zoo', 'download', rows[0][0].name, '--logs')}"
        )
    runs: dict[object, list[Path]] = {}
    for path in paths:
        runs.setdefault(None if request.join else _stem(path), []).append(path)
    jobs: list[_Job] = [partial(_run, run, catalog, request.row) for run in runs.values()]
    return jobs + [partial(_log, row.id, catalog) for _, row in here], missing


def _stem(path: Path) -> str:
    """What the two logs that mmcv writes of a run have in common."""
    return str(path).removesuffix(".json") if path.name.endswith(".log.json") else str(path)


def _run(paths: Sequence[Path], catalog: Catalog, row_id: str | None) -> tuple[Any, Claim, str]:
    """The files of one run, held against the row of this id, or one of their hashes."""
    for path in paths:
        files.require_no_pipe(path)
        if not path.is_file():
            problem = "is a folder; name its files" if path.is_dir() else "does not exist"
            raise UsageError(f"{path}: expected a log file, but it {problem}. Name a file.")
    known = (found for path in paths for found in catalog.recognise(files.sha256_of(path)))
    ids = [row_id] if row_id else [one.row for _, one in known if one.kind in shelf.LOGS]
    owner = catalog.row(ids[0]) if ids else None
    claim = claim_of(owner[0].manifest, owner[1]) if owner else Claim()
    return paths, claim, " + ".join(map(str, paths))


def _log(row_id: str, catalog: Catalog) -> tuple[Any, Claim, str]:
    """A row's released log, and its other one if it is here, too.

    Raises what `files_of_row` raises if none is known.
    """
    benchmark, row, (log, *_) = files_of_row(catalog, row_id, shelf.LOGS)
    assets = dict.fromkeys((log, *_logs_here(benchmark, row)))
    paths = [fetch(benchmark, asset) for asset in assets]
    return paths, claim_of(benchmark.manifest, row), row.id
