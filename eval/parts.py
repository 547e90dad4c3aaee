"""Parts of an evaluation, made on machines that never meet, and the one report that they give.

A part is a folder: for each checkpoint the predictions of the part's images, and in `part.json` all
that a report asks besides. So a merge takes no images, no weights and no torch, and comes to the
report and the evidence of one process, byte for byte, whatever the parts' order.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, groupby
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np

from ..zoo import files
from ..zoo.catalog import Benchmark, Catalog
from ..zoo.data import FolderStore, LabelledImages
from ..zoo.errors import DataError, IntegrityError, UsageError, several, wall
from ..zoo.looks import command
from ..zoo.manifest import Count, Protocol, Sha256
from ..zoo.manifest import Row as TableRow
from ..zoo.report import Failure, Report, Row, Unreadable
from . import evidence, guard, store
from .case import Case
from .known import Said, Training, judged
from .logs import Claim, audit_files, claim_of
from .predictions import Precision, Predictions
from .report import report_of, versions
from .shard import MOST, Shard

INDEX = "part.json"
MAX_BYTES = 256 << 20  # of one file
AGAIN = "It isn't a part as it was written; make it again."


class Of(msgspec.Struct, frozen=True, kw_only=True):
    """One checkpoint of a part. file, logs: names in the part's folder. key: see `store.Key`."""

    said: Said
    key: dict[str, Any]
    file: str
    logs: tuple[str, ...] = ()


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """What `part.json` holds: which images of which evaluation, and what the report says of them.

    images, batch_size: of the whole list. command: words that make the part, without its number and
    folder. data: the folder that commands in the report name. unreadable: file -> why. files: name
    -> sha256 of every other file.
    """

    format: Literal[1] = 1
    number: Count
    of: Count
    images: Count
    batch_size: Count
    precision: Precision
    benchmark: str | None
    published: Protocol
    labels: str
    data: str
    run: dict[str, Any]
    versions: dict[str, str]
    created: str
    command: tuple[str, ...]
    allow_missing: bool
    training: Training | None
    checkpoints: tuple[Of, ...]
    failures: dict[str, str]
    unreadable: dict[str, str]
    files: dict[str, Sha256]

    @property
    def alike(self) -> dict[str, Any]:
        """What the parts of one evaluation have in common, by its name."""
        first = self.checkpoints[0].key
        return {
            "version of mixzoo": self.versions["mixzoo"],
            "number of parts": self.of,
            "checkpoints": [one.said.name for one in self.checkpoints],
            "checkpoints that failed": sorted(self.failures),
            "weights": [one.key["weights_sha256"] for one in self.checkpoints],
            "list of images": first["list_sha256"],
            "number of images": self.images,
            "pixels": first["protocol"],
            "precision": self.precision,
            "batch size": self.batch_size,
            "libraries": {name: v for name, v in self.versions.items() if name != "python"},
            "judged rows": [one.said.judged_as for one in self.checkpoints],
        }


class UnsettledError(DataError):
    """Predictions that must be computed again, which the command of `words` does."""

    words: tuple[str, ...] = ()


@dataclass(frozen=True)
class Opened:
    """A part as it was read. shares: predictions of its images, for each of its checkpoints."""

    folder: Path
    part: Part
    digest: str
    shares: tuple[store.Stored, ...]


def write(folder: Path, part: Part, shares: Sequence[store.Stored], logs: Iterable[Path]) -> None:
    """Write a part; its index last, so that it is whole or none.

    part: without `files`. shares: of its images, one for each checkpoint. logs: the files that its
    checkpoints' `logs` name, in their order. Raises OSError.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / INDEX).unlink(missing_ok=True)
    hashes = {}
    for one, share in zip(part.checkpoints, shares, strict=True):
        store.write(folder / one.file, share)
        hashes[one.file] = hashlib.sha256((folder / one.file).read_bytes()).hexdigest()
    names = [name for one in part.checkpoints for name in one.logs]
    for name, path in zip(names, logs, strict=True):
        content = path.read_bytes()
        files.write(folder / name, content)
        hashes[name] = hashlib.sha256(content).hexdigest()
    index = msgspec.json.encode(msgspec.structs.replace(part, files=hashes))
    files.write(folder / INDEX, msgspec.json.format(index, indent=1))


def read(folder: Path) -> Opened:
    """Read a part with every file of it. Raises IntegrityError where a byte isn't as written."""
    with wall(IntegrityError, folder, AGAIN):
        index = files.content_of(folder / INDEX, MAX_BYTES)
        part = msgspec.json.decode(index, type=Part)
        for name, sha256 in part.files.items():
            if name != Path(name).name or "\\" in name:
                raise ValueError(f"expected names of files in this folder, got {name!r}")
            if hashlib.sha256(files.content_of(folder / name, MAX_BYTES)).hexdigest() != sha256:
                raise ValueError(f"{name} isn't the file that {INDEX} names")
        part.alike  # noqa: B018 - names all that parts are compared by
        if not part.checkpoints or not 1 <= part.number <= part.of <= MOST or not part.batch_size:
            raise ValueError(f"part {part.number} of {part.of} can't be")
        size = Shard(part.number, part.of).count(part.images, part.batch_size)
        shares = []
        for one in part.checkpoints:
            share = store.read(folder / one.file, one.key) if one.file in part.files else None
            if share is None or not {*one.logs} <= part.files.keys():
                raise ValueError(f"{one.file} or a log isn't there as it was written")
            if len(share.files) != size or not all(p.complete for p in share.heads.values()):
                raise ValueError(f"{one.file} doesn't hold the predictions of all its images")
            shares.append(share)
    return Opened(folder, part, hashlib.sha256(index).hexdigest(), tuple(shares))


