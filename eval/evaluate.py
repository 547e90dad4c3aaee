"""From references to a report: find, recall, predict, judge."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from ..zoo.cache import data_path
from ..zoo.catalog import Benchmark, Catalog, open_catalog
from ..zoo.checkpoint.claims import claims
from ..zoo.checkpoint.facts import in_words, training_facts
from ..zoo.checkpoint.reading import read_checkpoint
from ..zoo.data import LabelledImages, find_images
from ..zoo.errors import DataError, MixzooError, UsageError
from ..zoo.looks import command
from ..zoo.manifest import Protocol
from ..zoo.net.progress import count_bar
from ..zoo.publish.candidates import log_of
from ..zoo.refs import CheckpointFile
from ..zoo.report import Failure, Report, Row, Unreadable
from . import evidence
from .case import Case
from .causes import causes_of, worth_telling
from .clues import pixels_said
from .crops import BATCH_SIZE, CropCache, Work
from .jobs import Job, device_name, load_models, predict, recall, resolve_all
from .known import audit_for, case_of, training_list, with_others
from .logs import LogAudit
from .predictions import Precision
from .protocol import PIXELS, flags, override
from .report import report_of, row_of, sampled_row_of
from .sampled_run import Sampled, Sampling, describe, evaluate_sample
from .seeds import is_retrained
from .world import World

PROTOCOL_OF = "inat2018"  # whose pixels a checkpoint without a row is evaluated with


@dataclass(frozen=True)
class Request:
    """What to evaluate: `refs` (row ids or files) on the images below `data`.

    benchmark: all rows of this benchmark, beside `refs`. data: None draws the images where the
    benchmark is drawn by the package. row: the row that a file is judged against. resize, crop,
    interpolation, mean, std, channels: None keeps the protocol's value. precision: "fp32",
    "guarded" (fast arithmetic where its measured error can't change a prediction) or "fast".
    allow_missing: report although images can't be read; they count as wrong. fresh: don't use
    predictions that were kept. crops: folder that decoded crops are kept in. models_at_once:
    checkpoints in memory together; None for all. log: the training log of a single checkpoint;
    rows' own logs are used where they are here. sample, until, seed: evaluate so many images, or
    until the interval is so many points wide. evidence: folder in which the evidence of each
    verdict is written (see `eval.evidence`).
    """

    refs: Sequence[str] = ()
    benchmark: str | None = None
    data: Path | None = None
    annotations: Path | None = None
    list_file: Path | None = None
    row: str | None = None
    resize: int | None = None
    crop: int | None = None
    interpolation: str | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    channels: str | None = None
    precision: Precision = "guarded"
    batch_size: int = BATCH_SIZE
    workers: int | None = None
    allow_missing: bool = False
    fresh: bool = False
    crops: Path | None = None
    models_at_once: int | None = None
    log: Path | None = None
    sample: int | None = None
    until: float | None = None
    seed: int = 0
    evidence: Path | None = None
    manifests: Sequence[Path] = ()


@dataclass(frozen=True)
class Found:
    """What all checkpoints of an evaluation share. published: the benchmark's own pixels."""

    catalog: Catalog
    checkpoints: list[CheckpointFile]
    failures: dict[str, MixzooError]
    benchmark: Benchmark | None
    images: LabelledImages
    published: Protocol
    protocol: Protocol


def evaluate_refs(request: Request, world: World, *, quiet: bool = False) -> Report:
    """Evaluate checkpoints and judge them against their rows.

    world: from `world.join`; the same report is returned on every rank. One decoding pass
    serves all checkpoints; what an earlier run predicted isn't predicted again.
    Raises MixzooError (on every rank) if nothing can be evaluated. A checkpoint among several that
    can't be evaluated is named in the report's `failures`.
    """
    found = prepare(request, world)
    sampling = _sampling(request, len(found.images))
    jobs = [
        recall(c, found.images, found.protocol, request.precision, world, fresh=request.fresh)
        for c in found.checkpoints
    ]
    audits, log_problems = world.leader_first(lambda: _audits(jobs, request))
    files_sha256 = world.leader_first(lambda: _files_sha256(found))
    for job in jobs:
        job.about["files_sha256"] = files_sha256
    seen: Sampled | None = None
    if sampling:
        seen = _sample(jobs, found, request, sampling, world, quiet=quiet)
        unreadable = seen.unreadable
    else:
        unreadable = _predict(jobs, found, request, world, quiet=quiet)
    failures = found.failures | {job.name: job.error for job in jobs if job.error}
    sound = [job for job in jobs if not job.error]
    if not sound:
        raise next(iter(failures.values()))
    training: dict[int, int] = {}
    if sampling and seen:
        rows = [
            sampled_row_of(job.stored, job.name, job.benchmark, job.row, seen, sampling.width)
            for job in sound
        ]
    else:
        rows, training = world.leader_first(lambda: _rows(sound, found, audits, request))
    report = report_of(
        rows,
        sound[0].stored,
        found.benchmark,
        labels=found.images.origin,
        run=_how(request, world, jobs, log_problems) | _notes(found.images),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        published_pixels=found.published,
        failures=tuple(Failure(id=name, error=str(error)) for name, error in failures.items()),
        unreadable=tuple(
            Unreadable(file=found.images.files[i], reason=reason)
            for i, reason in sorted(unreadable.items())
        ),
        allow_missing=request.allow_missing,
        sample=describe(sampling, seen, sound[0]) if sampling and seen else None,
    )
    if folder := request.evidence:
        world.leader_first(lambda: _write_evidence(folder, report, sound, audits, training))
    return report


def prepare(request: Request, world: World) -> Found:
    """Find checkpoints, images and protocol; the leader first, since it may have to fetch."""
    catalog = open_catalog(request.manifests)
    refs = list(request.refs)
    if request.benchmark:
        refs += [row.id for row in catalog.benchmark(request.benchmark).manifest.rows]
    refs = list(dict.fromkeys(refs))
    checkpoints, failures = world.leader_first(lambda: resolve_all(refs, catalog, request.row))
    if not checkpoints:
        raise next(iter(failures.values()))
    benchmark = _common_benchmark(checkpoints)
    images = world.leader_first(lambda: _images(request, benchmark))
    published = (benchmark or catalog.benchmark(PROTOCOL_OF)).manifest.protocol
    protocol = override(published, **{name: getattr(request, name) for name in PIXELS})
    return Found(catalog, checkpoints, failures, benchmark, images, published, protocol)


def _predict(
    jobs: Sequence[Job], found: Found, request: Request, world: World, *, quiet: bool
) -> dict[int, str]:
    """Predict what isn't known, some models at a time. Returns the images that can't be read."""
    todo = [job for job in jobs if not job.from_store and not job.error]
    if not todo:
        return {}
    work = _work(found, request, world)
    step = request.models_at_once or len(todo)
    unreadable: dict[int, str] = {}
    for start in range(0, len(todo), step):
        group = todo[start : start + step]
        models = load_models(group, world, request.batch_size)
        with _bar(group, len(found.images), world, quiet=quiet) as bar:
            advance = _advance(bar, world.size)
            unreadable |= predict(group, models, work, world, progress=advance)
    return unreadable


def _sample(
    jobs: Sequence[Job],
    found: Found,
    request: Request,
    sampling: Sampling,
    world: World,
    *,
    quiet: bool,
) -> Sampled:
    todo = [j for j in jobs if not j.from_store and not j.error]
    models = load_models(todo, world, request.batch_size)
    able = [job for job in jobs if not job.error]
    if not able:
        return Sampled([], {}, {})
    with _bar(able, sampling.images or len(found.images), world, quiet=quiet) as bar:
        work = _work(found, request, world)
        return evaluate_sample(able, models, work, world, sampling, _advance(bar, world.size))


def _rows(
    jobs: Sequence[Job], found: Found, audits: Mapping[str, LogAudit], request: Request
) -> tuple[list[Row], dict[int, int]]:
    """The rows, with the causes of numbers that are off; and the training images of each class."""
    rows, train = [], training_list(found.images, found.benchmark)
    training = dict(train.class_counts()) if train else {}
    datasets = [benchmark.manifest.dataset for benchmark in found.catalog.benchmarks.values()]
    for job in jobs:
        manifest = job.benchmark.manifest if job.benchmark else None
        meta = read_checkpoint(job.checkpoint.path).meta
        said = claims(meta, found.protocol, job.row, manifest)
        named = pixels_said(training_facts(meta), found.published)
        if said.disagreements and named not in (found.published, found.protocol):
            judged_as = ("--row", job.row.id) if job.row else ()
            data, pixels = request.data or "DIR", flags(named, found.published)
            words = ("eval", job.checkpoint.path, *judged_as, "--data", data, *pixels)
            ask = f"To evaluate with the pixels that it names: {command(*words)}"
            said = msgspec.structs.replace(said, disagreements=(*said.disagreements, ask))
        own = is_retrained(said.facts, job.checkpoint.sha256, job.benchmark, job.row)
        audit = audits.get(job.name)
        row = row_of(
            job.stored,
            str(job.checkpoint.path) if own else job.name,
            job.benchmark,
            job.row,
            audit=audit,
            claims=said,
            training_images=training,
        )
        known = Case(stored=job.stored, benchmark=job.benchmark, row=job.row, audit=audit)
        if known.is_off and not own:  # another run's number is another draw
            data = request.data or "DIR"
            case = case_of(job.checkpoint, job.stored, audit, train, datasets=datasets, data=data)
            case = with_others(case, job.checkpoint.sha256)
            row = msgspec.structs.replace(row, causes=worth_telling(causes_of(case)))
        rows.append(row)
    return rows, training


def _write_evidence(
    folder: Path,
    report: Report,
    jobs: Sequence[Job],
    audits: Mapping[str, LogAudit],
    training: Mapping[int, int],
) -> None:
    for job, row in zip(jobs, report.rows, strict=True):
        audit = audits.get(job.name)
        evidence.write(
            folder,
            report,
            row,
            job.stored,
            judged_as=job.row.id if job.row else None,
            logs=audit.log.files if audit else (),
            training_images=training,
        )


def _audits(jobs: Sequence[Job], request: Request) -> tuple[dict[str, LogAudit], list[str]]:
    """Audits of the training logs that are at hand, by job, and which logs are of no use.

    The log is the one named with the request, else the row's own. Raises what reading a named one
    raises.
    """
    if request.log and len(jobs) != 1:
        raise UsageError("--log belongs to one checkpoint; expected one REF with it. Name one.")
    audits, problems = {}, []
    for job in jobs:
        if job.benchmark and job.row and not request.log and _is_own_run(job):
            log = log_of(job.checkpoint.path, job.checkpoint.path)
            audits |= (
                {job.name: audit} if log and (audit := audit_for(job.checkpoint, log)[0]) else {}
            )
            continue
        audit, unread = audit_for(job.checkpoint, request.log, len(job.images))
        audits |= {job.name: audit} if audit else {}
        problems += unread
    return audits, problems


def _is_own_run(job: Job) -> bool:
    """Whether a file is a run of its own of its row; what can't be read tells why when it is loaded."""
    try:
        facts = in_words(training_facts(read_checkpoint(job.checkpoint.path).meta))
    except MixzooError:
        return False
    return is_retrained(facts, job.checkpoint.sha256, job.benchmark, job.row)


def _work(found: Found, request: Request, world: World) -> Work:
    crops, cache = request.crops, None
    if crops:
        cache = world.leader_first(lambda: CropCache.open(crops, found.images, found.protocol))
    return Work(found.images, found.protocol, request.batch_size, request.workers, cache)


def _sampling(request: Request, images: int) -> Sampling | None:
    if request.sample is None and request.until is None:
        return None
    if request.evidence:
        raise UsageError(
            "--evidence holds the predictions of all images; leave --sample or --until."
        )
    if request.sample is not None and request.until is not None:
        raise UsageError(
            "Both --sample and --until were given; expected one of them. Leave one out."
        )
    if request.sample is not None and request.sample > images:
        raise UsageError(
            f"--sample: expected 1 to {images} (all images), got {request.sample}. Choose such a number."
        )
    return Sampling(request.sample, request.until, request.seed)


def _common_benchmark(checkpoints: Sequence[CheckpointFile]) -> Benchmark | None:
    benchmarks = {c.benchmark.name: c.benchmark for c in checkpoints if c.benchmark}
    if len(benchmarks) > 1:
        raise UsageError(
            f"Rows of several benchmarks ({', '.join(benchmarks)}) were given; expected one: they "
            "have different images. Evaluate each by itself."
        )
    return next(iter(benchmarks.values()), None)


def _images(request: Request, benchmark: Benchmark | None) -> LabelledImages:
    data = request.data
    if data is None:
        if benchmark is None or not benchmark.manifest.dataset.drawn_by_package:
            wanted = benchmark.manifest.dataset.name if benchmark else "the checkpoint's data set"
            raise UsageError(f"--data DIR is missing: name the folder with the images of {wanted}.")
        from ..zoo.mini import draw

        data = draw(data_path(benchmark.name), "val")
    if request.annotations and request.list_file:
        raise UsageError(
            "Both --annotations and --list were given; expected one of them. Leave one out."
        )
    return find_images(
        data,
        request.annotations or request.list_file,
        names=benchmark.manifest.dataset.val.annotations if benchmark else (),
        allow_missing=request.allow_missing,
    )


def _files_sha256(found: Found) -> str | None:
    """Of the images' bytes, where the benchmark locks it; None where not all can be read."""
    if not found.benchmark or not found.benchmark.manifest.dataset.val.files_sha256:
        return None
    try:
        return found.images.files_sha256()
    except DataError:
        return None


def _how(
    request: Request, world: World, jobs: Sequence[Job], log_problems: Sequence[str]
) -> dict[str, Any]:
    kept = [job.about.get("created", "") for job in jobs if job.from_store]
    problems = sorted({job.about["not_kept"] for job in jobs if "not_kept" in job.about})
    return {
        "device": device_name(world.device),
        "device_type": world.device.type,
        "world_size": world.size,
        "batch_size": request.batch_size,
        "precision": request.precision,
        **(
            {"from_store": f"{len(kept)} of {len(jobs)}, the oldest of {min(kept)}"} if kept else {}
        ),
        **({"not_kept": problems} if problems else {}),
        **({"log_problems": log_problems} if log_problems else {}),
    }


def _notes(images: LabelledImages) -> dict[str, Any]:
    return {"images": list(images.notes)} if images.notes else {}


def _bar(jobs: Sequence[Job], images: int, world: World, *, quiet: bool) -> Any:
    name = jobs[0].name if len(jobs) == 1 else f"{len(jobs)} checkpoints"
    return count_bar(name, images, " img", quiet=quiet or not world.leads)


def _advance(bar: Any, world_size: int) -> Callable[[int], object]:
    """Progress of all ranks, as seen from the leader: they walk in step."""
    return lambda images: bar.update(min(images * world_size, bar.total - bar.n))
