"""All benchmarks that are known here: the package's own and those a user adds.

A benchmark from outside is a manifest file, named with `--manifest` or in the environment variable
MIXZOO_MANIFESTS (files or folders, separated like PATH). One that has the name of a benchmark
of the package is laid over that one: the environment's over the package's, `--manifest` over both.
A file that can't be read stops no other benchmark: its error comes when its benchmark is wanted.
"""

import difflib
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from importlib import resources
from pathlib import Path
from typing import Any

from msgspec import structs

from .cache import LOCKS_ENVIRONMENT, locks_root
from .errors import ManifestError, UsageError, several
from .files import as_typed
from .lock import Asset, Kind, Lock, lock_path, read_lock
from .looks import command, naming
from .manifest import HttpSource, Manifest, Row, laid_over, manifest_of, parse_facts, text_of
from .net.hosts import shown
from .net.progress import tell

PACKAGE = "mixzoo"
ENVIRONMENT = "MIXZOO_MANIFESTS"


@dataclass(frozen=True)
class Benchmark:
    """A manifest, its lock if there is one, and the file it came from.

    over: files of a user's that were laid over it. named: what `--manifest` must name for it.
    """

    manifest: Manifest
    lock: Lock | None
    path: Path
    over: tuple[Path, ...] = ()
    named: tuple[Path, ...] = ()

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

    @property
    def options(self) -> list[str]:
        """What a command needs to know this benchmark wherever it came from."""
        return naming(self.named)

    @property
    def images(self) -> list[str]:
        """The images that a command needs: in a manifest's own folder, else in a DIR to be named."""
        dataset = self.manifest.dataset
        if dataset.drawn_by_package:
            return []
        own = (path.parent for path in self.named for name in dataset.val.annotations
               if (path.parent / name).is_file())  # fmt: skip
        return ["--data", str(next(own, "DIR"))]

    def command(self, *words: object) -> str:
        """A command for people to copy, which knows this benchmark."""
        return command(*words, *self.options)


@dataclass(frozen=True)
class Catalog:
    """Benchmarks by name, in order of discovery: the package's first.

    broken: benchmarks that can't be used, and why; a file whose name can't be read is among them
    under the file's own. asked: benchmarks whose release was asked, and what was left unclear.
    """

    benchmarks: dict[str, Benchmark] = field(default_factory=dict)
    broken: dict[str, ManifestError] = field(default_factory=dict)
    asked: dict[str, Sequence[Any]] = field(default_factory=dict)

    def __iter__(self) -> Iterator[tuple[Benchmark, Row]]:
        for benchmark in self.benchmarks.values():
            for row in benchmark.manifest.rows:
                yield benchmark, row

    def benchmark(self, name: str) -> Benchmark:
        """The benchmark of this name.

        Raises UsageError with the nearest names, ManifestError if its files can't be read.
        """
        if name not in self.benchmarks:
            raise self._missing("benchmark", name, list(self.benchmarks))
        return self.benchmarks[name]

    def row(self, row_id: str) -> tuple[Benchmark, Row]:
        """The row of this id and its benchmark.

        Raises UsageError with the nearest ids, ManifestError if its benchmark can't be read.
        """
        for benchmark, row in self:
            if row.id == row_id:
                return benchmark, row
        raise self._missing("row", row_id, [row.id for _, row in self])

    def command(self, verb: str, ref: str, *words: object) -> str:
        """A command for people to copy, on the images of a row, or of a file's own data set."""
        of = next((benchmark for benchmark, row in self if row.id == ref), None)
        images = of.images if of else ["--data", "DIR"]
        return command(verb, ref, *images, *words, *(of.options if of else ()))

    def relocked(self, name: str) -> Benchmark:
        """A benchmark with its lock as it lies on the disk now; this catalog has it from here on."""
        old = self.benchmark(name)
        self.benchmarks[name] = new = replace(old, lock=_lock_of(old.path, old.manifest))
        return new

    def mirrored(self, addresses: Sequence[str]) -> "Catalog":
        """The same, where files are looked for at these web addresses first, in this order.

        Raises UsageError for what is no web address.
        """
        if wrong := [shown(one) for one in addresses if not re.match(r"https?://[^/?#]", one)]:
            raise UsageError(
                f"--mirror {wrong[0]}: expected the address of a folder, https://... or "
                "http://...; Name it alone: the names of files are appended."
            )
        mirrors = [HttpSource(url=one) for one in addresses]
        changed = {
            name: replace(one, manifest=structs.replace(one.manifest, sources=sources))
            for name, one in self.benchmarks.items()
            for sources in [[*mirrors, *one.manifest.sources]]
        }
        return replace(self, benchmarks=changed)

    def recognise(self, sha256: str) -> Iterator[tuple[Benchmark, Asset]]:
        """The locked assets that have this hash, and their benchmarks."""
        for benchmark in self.benchmarks.values():
            for asset in benchmark.assets:
                if asset.sha256 == sha256:
                    yield benchmark, asset

    def select(self, names: Sequence[str]) -> list[tuple[Benchmark, Row]]:
        """Rows named by benchmark or row id, each once, in the order named; all if none is named.

        Raises UsageError for a name that is neither, ManifestError for one that can't be read; if
        none is named, what can't be read is told and left out.
        """
        for error in () if names else self.broken.values():
            tell(f"Left out: {error}")
        chosen: dict[str, tuple[Benchmark, Row]] = {}
        for name in names or self.benchmarks:
            if name in self.benchmarks:
                found = [(b, row) for b, row in self if b.name == name]
            else:
                found = [self.row(name)]
            chosen.update({row.id: (benchmark, row) for benchmark, row in found})
        return list(chosen.values())

    def _missing(self, what: str, name: str, known: list[str]) -> ManifestError | UsageError:
        """Why there is no such name."""
        for one, error in self.broken.items():
            if name == one or (what == "row" and name.endswith(f"_{one}")):
                return error
        cutoff, own = 0.6, ""
        if what == "row":
            of = max((b for b in self.benchmarks if name.endswith(f"_{b}")), key=len, default="")
            known = [row for row in known if row.endswith(f"_{of}")] if of else known
            cutoff = 0.0 if of else cutoff
            given = of or any(b.named for b in self.benchmarks.values())
            own = "" if given else " A row of your own takes --manifest FILE."
        named = [row.id for b, row in self if what == "row" and b.named and row.id in known]
        tries = (known, 0.95), (named, 0.6), (known, cutoff)  # a slip of the finger comes first
        close = (difflib.get_close_matches(name, among, 1, least) for among, least in tries)
        near = next(filter(None, close), [])
        hint = f" Did you mean {near[0]!r}?" if near else ""
        broken = [str(error) for error in self.broken.values()]
        hint += f" It may stand in what can't be read: {several(broken, ' ')}" if broken else ""
        return UsageError(f"No {what} {name!r}.{hint}{own} See: {command('zoo', 'list')}")


