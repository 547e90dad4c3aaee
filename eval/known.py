"""Gathers what is known of a checkpoint's number: its file, logs, lists, and what is kept here."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ..zoo import shelf
from ..zoo.catalog import Benchmark
from ..zoo.checkpoint.facts import training_facts
from ..zoo.checkpoint.load import traits
from ..zoo.checkpoint.reading import read_checkpoint
from ..zoo.data import LabelledImages, from_file, named_file
from ..zoo.errors import MixzooError
from ..zoo.manifest import Dataset
from ..zoo.refs import CheckpointFile
from .case import Case
from .logs import Claim, LogAudit, audit_files, claim_of
from .report import conditions_of, readable_audit
from .store import Stored, of_weights


def training_list(images: LabelledImages, benchmark: Benchmark | None) -> LabelledImages | None:
    """The training list, if it lies beside these images and can be read."""
    train = benchmark.manifest.dataset.train if benchmark else None
    folder = images.root if images.root.is_dir() else images.root.parent
    try:
        path = named_file(folder, train.annotations) if train else None
        return from_file(folder, path) if path else None
    except MixzooError:
        return None  # a detail isn't worth the evaluation


def case_of(
    checkpoint: CheckpointFile,
    stored: Stored | None,
    audit: LogAudit | None,
    training: LabelledImages | None = None,
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
    is_own = benchmark and row and shelf.file(benchmark, row).sha256 == checkpoint.sha256
    return Case(
        stored=stored,
        benchmark=benchmark,
        row=row,
        audit=audit,
        facts=training_facts(content.meta),
        traits=found,
        training=dict(zip(training.files, training.labels, strict=True)) if training else {},
        datasets=datasets,
        ref=row.id if row and is_own else str(checkpoint.path),
        data=str(data),
    )


def with_others(case: Case, sha256: str) -> Case:
    """The same case with the logs and kept predictions of the benchmark's other rows.

    sha256: of the case's file, which may be another row's.
    """
    logs, kept, found = {}, {}, dict(case.traits)
    rows = case.benchmark.manifest.rows if case.benchmark else ()
    for row in [one for one in rows if case.row and one.id != case.row.id]:
        assert case.benchmark is not None
        audit, _ = readable_audit(case.benchmark, row)
        logs |= {row.id: audit} if audit else {}
        theirs = shelf.file(case.benchmark, row).sha256
        if theirs == sha256:
            found["other-row"] = f"by its hash, the file is that of {row.id}"
        elif theirs:
            all_kept = of_weights(theirs)
            own = (s for s in all_kept if conditions_of(s).differ_from(case.benchmark) is None)
            if stored := next(own, None):
                kept[row.id] = stored
    return replace(case, logs=logs, kept=kept, traits=found)


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
