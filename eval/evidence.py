"""Evidence of a verdict: a folder from which anybody can derive it again (docs/evidence.md).

It holds the prediction of every image, the labelled list, the training log and the report. To check
it takes no images, no weights, no torch, and nobody's word: all that the report says of right
answers is computed from the predictions, and the verdict from the table that the checker has.
"""

import hashlib
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np
from safetensors.numpy import load, save

from ..zoo import files, shelf
from ..zoo.catalog import Benchmark, Catalog
from ..zoo.data import FolderStore, LabelledImages
from ..zoo.errors import IntegrityError, ManifestError, UsageError, several, wall
from ..zoo.looks import NOT_INTACT
from ..zoo.manifest import Count, Sha256
from ..zoo.manifest import Row as TableRow
from ..zoo.report import Report, Row, parse_report
from ..zoo.signing import SIGNATURE, Signature
from .logs import Claim, LogAudit, audit_files, claim_of
from .predictions import UNREADABLE, Predictions
from .report import report_of, row_of, rules_of, versions
from .store import Stored

INDEX, REPORT, IMAGES = "evidence.json", "report.json", "images.json"
VERDICT = "verdict.sigstore.json"  # the signed one (eval.signed)
COLUMNS = ("top", "margin", "margin5", "confidence", "state")  # the labels stand in the list
# What of a report the index tells.
OF_INDEX = {"id", "weights", "precision", "protocol", "list_sha256", "files_sha256"}
MAX_BYTES = 256 << 20  # of one file


