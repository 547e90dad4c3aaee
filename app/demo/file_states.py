"""What is known of a released file on this machine, in a word, without reading the file."""

from collections.abc import Mapping
from pathlib import Path

from ...zoo.cache import asset_path
from ...zoo.catalog import Benchmark
from ...zoo.checks import read_checks, unchanged
from ...zoo.lock import Asset
from ...zoo.manifest import PackageSource
from ...zoo.net.partial import Partial
from ...zoo.verify import Finding, Status, check_all

VERIFIED = "verified"
HERE = "here"
FIRST_USE = "trusted on first use"
DAMAGED = "damaged"
INTERRUPTED = "interrupted"
IN_PACKAGE = "in the package"
MISSING = "not downloaded"
NOT_LOCKED = "not locked"

RULES = {
    VERIFIED: "every byte was read and compared with the lock, and the file hasn't changed since",
    HERE: "its hash was compared when it arrived; Verify reads it again",
    FIRST_USE: "no lock knows its hash; its bytes are still those of its first use",
    DAMAGED: "not the locked bytes: it is never used; a download replaces it",
    INTERRUPTED: "a download that hasn't ended; the next one goes on where it stopped",
    IN_PACKAGE: "the package carries it; it is copied, and its hash compared, at its first use",
    MISSING: "its name, size and hash are locked, so it can be downloaded",
    NOT_LOCKED: "the release's file names and hashes aren't known here, so it can't be downloaded",
}
_WORDS = {Status.OK: VERIFIED, Status.UNLOCKED: FIRST_USE, Status.CORRUPT: DAMAGED}


def state_of(benchmark: Benchmark, asset: Asset, findings: Mapping[Path, Finding]) -> str:
    """A word of RULES for a file. findings: of a check that has just been made, by path."""
    path = asset_path(benchmark.name, asset)
    if path in findings and findings[path].status in _WORDS:
        return _WORDS[findings[path].status]
    if path.is_file():
        return _of_file(path, asset)
    if Partial(path).received:
        return INTERRUPTED
    sources = benchmark.manifest.sources
    return IN_PACKAGE if any(isinstance(s, PackageSource) for s in sources) else MISSING


def _of_file(path: Path, asset: Asset) -> str:
    facts, seen = path.stat(), read_checks(path.parent).get(path.name)
    if asset.size not in (None, facts.st_size):
        return DAMAGED
    if seen is None or not unchanged(seen, facts):
        return HERE
    (finding,) = check_all([(path, asset)], quick=True)  # believes what the last full check saw
    return _WORDS.get(finding.status, HERE)