def open_catalog(extra: Sequence[Path] = ()) -> Catalog:
    """Read the package's manifests, those of MIXZOO_MANIFESTS and the `extra` files or folders.

    Raises ManifestError if one of the package's files, or a file named in `extra`, is invalid;
    other errors wait in the catalog's `broken`.
    """
    environment = [Path(one) for one in os.environ.get(ENVIRONMENT, "").split(os.pathsep) if one]
    listed = dict.fromkeys(_manifests_in(package_path("manifests")))
    for path in environment:
        listed |= dict.fromkeys(_manifests_in(path))
    for path in extra:
        for one in _manifests_in(path):
            if path.is_file() or one not in listed:  # what is named itself lies on top
                listed.pop(one, None)
                listed[one] = path
    facts: dict[str, dict[str, Any]] = {}
    benchmarks: dict[str, Benchmark] = {}
    broken: dict[str, ManifestError] = {}
    for path, named in listed.items():
        name = path.stem
        try:
            own = parse_facts(text_of(path, "a manifest"), str(path))
            name = str(own.get("name", name))
            below = benchmarks.get(name)
            facts[name] = _joined(facts[name], own, below, path) if below else own
            benchmarks[name] = Benchmark(
                manifest=manifest_of(facts[name], str(path)),
                lock=None,
                path=below.path if below else path,
                over=(*below.over, path) if below else (),
                named=(*(below.named if below else ()), *([named] if named else [])),
            )
        except ManifestError as error:
            error = broken.get(name, error)  # of what it was to be laid over
            if (named and named.absolute() == path) or in_package(path):
                raise error from None
            broken[name] = error
            benchmarks.pop(name, None)
    for name, benchmark in list(benchmarks.items()):
        try:
            lock = _lock_of(benchmark.path, benchmark.manifest)
            benchmarks[name] = replace(benchmark, lock=lock)
        except ManifestError as error:
            broken[name] = error
            del benchmarks[name]
    return Catalog(benchmarks, broken)


def package_path(folder: str) -> Path:
    """A folder of the installed package as a path."""
    return Path(str(resources.files(PACKAGE))) / folder


def lock_places(manifest: Path, name: str) -> list[Path]:
    """Where the lock of a manifest is looked for; the first that is there counts, whole.

    MIXZOO_LOCKS where it is set, else beside a manifest of the user's own, else the user's
    settings folder; last, beside the package's manifest.
    """
    own, beside = locks_root() / f"{name}.lock.json", lock_path(manifest)
    first = in_package(manifest) or os.environ.get(LOCKS_ENVIRONMENT)
    return [own, beside] if first else [beside, own]


def new_lock_place(manifest: Path, name: str) -> Path:
    """Where a lock is written by default: the first of `lock_places` that can be written.

    It is never in the package, which a new environment would lose.
    """
    places = lock_places(manifest, name)
    beside = places.index(lock_path(manifest))
    return places[0] if beside or os.access(manifest.parent, os.W_OK) else places[1]


def _lock_of(path: Path, manifest: Manifest) -> Lock | None:
    found = (read_lock(place, manifest) for place in lock_places(path, manifest.name))
    return next((lock for lock in found if lock), None)


def in_package(path: Path, folder: str = "manifests") -> bool:
    """Whether a file lies in this folder of the package, so that no user has written it."""
    return path.is_relative_to(package_path(folder))


def _manifests_in(path: Path) -> list[Path]:
    """The manifest that a path is, or those in a folder, as absolute paths."""
    found = sorted(path.glob("*.toml")) if path.is_dir() else [path]
    return [one.absolute() for one in found]


def _joined(
    below: dict[str, Any], above: dict[str, Any], known: Benchmark, path: Path
) -> dict[str, Any]:
    """Facts laid over those of a known benchmark; relative folders begin at their own manifest.

    Raises ManifestError where both are whole benchmarks of a user's own: their likeness in name may
    be chance.
    """
    if not in_package(known.path) and {"metric", "protocol", "dataset"} <= above.keys():
        raise ManifestError(
            f"{path}: field 'name': {known.name!r} is taken by {known.path}; expected another "
            "name. Choose one."
        )
    sources = above.get("sources")
    for source in sources if isinstance(sources, list) else ():
        if isinstance(source, dict) and source.get("kind") == "file":
            source["path"] = str(path.parent / as_typed(str(source.get("path", ""))))
    return laid_over(below, above)
