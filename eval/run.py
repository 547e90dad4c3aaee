"""From references to a report: resolve, recall, predict, judge."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from ..zoo import shelf
from ..zoo.cache import data_path
from ..zoo.catalog import Benchmark, Catalog, open_catalog
from ..zoo.data import LabelledImages, find_images
from ..zoo.errors import MixzooError, UsageError
from ..zoo.manifest import Protocol
from ..zoo.refs import CheckpointFile
from .crops import CropCache
from .entries import Entry, device_name, load_models, predict, recall, resolve_all
from .evaluator import BATCH_SIZE, Work
from .judging import Judging, rows_of, sampled_rows, training_images
from .logs.audit import Claim, LogAudit, audit_files, claim_of
from .logs.sources import from_row
from .predictions import Precision
from .protocol import override
from .report import Report
from .sampled_run import Look, Sampling, describe, look
from .world import World

PROTOCOL_OF = "inat2018"  # whose pixels a checkpoint without a row is evaluated with


@dataclass(frozen=True)
class Request:
    """What to evaluate: `refs` (row ids or files) on the images below `data`.

    benchmark: all rows of this benchmark, beside `refs`. data: None draws the images where the
    benchmark is drawn by the package. row: the row that a file is judged against. resize, crop,
    interpolation: None keeps the protocol's value. precision: "fp32", "guarded" (fast arithmetic
    where it can't change a prediction) or "fast". allow_missing: judge although images can't be
    read; they count as wrong. fresh: don't use predictions that were kept. crops: folder that
    decoded crops are kept in. models_at_once: checkpoints in memory together; None for all. log:
    the training log of a single checkpoint; rows' own logs are used where they are here. sample,
    until, seed: evaluate so many images, or until the interval is so many points wide.
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
    manifests: Sequence[Path] = ()


@dataclass(frozen=True)
class Setting:
    """What all entries of an evaluation share."""

    catalog: Catalog
    checkpoints: list[CheckpointFile]
    failures: dict[str, MixzooError]
    benchmark: Benchmark | None
    images: LabelledImages
    published: Protocol
    protocol: Protocol


def evaluate_refs(request: Request, world: World, *, quiet: bool = False) -> Report:
    """Evaluate checkpoints and judge them against their rows.

    world: from `distributed.join`; the same report is returned on every rank. One decoding pass
    serves all checkpoints; what an earlier run predicted isn't predicted again.
    Raises MixzooError (on every rank) if nothing can be evaluated. A checkpoint among several that
    can't be evaluated is named in the report's `failures`.
    """
    setting = prepare(request, world)
    entries = [
        recall(c, setting.images, setting.protocol, request.precision, world, fresh=request.fresh)
        for c in setting.checkpoints
    ]
    sampling = _sampling(request, len(setting.images))
    if sampling:
        look = _look(entries, setting, request, sampling, world, quiet=quiet)
        unreadable = look.unreadable
    else:
        look, unreadable = None, _predict(entries, setting, request, world, quiet=quiet)
    failures = setting.failures | {e.name: e.error for e in entries if e.error}
    if failures and len(failures) == len(entries) + len(setting.failures):
        raise next(iter(failures.values()))
    sound = [entry for entry in entries if not entry.error]
    sample: dict[str, Any] = {}
    if sampling and look:
        row = sound[0].checkpoint.row
        sample = describe(sampling, look, setting.images, row.reported_top1 if row else None)
        rows = [line for e in sound for line in sampled_rows(e, look, sampling.width)]
    else:
        judging = Judging(
            benchmark=setting.benchmark,
            images=setting.images,
            protocol=setting.protocol,
            unreadable=unreadable,
            allow_missing=request.allow_missing,
            logs=world.leader_first(lambda: _logs(sound, request)),
            training_images=training_images(setting.images, setting.benchmark),
        )
        rows = [line for entry in sound for line in rows_of(entry, judging)]
    return Report(
        rows=tuple(rows),
        benchmark=setting.benchmark.name if setting.benchmark else None,
        protocol=_describe(setting.protocol, setting.published),
        data={
            "labels": setting.images.origin,
            "images": len(setting.images),
            "list_sha256": setting.images.sha256(),
        },
        run=_describe_run(request, world, entries),
        failures={name: str(error) for name, error in failures.items()},
        unreadable={setting.images.files[i]: reason for i, reason in sorted(unreadable.items())},
        allow_missing=request.allow_missing,
        sample=sample,
    )


def prepare(request: Request, world: World) -> Setting:
    """Find checkpoints, images and protocol; the leader first, since it may have to fetch."""
    catalog = open_catalog(request.manifests)
    refs = list(request.refs)
    if request.benchmark:
        refs += [row.id for row in catalog.benchmark(request.benchmark).manifest.rows]
    refs = list(dict.fromkeys(refs))
    found, failures = world.leader_first(lambda: resolve_all(refs, catalog, request.row))
    if not found:
        raise next(iter(failures.values()))
    benchmark = _common_benchmark(found)
    images = world.leader_first(lambda: _images(request, benchmark))
    published = (benchmark or catalog.benchmark(PROTOCOL_OF)).manifest.protocol
    protocol = override(
        published,
        resize=request.resize,
        crop=request.crop,
        interpolation=request.interpolation,
    )
    return Setting(catalog, found, failures, benchmark, images, published, protocol)


