"""The training logs of rows that are on this machine, audited; nothing is fetched from a network."""

from functools import lru_cache
from pathlib import Path

from ...eval.logs import Claim, LogAudit, audit_files, claim_of
from ...eval.logs.sources import KINDS
from ...zoo.cache import asset_path
from ...zoo.catalog import Benchmark, Catalog
from ...zoo.errors import IntegrityError, SourceError
from ...zoo.lock import Asset
from ...zoo.manifest import Row
from ...zoo.net.fetch import fetch
from ...zoo.net.sources import locations
from ...zoo.shelf import adopted
from ...zoo.verify import Status, check


def rows_with_logs(catalog: Catalog) -> list[str]:
    """Ids of the rows whose log can be read without a network."""
    return [row.id for benchmark, row in catalog if log_path(benchmark, row)]


def log_path(benchmark: Benchmark, row: Row) -> Path | None:
    """Where a row's log lies, or will lie once it has been copied from this machine, if it is here."""
    asset = _asset(benchmark, row)
    if asset is None:
        return None
    path = asset_path(benchmark.name, asset)
    return path if path.is_file() or _is_local(benchmark, asset) else None


def audit_row(benchmark: Benchmark, row: Row) -> LogAudit:
    """The audit of a row's log against the published number.

    Raises SourceError if the log isn't here, IntegrityError if it isn't the locked one, DataError
    if it can't be read.
    """
    asset, path = _asset(benchmark, row), log_path(benchmark, row)
    if asset is None or path is None:
        raise SourceError(f"{row.id}: its training log isn't here. See the Zoo tab.")
    if _is_local(benchmark, asset):
        fetch(benchmark, asset, quiet=True)
    facts = path.stat()
    claim = claim_of(benchmark.manifest, row)
    return _audit(path, asset, claim, (facts.st_mtime_ns, facts.st_size))


@lru_cache(maxsize=64)
def _audit(path: Path, asset: Asset, claim: Claim, state: tuple[int, int]) -> LogAudit:
    """An audit, made once as long as the file has this time and size."""
    del state
    finding = check(path, asset)
    if finding.status is Status.CORRUPT:
        raise IntegrityError(
            f"{path.name}: expected the locked file, got another ({finding.detail}). "
            f"Fetch it again: mixzoo zoo download {asset.row} --logs"
        )
    return audit_files([path], claim, name=claim.row)


def _asset(benchmark: Benchmark, row: Row) -> Asset | None:
    found = (benchmark.asset(row.id, kind) or adopted(benchmark, row, kind) for kind in KINDS)
    return next((asset for asset in found if asset), None)


def _is_local(benchmark: Benchmark, asset: Asset) -> bool:
    return any(not place.is_remote for place in locations(benchmark, asset))
