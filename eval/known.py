"""Gathers what is known of a checkpoint's number: its file, logs, lists, and what is kept here."""

import hashlib
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import msgspec

from ..zoo import files, shelf
from ..zoo.cache import cache_root
from ..zoo.catalog import Benchmark
from ..zoo.checkpoint.facts import TrainingFacts, training_facts
from ..zoo.checkpoint.load import traits
from ..zoo.checkpoint.reading import read_checkpoint
from ..zoo.data import LabelledImages, from_file, named_file
from ..zoo.errors import MixzooError
from ..zoo.manifest import Count, Dataset
from ..zoo.manifest import Row as TableRow
from ..zoo.refs import CheckpointFile
from ..zoo.report import Claims, Row
from .case import Case
from .causes import causes_of, worth_telling
from .logs import Claim, LogAudit, audit_files, claim_of
from .report import conditions_of, readable_audit, row_of
from .store import Stored, of_weights


class Training(msgspec.Struct, frozen=True):
    """What a training list says of an evaluation.

    counts: its images of each class. shared: files that are evaluated, and stand in it too.
    """

    counts: dict[int, Count]
    shared: tuple[str, ...]


def training_of(images: LabelledImages, benchmark: Benchmark | None) -> Training | None:
    """What the training list beside these images says; None if there is none, or it can't be read.

    It is kept in the cache: iNaturalist-2018's takes seconds to read.
    """
    train = benchmark.manifest.dataset.train if benchmark else None
    folder = images.root if images.root.is_dir() else images.root.parent
    path = named_file(folder, train.annotations) if train else None
    if path is None:
        return None
    seen = path.stat()
    facts = f"{path.resolve()}\0{seen.st_size}\0{seen.st_mtime_ns}\0{images.sha256()}"
    name = hashlib.sha256(os.fsencode(facts)).hexdigest()
    kept = cache_root() / "training" / f"{name}.json"
    with suppress(OSError, msgspec.DecodeError):
        return msgspec.json.decode(kept.read_bytes(), type=Training)
    try:
        listed = from_file(folder, path)
    except MixzooError:
        return None  # a detail isn't worth the evaluation
    trained = set(listed.files)
    shared = tuple(file for file in images.files if file in trained)
    found = Training(dict(listed.class_counts()), shared)
    with suppress(OSError):
        kept.parent.mkdir(parents=True, exist_ok=True)
        files.write(kept, msgspec.json.encode(found))
    return found


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """What a checkpoint says of itself, as far as a report asks it.

    name: under which it is reported. own: whether it is a run of one's own of its row. ref: by
    which commands name it. traits: of its tensors, see `Case`.
    """

    name: str
    judged_as: str | None
    own: bool
    claims: Claims
    facts: TrainingFacts
    ref: str
    traits: dict[str, str] = {}


def judged(
    said: Said,
    stored: Stored,
    benchmark: Benchmark | None,
    row: TableRow | None,
    audit: LogAudit | None,
    training: Training | None,
    case: Callable[[], Case],
) -> Row:
    """A checkpoint's row from its predictions, with causes where its number is off.

    case: what is known of it then, without the other rows.
    """
    found = row_of(
        stored,
        said.name,
        benchmark,
        row,
        audit=audit,
        claims=said.claims,
        training_images=training.counts if training else None,
    )
    known = Case(stored=stored, benchmark=benchmark, row=row, audit=audit)
    if known.is_off and not said.own:  # another run's number is another draw
        causes = causes_of(with_others(case(), found.weights.sha256))
        found = msgspec.structs.replace(found, causes=worth_telling(causes))
    return found


def case_of(
    checkpoint: CheckpointFile,
    stored: Stored | None,
    audit: LogAudit | None,
    training: Training | None = None,
    *,
    datasets: Sequence[Dataset] = (),
    data: object = "DIR",
) -> Case:
    """A checkpoint's case, without trials. stored: None if it isn't evaluated.

    Of the benchmark's other rows, logs and kept predictions are asked where they are here. Raises
    CheckpointError for a file that isn't read as a checkpoint.
    """
    content, benchmark, row = read_checkpoint(checkpoint.path), checkpoint.benchmark, checkpoint.row
    found = traits(content, row, checkpoint.num_classes)
    return Case(
        stored=stored,
        benchmark=benchmark,
        row=row,
        audit=audit,
        facts=training_facts(content.meta),
        traits=found,
        training=training and training.shared,
        datasets=datasets,
        ref=ref_of(checkpoint),
        data=str(data),
    )


def ref_of(checkpoint: CheckpointFile) -> str:
    """How a command names it: by its row if it is that row's file, else by its path."""
    benchmark, row = checkpoint.benchmark, checkpoint.row
    is_own = benchmark and row and shelf.file(benchmark, row).sha256 == checkpoint.sha256
    return row.id if row and is_own else str(checkpoint.path)


def with_others(case: Case, sha256: str) -> Case:
    """The same case with the logs and kept predictions of the benchmark's other rows.

    sha256: of the case's file, which may be another row's.
    """
    logs, kept, found, owner = {}, {}, dict(case.traits), None
    rows = case.benchmark.manifest.rows if case.benchmark else ()
    for row in [one for one in rows if case.row and one.id != case.row.id]:
        assert case.benchmark is not None
        audit, _ = readable_audit(case.benchmark, row)
        logs |= {row.id: audit} if audit else {}
        theirs = shelf.file(case.benchmark, row).sha256
        if theirs == sha256:
            found["other-row"], owner = f"by its hash, the file is that of {row.id}", row.id
        elif theirs:
            all_kept = of_weights(theirs)
            own = (s for s in all_kept if conditions_of(s).differ_from(case.benchmark) is None)
            if stored := next(own, None):
                kept[row.id] = stored
    return replace(case, logs=logs, kept=kept, traits=found, owner=owner)


def audit_for(
    checkpoint: CheckpointFile, log: Path | None, images: int | None = None
) -> tuple[LogAudit | None, list[str]]:
    """The audit of a checkpoint's log, and why it is of no use, if so.

    log: one that a person named, else the row's own is asked if it is here. images: of the list,
    where no row tells how many. Raises what reading a named one raises.
    """
    benchmark, row = checkpoint.benchmark, checkpoint.row
    if log:
        claim = Claim(images=images)
        if benchmark and row:
            claim = claim_of(benchmark.manifest, row)
        audit = audit_files([log], claim)
        return audit, [f"{log.name} {audit.problem}."] * bool(audit.problem)
    return readable_audit(benchmark, row) if benchmark and row else (None, [])