class Index(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What `evidence.json` holds: of what the predictions are, and the hash of every other file.

    judged_as: id of the table's row, None for a checkpoint that was held against nothing. key,
    about: of the predictions, as they are kept. logs: names of the training log's files.
    training_images: of each class, where the data set tells.
    """

    format: Literal[1] = 1
    row: str
    judged_as: str | None = None
    key: dict[str, Any]
    about: dict[str, Any]
    heads: tuple[str, ...]
    logs: tuple[str, ...] = ()
    training_images: dict[int, Count] = {}
    files: dict[str, Sha256]


@dataclass(frozen=True)
class Checked:
    """What a folder of evidence gives: the row derived from it, and where the folder differs.

    digest: sha256 of the folder's `evidence.json`, which stands for all of it; "" where a file isn't
    the one that it names. problems: one sentence each; none means that everything said follows from
    the predictions. signature: who signed the folder, where that was asked (eval.signed).
    """

    folder: Path
    digest: str
    index: Index
    report: Report
    stored: Stored
    problems: tuple[str, ...]
    signature: Signature | None = None

    @property
    def row(self) -> Row:
        """The row with its verdict, as derived; where the folder differs, NOT_INTACT is its verdict."""
        row = self.report.rows[0]
        if not self.problems:
            return row
        reason = f"the evidence isn't what it says; what it gives alone is {row.verdict!r}"
        return msgspec.structs.replace(row, verdict=NOT_INTACT, reason=reason)

    @property
    def digest_in_words(self) -> str:
        """One sentence."""
        if not self.digest:
            return f"It has no digest, since its files aren't those that {INDEX} names."
        return f"The digest of this evidence: {self.digest}"

    @property
    def files(self) -> list[Path]:
        """All that belongs to the evidence, signed verdict and signature too."""
        known = [self.folder / name for name in (INDEX, *self.index.files, VERDICT, SIGNATURE)]
        return [path for path in known if path.is_file()]


def write(
    root: Path,
    report: Report,
    row: Row,
    stored: Stored,
    *,
    judged_as: str | None,
    logs: tuple[Path, ...] = (),
    training_images: Mapping[int, int] | None = None,
) -> Path:
    """Write the evidence of one row of a report, in a folder of its own below `root`.

    row: made by `report.row_of` from `stored`, these logs and training images. Returns the folder,
    which is named after the row. Raises OSError where it can't be written.
    """
    folder = root / (
        row.id if row.id == judged_as else f"{Path(row.id).stem}-{row.weights.sha256[:8]}"
    )
    labels = next(iter(stored.heads.values())).labels.tolist()
    contents = {
        REPORT: _of_one(report, row).to_json().encode(),
        IMAGES: msgspec.json.encode({"files": stored.files, "labels": labels}),
    }
    contents |= {_file_of(head): _packed(known) for head, known in stored.heads.items()}
    copies = {f"log-{n}{''.join(path.suffixes[-2:])}": path for n, path in enumerate(logs)}
    contents |= {name: path.read_bytes() for name, path in copies.items()}
    index = Index(
        row=row.id,
        judged_as=judged_as,
        key=stored.key,
        about=stored.about,
        heads=tuple(stored.heads),
        logs=tuple(copies),
        training_images=dict(training_images or {}),
        files={name: hashlib.sha256(data).hexdigest() for name, data in contents.items()},
    )
    folder.mkdir(parents=True, exist_ok=True)
    for name in (INDEX, VERDICT, SIGNATURE):  # half-written it is no evidence, and nobody's
        (folder / name).unlink(missing_ok=True)
    for name, data in contents.items():
        files.write(folder / name, data)
    files.write(folder / INDEX, msgspec.json.format(msgspec.json.encode(index), indent=1))
    return folder


def write_all(
    root: Path,
    report: Report,
    of: Iterable[tuple[Row, Stored, str | None, Sequence[Path]]],
    training_images: Mapping[int, int] | None,
) -> None:
    """Write the evidence of every row of a report. of: row, predictions, judged_as, logs."""
    for row, stored, judged_as, logs in of:
        more = {"judged_as": judged_as, "logs": tuple(logs), "training_images": training_images}
        write(root, report, row, stored, **more)


def find(paths: tuple[Path, ...]) -> list[Path]:
    """The folders of evidence among these, and directly below them, in order.

    Raises UsageError for a path that isn't there, IntegrityError for one that is or holds none.
    """
    found = []
    for path in paths:
        folder = path.parent if path.name == INDEX else path
        below = sorted(p.parent for p in folder.glob(f"*/{INDEX}"))
        here = [folder] if (folder / INDEX).is_file() else below
        if not here:
            raise (IntegrityError if path.exists() else UsageError)(
                f"{path}: expected a folder that `mixzoo eval --evidence` wrote, with {INDEX} in "
                "it or in the folders below. Name that one."
            )
        found += here
    return found


def check(folder: Path, catalog: Catalog) -> Checked:
    """Derive a row from its evidence, and say where the folder says anything else.

    catalog: whose tables are asked for the published number and the images. Raises IntegrityError
    for what can't be read as evidence, UsageError for a benchmark that isn't known.
    """
    with wall(IntegrityError, folder, "It isn't evidence as it was written; get it again."):
        index, content = _opened(folder)
        images = msgspec.json.decode(content[IMAGES], type=_Images)
        written = msgspec.json.decode(content[REPORT])
        try:
            report = parse_report(written, str(folder / REPORT))
        except ManifestError as error:  # a count that isn't its percentage, say
            raise IntegrityError(
                f"{error} It isn't evidence as it was written. Get it again."
            ) from None
        stored = Stored(
            key=index.key,
            heads={head: _unpacked(content[_file_of(head)], images.labels) for head in index.heads},
            files=images.files,
            sizes=np.zeros(len(images.files), np.int64),
            about=index.about,
        )
        benchmark, table_row = None, None
        if index.judged_as:
            benchmark, table_row = catalog.row(index.judged_as)
        derived = _derived(folder, index, report, stored, benchmark, table_row)
        said, gives = _comparable(report, benchmark), _comparable(derived, benchmark)
        if report.versions.get("mixzoo") != versions()["mixzoo"]:
            said, gives = _known_to(written, said), _known_to(written, gives)
            gives["rules"] = said["rules"]
        changed = [*_changed(folder, index, content)]
        problems = [
            *changed,
            *_other_list(folder, images, index),
            *_other_weights(report.rows[0], index, benchmark, table_row),
            *_miscounted(content, stored),
            *_differences(said, gives),
        ]
    digest = "" if changed else hashlib.sha256(content[INDEX]).hexdigest()
    return Checked(folder, digest, index, derived, stored, tuple(problems))


def require_sound(checked: Iterable[Checked]) -> None:
    """Refuse evidence that says anything else than it gives. Raises IntegrityError."""
    problems = [f"{one.folder}: {problem}" for one in checked for problem in one.problems]
    if problems:
        raise IntegrityError(
            f"The evidence isn't what it says (differences: {len(problems)}). Get it again, "
            f"or rely on what it gives alone. First: {problems[0]}"
        )


class _Images(msgspec.Struct):
    files: tuple[str, ...]
    labels: tuple[int, ...]


def _opened(folder: Path) -> tuple[Index, dict[str, bytes]]:
    """A folder's index, and the bytes of all files that it names."""
    content = {INDEX: files.content_of(folder / INDEX, MAX_BYTES)}
    index = msgspec.json.decode(content[INDEX], type=Index)
    needed = {REPORT, IMAGES, *map(_file_of, index.heads), *index.logs}
    if absent := needed - index.files.keys():  # the digest must stand for all that is asked
        raise IntegrityError(
            f"{folder / INDEX}: expected the hash of each file that it names, got none of "
            f"{several(sorted(absent))}. It isn't evidence as it was written; get it again."
        )
    for name in index.files:
        if name != Path(name).name or "\\" in name:
            raise IntegrityError(
                f"{folder / INDEX}: expected names of files in this folder, got {name!r}. Get the "
                "evidence again."
            )
        content[name] = files.content_of(folder / name, MAX_BYTES)
    return index, content


def _file_of(head: str) -> str:
    return f"{head}.safetensors"


def _packed(known: Predictions) -> bytes:
    columns = {name: np.ascontiguousarray(getattr(known, name)) for name in COLUMNS}
    return save(columns | {"correct": known.correct})


def _unpacked(content: bytes, labels: tuple[int, ...]) -> Predictions:
    columns, empty = load(content), Predictions.empty(labels)
    for name in (*COLUMNS, "correct"):
        got, of = columns[name], getattr(empty, name)
        if (got.dtype, got.shape) != (of.dtype, of.shape):
            raise ValueError(
                f"column {name}: expected {of.dtype} of shape {of.shape}, got {got.dtype} of "
                f"{got.shape}"
            )
    known = replace(empty, **{name: columns[name] for name in COLUMNS})
    unread = known.state == UNREADABLE
    if not known.complete or (known.state > UNREADABLE).any() or (known.top[unread] != -1).any():
        raise ValueError(
            "column state: expected 1 or 2 for each image with a prediction, 3 for one without"
        )
    return known


def _derived(
    folder: Path,
    index: Index,
    report: Report,
    stored: Stored,
    benchmark: Benchmark | None,
    row: TableRow | None,
) -> Report:
    """The report that the predictions give; what they can't tell is taken from the one there."""
    [said] = report.rows
    audit: LogAudit | None = None
    if index.logs:
        claim = claim_of(benchmark.manifest, row) if benchmark and row else Claim()
        audit = audit_files([folder / name for name in index.logs], claim)
    judged = row_of(
        stored,
        index.row,
        benchmark,
        row,
        audit=audit,
        claims=said.claims,
        training_images=index.training_images,
    )
    judged = msgspec.structs.replace(judged, causes=said.causes)  # of more than evidence holds
    derived = report_of(
        [judged],
        stored,
        benchmark,
        labels=report.data.labels,
        run=report.run,
        created=report.created,
    )
    told = ("versions", "failures", "unreadable", "allow_missing")
    own = {name: getattr(report, name) for name in told}
    return msgspec.structs.replace(_of_one(derived, judged), **own)


def _of_one(report: Report, row: Row) -> Report:
    """The report on a row alone; what several say together doesn't follow from its predictions."""
    return msgspec.structs.replace(report, rows=(row,), seeds=(), rules=rules_of([row]))


def _changed(folder: Path, index: Index, content: Mapping[str, bytes]) -> Iterator[str]:
    for name, expected in index.files.items():
        got = hashlib.sha256(content[name]).hexdigest()
        if got != expected:
            yield f"{name}: expected the bytes with sha256 {expected}, got {got}."
    known = {*content, VERDICT, SIGNATURE}
    files_here = (path for path in folder.rglob("*") if not path.is_dir())
    for name in sorted({path.relative_to(folder).as_posix() for path in files_here}):
        if name not in known and not name.startswith("."):
            yield f"{name}: is no part of the evidence, so nothing here vouches for it. Remove it."


def _other_list(folder: Path, images: _Images, index: Index) -> Iterator[str]:
    got = LabelledImages(FolderStore(folder), images.files, images.labels, IMAGES).sha256()
    if got != index.key["list_sha256"]:
        yield (
            f"{IMAGES}: the predictions are of the list with sha256 {index.key['list_sha256']}, "
            f"the list here has {got}."
        )


def _other_weights(
    said: Row, index: Index, benchmark: Benchmark | None, row: TableRow | None
) -> Iterator[str]:
    hashes = {said.weights.sha256, index.key["weights_sha256"]}
    if benchmark and row and index.row == row.id and (locked := shelf.file(benchmark, row).sha256):
        hashes.add(locked)
    if len(hashes) > 1:
        yield f"The weights are named by different hashes: {', '.join(sorted(hashes))}."


def _miscounted(content: Mapping[str, bytes], stored: Stored) -> Iterator[str]:
    for head, known in stored.heads.items():
        wrong = np.flatnonzero(load(content[_file_of(head)])["correct"] != known.correct)
        if len(wrong):
            yield (
                f"{head}: images are marked otherwise than their first class and label say: "
                f"{len(wrong)}, first {stored.files[wrong[0]]}."
            )


def _comparable(report: Report, benchmark: Benchmark | None) -> dict[str, Any]:
    """A report's plain data without what depends on more than evidence holds."""
    plain = msgspec.to_builtins(report)
    if benchmark is None:  # whose pixels weren't overridden then
        plain["protocol"].pop("overrides", None)
    return plain


def _known_to(written: Any, plain: Any) -> Any:
    """Plain data as another version of mixzoo wrote it: without the fields that a report lacks.

    The sentences for a verdict may change, not the verdict, so reasons are as they were written.
    """
    if isinstance(written, dict) and isinstance(plain, dict):
        plain = plain | {"reason": written.get("reason")}
        return {n: _known_to(written[n], value) for n, value in plain.items() if n in written}
    if isinstance(written, list) and isinstance(plain, list | tuple):
        both = zip(written, plain, strict=False)  # of unequal lengths the differences tell
        return [*(_known_to(*pair) for pair in both), *plain[len(written) :]]
    return plain


def _differences(
    said: Any, derived: Any, where: str = REPORT, given_by: str = "the predictions give"
) -> Iterator[str]:
    """Sentences on where two plain values differ; numbers by more than rounding."""
    if isinstance(said, dict) and isinstance(derived, dict):
        for name in said | derived:
            by = f"{INDEX} says" if name in OF_INDEX else given_by
            yield from _differences(said.get(name), derived.get(name), f"{where}, {name}", by)
    elif (
        isinstance(said, list | tuple)
        and isinstance(derived, list | tuple)
        and len(said) == len(derived)
    ):
        for number, pair in enumerate(zip(said, derived, strict=True), start=1):
            yield from _differences(*pair, f"{where} {number}", given_by)
    elif isinstance(said, float) and isinstance(derived, float):
        if not math.isclose(said, derived, rel_tol=1e-9, abs_tol=1e-9):
            yield f"{where}: says {said}, {given_by} {derived}."
    elif said != derived:
        yield f"{where}: says {said!r}, {given_by} {derived!r}."
