"""Why a checkpoint's number isn't the published one: from what is kept here, else evaluated anew.

Where the images are at hand and the number is off, other pixels are tried on some of them.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from ..zoo.catalog import Catalog, open_catalog
from ..zoo.checkpoint.load import build
from ..zoo.checkpoint.reading import read_checkpoint
from ..zoo.errors import UsageError
from ..zoo.looks import CONSISTENT, NO_NUMBER, REPRODUCED, RETRAINED, command
from ..zoo.net.progress import count_bar
from ..zoo.refs import CheckpointFile, resolve
from ..zoo.report import Cause, Report, read_report
from .case import Case
from .causes import causes_of
from .clues import OTHERWISE, known_to_differ, pixels_said, tried
from .crops import Work
from .evaluate import Found, Request, files_sha256, prepare
from .jobs import load_models, predict, recall
from .kept import behind
from .known import audit_for, case_of, training_of, with_others
from .store import Stored, of_weights
from .trials import IMAGES, try_pixels, variants
from .world import World

FINE = (REPRODUCED, CONSISTENT, RETRAINED, NO_NUMBER)  # nothing to explain
FIRST, LIKELY = 128, 4  # images that all pixels are tried on, and pixels that are tried on more


@dataclass(frozen=True)
class Explained:
    """All causes of one checkpoint's number, found ones first. verdict, reason: "" without a row.

    tried: images on which other pixels were tried, 0 for none.
    """

    id: str
    verdict: str
    reason: str
    tried: int
    causes: tuple[Cause, ...]


def explain_all(
    request: Request, world: World, *, images: int = IMAGES, quiet: bool = False
) -> Iterator[Explained]:
    """Explain each REF; of a REPORT those rows whose numbers aren't the published ones.

    images: on which other pixels are tried, at most; 0 tries none. Raises UsageError in a job of
    several processes, for a REF that was never evaluated and whose images aren't named, and what
    `resolve` and `evaluate` raise.
    """
    if world.size > 1:
        raise UsageError("mixzoo explain runs in one process; start it without torchrun.")
    catalog = open_catalog(request.manifests)
    for ref in request.refs:
        if Path(ref).suffix != ".json":
            yield _explained(replace(request, refs=[ref]), catalog, world, images, None, quiet)
            continue
        report = read_report(Path(ref))
        for row in report.rows:
            if row.verdict not in FINE or len(report.rows) == 1:
                one = replace(request, refs=[row.id])
                yield _explained(one, catalog, world, images, report, quiet)


def _explained(
    request: Request,
    catalog: Catalog,
    world: World,
    images: int,
    report: Report | None,
    quiet: bool,
) -> Explained:
    checkpoint = resolve(request.refs[0], catalog, row_id=request.row)
    if report and not report.of_weights(checkpoint.sha256):
        of = next(one.weights for one in report.rows if one.id == request.refs[0])
        benchmark, row = checkpoint.benchmark, checkpoint.row
        words = ("--row", row.id, *benchmark.options) if benchmark and row else ()
        raise UsageError(
            f"{checkpoint.name}: the report is of {of.file} with sha256 {of.sha256}, the file here "
            f"has {checkpoint.sha256}. Name that file: {command('explain', of.file, *words)}"
        )
    audit, _ = audit_for(checkpoint, request.log)
    datasets = [benchmark.manifest.dataset for benchmark in catalog.benchmarks.values()]
    case = case_of(checkpoint, None, audit, datasets=datasets, data=request.data or "DIR")
    unusable = case.traits.keys() & {
        "batch-norm-missing",
        "keys-left-out",
        "other-head",
        "other-row",
    }
    found: Found | None = None
    if not unusable:
        drawn = checkpoint.benchmark and checkpoint.benchmark.manifest.dataset.drawn_by_package
        found = prepare(request, world) if request.data or drawn else None
        told = report.of_weights(checkpoint.sha256) if report else []
        if found and not any(row.not_comparable for row in told):
            stored = _predicted(checkpoint, found, request, world)
        else:
            stored = _kept(case, checkpoint, report, catalog)
        train = training_of(found.images, checkpoint.benchmark) if found else None
        case = case_of(
            checkpoint, stored, audit, train, datasets=datasets, data=request.data or "DIR"
        )
    case = with_others(case, checkpoint.sha256)
    same = found and case.stored and case.stored.files == tuple(found.images.files)
    if found and same and images and case.is_off and not known_to_differ(case) & OTHERWISE:
        case = _with_trials(case, checkpoint, found, request, world, images, quiet)
    verdict, tried = case.told_verdict, max((len(one.indices) for one in case.trials), default=0)
    word, why = (verdict.word, verdict.why) if verdict else ("", "")
    return Explained(checkpoint.name, word, why, tried, causes_of(case))


def _predicted(checkpoint: CheckpointFile, found: Found, request: Request, world: World) -> Stored:
    """The predictions under the request's pixels, kept ones or made now."""
    job = recall(
        checkpoint, found.images, found.protocol, request.precision, world, fresh=request.fresh
    )
    job.about["files_sha256"] = files_sha256(found)
    if not job.from_store and not job.error:
        work = Work(found.images, found.protocol, request.batch_size, request.workers)
        with count_bar(job.name, len(found.images), " img", quiet=not world.leads) as bar:
            predict(
                [job], load_models([job], world, work.batch_size), work, world, progress=bar.update
            )
    if job.error:
        raise job.error
    return job.stored


def _kept(
    case: Case, checkpoint: CheckpointFile, report: Report | None, catalog: Catalog
) -> Stored:
    """Predictions of an earlier evaluation: those behind the report, else the newest."""
    for row in report.of_weights(checkpoint.sha256) if report else ():
        return behind(report, row, catalog)  # type: ignore[arg-type]
    stored = next(of_weights(checkpoint.sha256), None)
    if stored is None:
        raise UsageError(
            f"{checkpoint.name}: no evaluation of it is kept here, and no images are named. Run: "
            f"{case.command('explain', *case.named, *case.images)}"
        )
    return stored


def _with_trials(
    case: Case,
    checkpoint: CheckpointFile,
    found: Found,
    request: Request,
    world: World,
    images: int,
    quiet: bool,
) -> Case:
    row, classes = checkpoint.row, checkpoint.num_classes
    model = build(
        read_checkpoint(checkpoint.path), device=world.device, row=row, num_classes=classes
    )
    protocols = variants(found.published, pixels_said(case.facts, found.published))
    most = min(images, len(found.images))
    few = min(FIRST, most)
    with count_bar("other pixels", few + most * (few < most), " img", quiet=quiet) as bar:
        trials = try_pixels(
            model, found.images, protocols, world.device, most=few, progress=bar.update
        )
        first = replace(case, trials=trials)
        others = sorted((one for one in trials if one.key), key=lambda one: -tried(first, one)[0])
        if few < most:
            best = [protocols[0], *(one.protocol for one in others[:LIKELY])]
            trials += try_pixels(
                model, found.images, best, world.device, most=most, progress=bar.update
            )
            trials = [one for one in trials if one not in others[:LIKELY]]
    return replace(case, trials=trials)
