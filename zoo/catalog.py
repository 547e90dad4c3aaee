"""All benchmarks that are known here: the package's own and those a user adds.

A benchmark from outside is a manifest file (and a lock file beside it), named with `--manifest`
or in the environment variable MIXZOO_MANIFESTS (files or folders, separated like PATH).
"""

import difflib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path

from .cache import locks_root
from .errors import ManifestError, UsageError
from .lock import Asset, Kind, Lock, lock_path, read_lock
from .manifest import Manifest, Row, read_manifest

PACKAGE = "mixzoo"
ENVIRONMENT = "MIXZOO_MANIFESTS"


@dataclass(frozen=True)
class Benchmark:
    """A manifest, its lock if there is one, and the file it came from."""

    manifest: Manifest
    lock: Lock | None
    path: Path

    @property
    def name(self) -> str:
        """The benchmark's name, the last part of its row ids."""
        return self.manifest.name

    @property
    def assets(self) -> list[Asset]:
        """The locked assets; none where there is no lock."""
        return self.lock.assets if self.lock else []

    def asset(self, row_id: str, kind: Kind = "weights") -> Asset | None:
        """The locked asset of a row, or None if the lock doesn't have it."""
        return next((a for a in self.assets if a.row == row_id and a.kind == kind), None)


@dataclass(frozen=True)
class Catalog:
    """Benchmarks by name, in order of discovery: the package's first."""

    benchmarks: dict[str, Benchmark] = field(default_factory=dict)

    def __iter__(self) -> Iterator[tuple[Benchmark, Row]]:
        for benchmark in self.benchmarks.values():
            for row in benchmark.manifest.rows:
                yield benchmark, row

    def benchmark(self, name: str) -> Benchmark:
        """The benchmark of this name. Raises UsageError with the nearest names."""
        if name not in self.benchmarks:
            raise UsageError(_unknown("benchmark", name, list(self.benchmarks)))
        return self.benchmarks[name]

    def row(self, row_id: str) -> tuple[Benchmark, Row]:
        """The row of this id and its benchmark. Raises UsageError with the nearest ids."""
        for benchmark, row in self:
            if row.id == row_id:
                return benchmark, row
        raise UsageError(_unknown("row", row_id, [row.id for _, row in self]))

    def recognise(self, sha256: str) -> Iterator[tuple[Benchmark, Asset]]:
        """The locked assets that have this hash, and their benchmarks."""
        for benchmark in self.benchmarks.values():
            for asset in benchmark.assets:
                if asset.sha256 == sha256:
                    yield benchmark, asset

    def select(self, names: Sequence[str]) -> list[tuple[Benchmark, Row]]:
        """Rows named by benchmark or row id, each once, in the order named; all if none is named.

        Raises UsageError for a name that is neither.
        """
        chosen: dict[str, tuple[Benchmark, Row]] = {}
        for name in names or self.benchmarks:
            if name in self.benchmarks:
                found = [(b, row) for b, row in self if b.name == name]
            else:
                found = [self.row(name)]
            chosen.update({row.id: (benchmark, row) for benchmark, row in found})
        return list(chosen.values())


def open_catalog(extra: Sequence[Path] = ()) -> Catalog:
    """Read the package's manifests, those of MIXZOO_MANIFESTS and the `extra` files or folders.

    Raises ManifestError if a file is invalid or two files claim one benchmark name.
    """
    named = [Path(entry) for entry in os.environ.get(ENVIRONMENT, "").split(os.pathsep) if entry]
    paths = sorted(package_path("manifests").glob("*.toml"))
    for path in [*named, *extra]:
        paths += sorted(path.glob("*.toml")) if path.is_dir() else [path]
    benchmarks: dict[str, Benchmark] = {}
    for path in dict.fromkeys(path.absolute() for path in paths):
        benchmark = _read(path)
        if benchmark.name in benchmarks:
            raise ManifestError(
                f"{path}: field 'name': {benchmark.name!r} is taken by "
                f"{benchmarks[benchmark.name].path}; expected another name."
            )
        benchmarks[benchmark.name] = benchmark
    return Catalog(benchmarks)


def package_path(folder: str) -> Path:
    """A folder of the installed package as a path."""
    return Path(str(resources.files(PACKAGE))) / folder


def _read(path: Path) -> Benchmark:
    manifest = read_manifest(path)
    beside = lock_path(path)
    lock = read_lock(beside, manifest) or read_lock(locks_root() / beside.name, manifest)
    return Benchmark(manifest, lock, path)


def _unknown(what: str, name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return f"No {what} {name!r}.{hint} See: mixzoo zoo list"