@dataclass(frozen=True)
class Merged:
    """The report of all parts, and what its evidence is made of: one of each for every row."""

    report: Report
    stored: tuple[store.Stored, ...]
    logs: tuple[tuple[Path, ...], ...]
    first: Part

    def write_evidence(self, root: Path) -> None:
        """As an evaluation writes it. Raises OSError."""
        names = [one.said.judged_as for one in self.first.checkpoints]
        of = zip(self.report.rows, self.stored, names, self.logs, strict=True)
        training = self.first.training
        evidence.write_all(root, self.report, of, training.counts if training else None)


def merge(folders: Sequence[Path], catalog: Catalog) -> Merged:
    """One report of all parts. What they predicted is kept, as if it had been predicted here.

    Of a part that is there several times the oldest counts. Raises UsageError for parts that aren't
    of one evaluation, DataError for missing ones, IntegrityError for damaged ones, UnsettledError
    where a part believed fast arithmetic under a smaller bound than another found.
    """
    parts = _chosen(folders)
    with wall(IntegrityError, parts[0].folder, AGAIN, passing=(OSError,)):
        return _merged(parts, catalog)


def _merged(parts: Sequence[Opened], catalog: Catalog) -> Merged:
    first, images = parts[0].part, _list_of(parts)
    stored = tuple(_joined(parts, place, images) for place in range(len(first.checkpoints)))
    _require_settled(stored, first)
    for one in stored:
        key = _key_of(one, first)
        store.write(key.path, one)
        store.forget_parts(key)
    benchmark = catalog.benchmark(first.benchmark) if first.benchmark else None
    logs = tuple(tuple(parts[0].folder / name for name in one.logs) for one in first.checkpoints)
    rows = [
        _row(one, known, benchmark, catalog, first, paths)
        for one, known, paths in zip(first.checkpoints, stored, logs, strict=True)
    ]
    unreadable = {file: why for part in parts for file, why in part.part.unreadable.items()}
    report = report_of(
        rows,
        stored[0],
        benchmark,
        labels=first.labels,
        run=first.run | {"device": _together(part.part.run["device"] for part in parts)},
        created=max(part.part.created for part in parts),
        published_pixels=first.published,
        failures=tuple(Failure(id=name, error=why) for name, why in first.failures.items()),
        unreadable=tuple(
            Unreadable(file=file, reason=unreadable[file])
            for file in images.files
            if file in unreadable
        ),
        allow_missing=first.allow_missing,
    )
    return Merged(msgspec.structs.replace(report, versions=first.versions), stored, logs, first)


def _chosen(folders: Sequence[Path]) -> list[Opened]:
    """Each part once, by number, once they are all there and belong together."""
    below = {one: sorted(index.parent for index in one.glob(f"*/{INDEX}")) for one in folders}
    here = [[one] if (one / INDEX).is_file() else below[one] for one in folders]
    found = [read(folder) for folder in dict.fromkeys(chain.from_iterable(here))]
    if not found:
        raise UsageError(
            f"{several(folders)}: expected folders that `mixzoo eval --shard N/OF --out DIR` "
            f"wrote, with {INDEX} in each; got none. Name these."
        )
    found.sort(key=lambda one: (one.part.number, one.part.created, one.digest))
    common = Counter(_plain(one.part.alike) for one in found).most_common(1)[0][0]
    sample = next(one for one in found if _plain(one.part.alike) == common)
    for one in found:
        for name, value in one.part.alike.items():
            if value != (expected := sample.part.alike[name]):
                raise UsageError(
                    f"{one.folder}: expected the {name} of {sample.folder}, {_short(expected)}, "
                    f"got {_short(value)}. Give parts of one evaluation."
                )
    if found[0].part.versions["mixzoo"] != (ours := versions()["mixzoo"]):
        raise UsageError(
            f"{found[0].folder}: was made by mixzoo {found[0].part.versions['mixzoo']}, this is "
            f"{ours}. Use the version that made them."
        )
    parts = [next(same) for _, same in groupby(found, lambda one: one.part.number)]
    part = parts[0].part
    if missing := sorted({*range(1, part.of + 1)} - {one.part.number for one in parts}):
        make = command(
            *part.command, "--shard", f"{missing[0]}/{part.of}", "--out", f"part-{missing[0]}"
        )
        raise DataError(
            f"{len(missing)} of {part.of} parts are missing: {_ranges(missing)}. Make them, the "
            f"first by: {make}"
        )
    return parts


