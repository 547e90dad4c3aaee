"""The training logs of rows that are on this machine, audited; nothing is fetched from a network."""

from functools import lru_cache
from pathlib import Path

from ...eval.logs import Claim, LogAudit, audit_files, claim_of
from ...zoo import shelf
from ...zoo.catalog import Benchmark, Catalog
from ...zoo.errors import IntegrityError, SourceError
from ...zoo.lock import Asset
from ...zoo.manifest import Row
from ...zoo.net.fetch import fetch
from ...zoo.verify import State, check


def rows_with_logs(catalog: Catalog) -> list[str]:
    """Ids of the rows whose log can be read without a network."""
    return [row.id for benchmark, row in catalog if log_path(benchmark, row)]


def log_path(benchmark: Benchmark, row: Row) -> Path | None:
    """Where a row's log lies, or will lie once it has been copied from this machine, if it is here."""
    found = shelf.log(benchmark, row)
    return found.path if found.local else None


def audit_row(benchmark: Benchmark, row: Row) -> LogAudit:
    """The audit of a row's log against the published number.

    Raises SourceError if the log isn't here, IntegrityError if it isn't the locked one, DataError
    if it can't be read.
    """
    found = shelf.log(benchmark, row)
    if found.asset is None or found.path is None or not found.local:
        raise SourceError(f"{row.id}: its training log isn't here. See the Zoo tab.")
    if not found.path.is_file():
        fetch(benchmark, found.asset, quiet=True)
    facts = found.path.stat()
    claim = claim_of(benchmark.manifest, row)
    return _audit(found.path, found.asset, claim, (facts.st_mtime_ns, facts.st_size))


@lru_cache(maxsize=64)
def _audit(path: Path, asset: Asset, claim: Claim, state: tuple[int, int]) -> LogAudit:
    """An audit, made once as long as the file has this time and size."""
    del state
    finding = check(path, asset)
    if finding.state is State.DAMAGED:
        raise IntegrityError(
            f"{path.name}: expected the locked file, got another ({finding.detail}). "
            f"Fetch it again: mixzoo zoo download {asset.row} --logs"
        )
    return audit_files([path], claim, name=claim.row)
