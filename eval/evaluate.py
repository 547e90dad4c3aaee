"""From references to a report: find, recall, predict, judge."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from ..zoo.cache import data_path
from ..zoo.catalog import Benchmark, Catalog, open_catalog
from ..zoo.checkpoint.claims import claims
from ..zoo.checkpoint.facts import in_words, training_facts
from ..zoo.checkpoint.load import traits
from ..zoo.checkpoint.reading import read_checkpoint
from ..zoo.data import LabelledImages, find_images
from ..zoo.errors import DataError, MixzooError, UsageError
from ..zoo.looks import command
from ..zoo.manifest import Protocol
from ..zoo.net.progress import count_bar
from ..zoo.publish.candidates import log_of
from ..zoo.refs import CheckpointFile
from ..zoo.report import Failure, Report, Row, Unreadable
from . import evidence, parts
from .case import Case
from .clues import pixels_said
from .crops import BATCH_SIZE, CropCache, Work, require_memory
from .jobs import Job, device_name, load_models, predict, recall, resolve_all
from .known import Said, Training, audit_for, case_of, judged, ref_of, training_of
from .logs import LogAudit
from .predictions import Precision
from .protocol import PIXELS, flags, override
from .report import report_of, sampled_row_of, versions
from .sampled_run import Sampled, Sampling, describe, evaluate_sample
from .seeds import is_retrained
from .shard import ALL, Shard
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
    verdict is written (see `eval.evidence`). shard: the part of the images to predict, which
    `eval.parts` keeps.
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
    shard: Shard = ALL
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


@dataclass(frozen=True)
class Predicted:
    """All that a report is made of. jobs: the sound ones. run: how it was computed.

    training: what the training list beside the images says. seen: of a sample.
    """

    found: Found
    jobs: list[Job]
    failures: dict[str, str]
    unreadable: dict[int, str]
    audits: dict[str, LogAudit]
    run: dict[str, Any]
    training: Training | None
    sampling: Sampling | None
    seen: Sampled | None = None


def evaluate_refs(request: Request, world: World, *, quiet: bool = False) -> Report:
    """Evaluate checkpoints and judge them against their rows.

    world: from `world.join`; the same report is returned on every rank. One decoding pass
    serves all checkpoints; what an earlier run predicted isn't predicted again.
    Raises MixzooError (on every rank) if nothing can be evaluated. A checkpoint among several that
    can't be evaluated is named in the report's `failures`.
    """
    done = predicted(request, world, quiet=quiet)
    found, sound, training = done.found, done.jobs, done.training
    if done.sampling and done.seen:
        width = done.sampling.width
        rows = [
            sampled_row_of(job.stored, job.name, job.benchmark, job.row, done.seen, width)
            for job in sound
        ]
    else:
        rows = world.leader_first(lambda: _rows(done, request))
    report = report_of(
        rows,
        sound[0].stored,
        found.benchmark,
        labels=found.images.origin,
        run=done.run,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        published_pixels=found.published,
        failures=tuple(Failure(id=name, error=why) for name, why in done.failures.items()),
        unreadable=tuple(
            Unreadable(file=found.images.files[i], reason=reason)
            for i, reason in sorted(done.unreadable.items())
        ),
        allow_missing=request.allow_missing,
        sample=describe(done.sampling, done.seen, sound[0])
        if done.sampling and done.seen
        else None,
    )
    if folder := request.evidence:
        logs = [audit.log.files if (audit := done.audits.get(j.name)) else () for j in sound]
        names = [job.row.id if job.row else None for job in sound]
        of = [*zip(rows, (job.stored for job in sound), names, logs, strict=True)]
        counts = training.counts if training else None
        world.leader_first(lambda: evidence.write_all(folder, report, of, counts))
    return report


def evaluate_part(
    request: Request, world: World, out: Path, words: Sequence[str], *, quiet: bool = False
) -> dict[str, str]:
    """Predict a shard of the images, and keep it in `out` for `eval.parts`.

    words: of the command, without its --shard and --out. Returns the checkpoints that failed, and
    why. Raises MixzooError as `evaluate_refs` does.
    """
    done = predicted(request, world, quiet=quiet)
    images = done.found.images
    at = request.shard.positions(len(images), request.batch_size)
    world.leader_first(lambda: _write_part(done, request, at, out, words) if world.leads else None)
    return done.failures


def _write_part(
    done: Predicted, request: Request, at: Sequence[int], out: Path, words: Sequence[str]
) -> None:
    found, checkpoints, logs = done.found, [], list[Path]()
    for place, job in enumerate(done.jobs):
        of_job = done.audits[job.name].log.files if job.name in done.audits else ()
        content = read_checkpoint(job.checkpoint.path)
        said = msgspec.structs.replace(
            said_by(job, found, request),
            traits=dict(traits(content, job.row, job.checkpoint.num_classes)),
        )
        names = (f"{place}-log-{n}{''.join(p.suffixes[-2:])}" for n, p in enumerate(of_job))
        one = parts.Of(
            said=said, key=job.key.facts(), file=f"{place}.safetensors", logs=tuple(names)
        )
        checkpoints.append(one)
        logs += of_job
    part = parts.Part(
        number=request.shard.number,
        of=request.shard.of,
        images=len(found.images),
        batch_size=request.batch_size,
        precision=request.precision,
        benchmark=found.benchmark.name if found.benchmark else None,
        published=found.published,
        labels=found.images.origin,
        data=str(request.data or "DIR"),
        run={name: value for name, value in done.run.items() if name != "from_store"},
        versions=versions(),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        command=tuple(words),
        allow_missing=request.allow_missing,
        training=done.training,
        checkpoints=tuple(checkpoints),
        failures=done.failures,
        unreadable={found.images.files[i]: why for i, why in sorted(done.unreadable.items())},
        files={},
    )
    parts.write(out, part, [job.stored.at(at) for job in done.jobs], logs)


def predicted(request: Request, world: World, *, quiet: bool = False) -> Predicted:
    """Find checkpoints and images, and predict what isn't known, the same on every rank.

    Raises MixzooError as `evaluate_refs` does.
    """
    found = prepare(request, world)
    sampling = _sampling(request, len(found.images))
    jobs = [
        recall(
            checkpoint,
            found.images,
            found.protocol,
            request.precision,
            world,
            fresh=request.fresh,
            batch_size=request.batch_size,
            shard=request.shard,
        )
        for checkpoint in found.checkpoints
    ]
    audits, log_problems = world.leader_first(lambda: _audits(jobs, request))
    of_files = world.leader_first(lambda: files_sha256(found))
    for job in jobs:
        job.about["files_sha256"] = of_files
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
    return Predicted(
        found,
        sound,
        {name: str(error) for name, error in failures.items()},
        unreadable,
        audits,
        _how(request, world, jobs, log_problems) | _notes(found.images),
        world.leader_first(lambda: training_of(found.images, found.benchmark)),
        sampling,
        seen,
    )


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
    most = -(-len(images) // request.batch_size)
    if request.shard.of > max(1, most):
        raise UsageError(
            f"--shard {request.shard}: expected at most {most} parts, as {len(images)} images are "
            f"{most} batches of {request.batch_size}, got {request.shard.of}. Make fewer parts, or "
            "give all of them a smaller --batch-size."
        )
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
        wanted = request.shard.positions(len(found.images), request.batch_size)
        with _bar(group, len(wanted), world, quiet=quiet) as bar:
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


def said_by(job: Job, found: Found, request: Request) -> Said:
    """What a job's checkpoint says of itself, held against its row and these pixels."""
    row, manifest = job.row, job.benchmark.manifest if job.benchmark else None
    meta = read_checkpoint(job.checkpoint.path).meta
    facts = training_facts(meta)
    said = claims(meta, found.protocol, row, manifest)
    named = pixels_said(facts, found.published)
    if said.disagreements and named not in (found.published, found.protocol):
        judged_as = ("--row", row.id) if row else ()
        data, pixels = request.data or "DIR", flags(named, found.published)
        words = ("eval", job.checkpoint.path, *judged_as, "--data", data, *pixels)
        ask = f"To evaluate with the pixels that it names: {command(*words)}"
        said = msgspec.structs.replace(said, disagreements=(*said.disagreements, ask))
    own = is_retrained(said.facts, job.checkpoint.sha256, job.benchmark, row)
    return Said(
        name=str(job.checkpoint.path) if own else job.name,
        judged_as=row.id if row else None,
        own=own,
        claims=said,
        facts=facts,
        ref=ref_of(job.checkpoint),
    )