def _list_of(parts: Sequence[Opened]) -> LabelledImages:
    """The whole list, which must be the one that the predictions are of."""
    first = parts[0].part
    names: list[str] = [""] * first.images
    labels = np.zeros(first.images, np.int64)
    for one in parts:
        at = _positions(one.part)
        for share in one.shares:
            if share.files != one.shares[0].files:
                raise IntegrityError(f"{one.folder}: holds predictions of different lists. {AGAIN}")
        for place, name in zip(at, one.shares[0].files, strict=True):
            names[place] = name
        labels[at] = next(iter(one.shares[0].heads.values())).labels
    images = LabelledImages(FolderStore(Path()), tuple(names), tuple(labels.tolist()), first.labels)
    if (got := images.sha256()) != (expected := first.checkpoints[0].key["list_sha256"]):
        raise IntegrityError(
            f"{several(one.folder for one in parts)}: the images of all parts should be the list "
            f"with sha256 {expected}, they are one with {got}. Make the parts again."
        )
    return images


def _joined(parts: Sequence[Opened], place: int, images: LabelledImages) -> store.Stored:
    """The predictions of one checkpoint for all images."""
    shares = [one.shares[place] for one in parts]
    heads = {head: Predictions.empty(images.labels) for head in shares[0].heads}
    sizes, bounds = np.zeros(len(images), np.int64), dict[str, float]()
    for one, share in zip(parts, shares, strict=True):
        at = _positions(one.part)
        sizes[at] = share.sizes
        for head, known in heads.items():
            known.set(at, share.heads[head])
        for head, bound in share.about.get("bounds", {}).items():
            bounds[head] = max(bound, bounds.get(head, 0.0))
    about = shares[0].about | {
        "created": max(share.about["created"] for share in shares),
        "device": _together(share.about["device"] for share in shares),
        "bounds": bounds,
    }
    told = [share.about["precision"] for share in shares]
    arithmetic = _together(one["arithmetic"] for one in told)
    calibrated = told[0].get("calibrated", 0)
    precision = parts[0].part.precision
    about["precision"] = guard.summary(precision, arithmetic, heads, bounds, calibrated)
    return store.Stored(shares[0].key, heads, images.files, sizes, about)


def _require_settled(stored: Sequence[store.Stored], first: Part) -> None:
    """Refuse predictions that one part believed and another's bound doubts; all are kept as shares."""
    if not (stale := sum(one.stale for one in stored)):
        return
    for one in stored:
        about = {name: value for name, value in one.about.items() if name != "precision"}
        share = replace(one, about=about)  # without a summary it isn't done
        store.write(_key_of(one, first).parts / "merged.safetensors", share)
    error = UnsettledError(
        f"{stale} of {sum(len(p) for one in stored for p in one.heads.values())} predictions were "
        "believed under smaller bounds than other parts found, which no part can know. All are "
        "kept here. To compute these alone again, and report: "
        f"{command(*first.command, '--out', 'FILE.json')}"
    )
    error.words = first.command
    raise error


def _row(
    one: Of,
    stored: store.Stored,
    benchmark: Benchmark | None,
    catalog: Catalog,
    part: Part,
    logs: Sequence[Path],
) -> Row:
    row: TableRow | None = catalog.row(one.said.judged_as)[1] if one.said.judged_as else None
    claim = claim_of(benchmark.manifest, row) if benchmark and row else Claim(images=part.images)
    audit = audit_files(list(logs), claim) if logs else None
    training = part.training
    datasets = [each.manifest.dataset for each in catalog.benchmarks.values()]

    def case() -> Case:
        return Case(
            stored=stored,
            benchmark=benchmark,
            row=row,
            audit=audit,
            facts=one.said.facts,
            traits=one.said.traits,
            training=training and training.shared,
            datasets=datasets,
            ref=one.said.ref,
            data=part.data,
        )

    return judged(one.said, stored, benchmark, row, audit, training, case)


def _key_of(stored: store.Stored, part: Part) -> store.Key:
    protocol = msgspec.convert(stored.key["protocol"], Protocol)
    key = stored.key
    return store.Key(key["weights_sha256"], protocol, key["list_sha256"], part.precision)


def _positions(part: Part) -> list[int]:
    return Shard(part.number, part.of).positions(part.images, part.batch_size)


def _together(names: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(names))


def _plain(facts: dict[str, Any]) -> bytes:
    return msgspec.json.encode(facts)


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return text if len(text) <= 100 else f"{text[:100]}..."


def _ranges(numbers: Sequence[int]) -> str:
    """`3, 5-9, 17`, as sbatch's --array takes it."""

    def told() -> Iterator[str]:
        for _, run in groupby(enumerate(numbers), lambda pair: pair[1] - pair[0]):
            first, *others = [number for _, number in run]
            yield f"{first}-{others[-1]}" if others else str(first)

    return ",".join(told())