def _predict(
    entries: Sequence[Entry], setting: Setting, request: Request, world: World, *, quiet: bool
) -> dict[int, str]:
    """Predict what isn't known, some models at a time. Returns the images that can't be read."""
    todo = [entry for entry in entries if not entry.from_store]
    if not todo:
        return {}
    work = _work(setting, request, world)
    step = request.models_at_once or len(todo)
    unreadable: dict[int, str] = {}
    for start in range(0, len(todo), step):
        group = todo[start : start + step]
        models = load_models(group, setting.protocol, world)
        with _bar(group, len(setting.images), world, quiet=quiet) as bar:
            advance = _advance(bar, world.size)
            unreadable |= predict(group, models, work, world, progress=advance)
    return unreadable


def _look(
    entries: Sequence[Entry],
    setting: Setting,
    request: Request,
    sampling: Sampling,
    world: World,
    *,
    quiet: bool,
) -> Look:
    models = load_models([e for e in entries if not e.from_store], setting.protocol, world)
    able = [entry for entry in entries if not entry.error]
    if not able:
        return Look([], {}, {})
    with _bar(able, sampling.images or len(setting.images), world, quiet=quiet) as bar:
        work = _work(setting, request, world)
        return look(able, models, work, world, sampling, _advance(bar, world.size))


def _work(setting: Setting, request: Request, world: World) -> Work:
    crops, cache = request.crops, None
    if crops:
        cache = world.leader_first(lambda: CropCache.open(crops, setting.images, setting.protocol))
    return Work(setting.images, setting.protocol, request.batch_size, request.workers, cache)


def _sampling(request: Request, images: int) -> Sampling | None:
    if request.sample is None and request.until is None:
        return None
    if request.sample is not None and request.until is not None:
        raise UsageError("Both --sample and --until were given; expected one of them.")
    if request.sample is not None and request.sample > images:
        raise UsageError(f"--sample: expected 1 to {images} (all images), got {request.sample}.")
    return Sampling(request.sample, request.until, request.seed)


def _logs(entries: Sequence[Entry], request: Request) -> dict[str, LogAudit]:
    """Audits of the training logs that are at hand: named with the request, or a row's own."""
    if request.log:
        if len(entries) != 1:
            raise UsageError("--log belongs to one checkpoint; expected one REF with it.")
        row, benchmark = entries[0].checkpoint.row, entries[0].checkpoint.benchmark
        claim = claim_of(benchmark.manifest, row) if row and benchmark else Claim()
        return {entries[0].name: audit_files([request.log], claim)}
    found: dict[str, LogAudit] = {}
    for entry in entries:
        row, benchmark = entry.checkpoint.row, entry.checkpoint.benchmark
        if row and benchmark and shelf.log(benchmark, row).local:
            source = from_row(benchmark, row)
            found[entry.name] = audit_files(source.paths, source.claim, name=source.name)
    return found


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
            raise UsageError(f"--data is missing: expected the folder with the images of {wanted}.")
        from ..zoo.mini import draw

        data = draw(data_path(benchmark.name), "val")
    return find_images(
        data,
        annotations=request.annotations,
        list_file=request.list_file,
        names=benchmark.manifest.dataset.val.annotations if benchmark else (),
        allow_missing=request.allow_missing,
    )


def _describe(protocol: Protocol, published: Protocol) -> dict[str, Any]:
    names = ("resize", "crop", "interpolation", "mean", "std")
    values = {name: getattr(protocol, name) for name in names}
    changed = {
        name: getattr(published, name) for name in names if getattr(published, name) != values[name]
    }
    return {
        **values,
        "overrides": {n: f"{values[n]} instead of {old}" for n, old in changed.items()},
    }


def _describe_run(request: Request, world: World, entries: Sequence[Entry]) -> dict[str, Any]:
    kept = [e.about.get("created", "") for e in entries if e.from_store]
    problems = sorted({e.about["not_kept"] for e in entries if "not_kept" in e.about})
    return {
        "device": device_name(world.device),
        "device_type": world.device.type,
        "world_size": world.size,
        "batch_size": request.batch_size,
        "precision": request.precision,
        **(
            {"from_store": f"{len(kept)} of {len(entries)}, the oldest of {min(kept)}"}
            if kept
            else {}
        ),
        **({"not_kept": problems} if problems else {}),
    }


def _bar(entries: Sequence[Entry], images: int, world: World, *, quiet: bool) -> "tqdm[Any]":
    name = entries[0].name if len(entries) == 1 else f"{len(entries)} checkpoints"
    disable = True if quiet or not world.leads else None  # None: off where stderr isn't a terminal
    return tqdm(total=images, desc=name, unit="img", disable=disable)


def _advance(bar: "tqdm[Any]", world_size: int) -> Callable[[int], object]:
    """Progress of all ranks, as seen from the leader: they walk in step."""
    return lambda images: bar.update(min(images * world_size, bar.total - bar.n))