def _rows(done: Predicted, request: Request) -> list[Row]:
    """The rows, with the causes of numbers that are off."""
    datasets = [one.manifest.dataset for one in done.found.catalog.benchmarks.values()]

    def row_of_job(job: Job) -> Row:
        audit, stored = done.audits.get(job.name), job.stored

        def case() -> Case:
            data = request.data or "DIR"
            known = job.checkpoint, stored, audit, done.training
            return case_of(*known, datasets=datasets, data=data)

        said = said_by(job, done.found, request)
        return judged(said, stored, job.benchmark, job.row, audit, done.training, case)

    return [row_of_job(job) for job in done.jobs]


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
    require_memory(min(request.batch_size, len(found.images)), found.protocol.crop)
    crops, cache = request.crops, None
    if crops:
        cache = world.leader_first(lambda: CropCache.open(crops, found.images, found.protocol))
    size, workers = request.batch_size, request.workers
    return Work(found.images, found.protocol, size, workers, cache, request.shard)


def _sampling(request: Request, images: int) -> Sampling | None:
    if request.sample is None and request.until is None:
        return None
    if request.shard.of > 1:
        raise UsageError("--shard is a part of all images; leave --sample or --until.")
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
            f"--sample: expected 1 to {images} (all images), got {request.sample}. Choose such a "
            "number."
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


def files_sha256(found: Found) -> str | None:
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
