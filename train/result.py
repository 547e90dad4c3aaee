"""From a finished run to a row of one's own manifest, to be fetched, verified and judged."""

from dataclasses import dataclass
from pathlib import Path

import msgspec

from ..eval.logs import Summary, audit_files, claim_of
from ..zoo.catalog import Benchmark, Catalog, open_catalog
from ..zoo.checkpoint.facts import TrainingFacts, training_facts
from ..zoo.checkpoint.load import require_row
from ..zoo.checkpoint.reading import read_checkpoint
from ..zoo.errors import CheckpointError, IntegrityError, UsageError
from ..zoo.lock import Kind
from ..zoo.looks import command, counted
from ..zoo.manifest import Manifest, Row, read_manifest, slug
from ..zoo.publish.candidates import checkpoint_in, log_of, named_row
from ..zoo.publish.own_rows import AddedRow, add_row, manifest_for
from ..zoo.release.by_hand import import_files
from .rows import RowRun


@dataclass(frozen=True)
class Result:
    """A finished run: its weights, its log, and what the weights' notes say of it."""

    weights: Path
    log: Path
    facts: TrainingFacts


def read_result(path: Path) -> Result:
    """The result of a run. path: its folder, or its weights with the log beside them.

    Raises UsageError for a run that has no log or isn't finished, CheckpointError for weights that
    can't be read or say nothing of their training.
    """
    if not path.exists():
        raise UsageError(
            f"{path}: expected the folder of a finished run, but there is none. Correct the path."
        )
    weights = checkpoint_in(path) if path.is_dir() else path
    facts = training_facts(read_checkpoint(weights).meta)
    if not (facts.method and facts.architecture and facts.num_classes and facts.epochs):
        raise CheckpointError(
            f"{weights}: expected the recipe or config of its training in its notes, got none that "
            "says method, architecture, classes and epochs. Publish what mixzoo train wrote."
        )
    if facts.epoch != facts.epochs:
        raise UsageError(
            f"{weights}: was written after epoch {facts.epoch} of {facts.epochs}; finish the run "
            "first, by the command that began it."
        )
    log = log_of(weights, path)
    if log is None:
        raise UsageError(
            f"{weights}: expected its log {weights.stem}.log.json beside it, got none. Put it "
            "there."
        )
    return Result(weights, log, facts)


def number_of(run: RowRun) -> str:
    """Top-1 of a finished run, of inference's head by its benchmark's rule, in words."""
    log = run.out / f"{run.row.id}.log.json"
    audit = audit_files([log], claim_of(run.manifest, run.row), epochs=run.recipe.epochs)
    found = audit.table_values[0]
    return f"top-1 {found.value:.{run.manifest.metric.decimals}f} ({found.rule} of the log, {found.head})"


def publish(
    path: Path,
    target: Path,
    *,
    row_id: str | None = None,
    benchmark: str | None = None,
    force: bool = False,
) -> tuple[AddedRow, Summary]:
    """Write a finished run into the manifest at `target`, which is made if it isn't there.

    path: see `read_result`. row_id: `architecture.method_name`, or with a tag before the name to
    tell several rows of a method apart. benchmark: the name or manifest file of the one whose data,
    protocol and rule a new manifest gets; else that of the row which the run is named after.
    force: replace a row that has other weights or another number.
    The number is the log's by the benchmark's rule, of the head that inference uses; it is returned
    beside the row. The files are in the cache afterwards.
    Raises UsageError for a run that doesn't fit, what `read_result` and `add_row` raise, and
    IntegrityError for a log whose accuracies can't be those of the benchmark's images.
    """
    result, target = read_result(path), target.absolute()
    named = [Path(benchmark)] if benchmark and benchmark.endswith(".toml") else []
    catalog = open_catalog([*named, *([target] if target.is_file() else [])])
    manifest = manifest_for(target, _base(result, catalog, target, benchmark), catalog)
    row = _row(result, manifest, row_id, catalog)
    require_row(result.weights, row, manifest.dataset.num_classes)  # a whole classifier
    summary = _number(result, manifest, row)
    row = msgspec.structs.replace(row, reported_top1=round(summary.value, manifest.metric.decimals))
    files: dict[Kind, Path] = {"weights": result.weights, "log": result.log}
    target.parent.mkdir(parents=True, exist_ok=True)
    added = add_row(target, manifest, row, files, force=force)
    for adoption in import_files(added.files, open_catalog([target]), row=row.id):
        if adoption.error:
            raise adoption.error(f"{adoption.file}: {adoption.detail}.")
    return added, summary


def _base(result: Result, catalog: Catalog, target: Path, name: str | None) -> Benchmark:
    """The benchmark whose images the run was validated on: the target's own once it is there."""
    at = {b.path: b for b in catalog.benchmarks.values()}
    own, trained = at.get(target), named_row(result.weights, catalog)
    if name:
        known = at.get(Path(name).absolute()) or catalog.benchmark(name)
    else:
        known = catalog.row(trained)[0] if trained else own
    if known is None:
        if target.is_file() and (error := catalog.broken.get(read_manifest(target).name)):
            raise error
        raise UsageError(
            f"{result.weights.name}: on which benchmark it was trained is not known, and {target} "
            "isn't there to say it. Give --benchmark NAME (see: mixzoo zoo list), or the --manifest "
            "FILE of your own images."
        )
    if own is None:
        return known
    for what in ("dataset", "protocol", "metric"):
        if getattr(own.manifest, what) != getattr(known.manifest, what):
            raise UsageError(
                f"{target}: its {what} isn't that of {known.name}, which the run was trained on; "
                "expected them to be equal. Publish it in another manifest."
            )
    return own


def _row(result: Result, manifest: Manifest, row_id: str | None, catalog: Catalog) -> Row:
    said = result.facts
    method = slug(said.method or "")
    network = slug(said.architecture or "")
    plain = f"{network}.{method}_{manifest.name}"
    tag = None
    if row_id not in (None, plain):
        start, end = f"{network}.{method}_", f"_{manifest.name}"
        tag = row_id.removeprefix(start).removesuffix(end)
        if f"{start}{tag}{end}" != row_id or not tag or slug(tag) != tag:
            raise UsageError(
                f"--id {row_id}: expected {plain}, or {start}TAG{end} with a tag of a-z, 0-9 and "
                "_. Choose such an id."
            )
    papers = {row.method: row.paper for _, row in catalog if row.paper}
    return Row(
        id=row_id or plain,
        method=method,
        architecture=said.architecture or "",
        alpha=said.alpha if isinstance(said.alpha, float) else None,
        paper=papers.get(method),
        tag=tag,
        recipe=dict(said.recipe),
    )


def _number(result: Result, manifest: Manifest, row: Row) -> Summary:
    audit = audit_files([result.log], claim_of(manifest, row), epochs=result.facts.epochs)
    if audit.arithmetic.problem:
        raise IntegrityError(
            f"{result.log}: expected accuracies on {manifest.dataset.val.images} images, got "
            f"{audit.arithmetic.word}. See: {command('logs', result.log)}"
        )
    if summary := audit.table_value:
        return summary
    last = max(v.epoch for v in audit.log.validations)
    of = counted(result.facts.epochs or 0, "epoch")
    raise UsageError(
        f"{result.log}: expected validations for the {audit.claim.rule} of {of} "
        f"({manifest.metric.epochs} needed), got epochs up to {last}. Give the whole log."
    )
