"""From references to a report: resolve, recall, predict, judge."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from ..zoo.cache import data_path
from ..zoo.catalog import Benchmark, Catalog, open_catalog
from ..zoo.data import LabelledImages, find_images
from ..zoo.errors import MixzooError, UsageError
from ..zoo.manifest import Protocol
from ..zoo.refs import Resolved
from . import store
from .crop_cache import CropCache
from .distributed import World
from .entries import Entry, device_name, predict, recall, resolve_all
from .evaluator import BATCH_SIZE, Work
from .judging import Judging, rows_of
from .protocol import override
from .report import Report

PROTOCOL_OF = "inat2018"  # whose pixels a checkpoint without a row is evaluated with


@dataclass(frozen=True)
class Request:
    """What to evaluate: `refs` (row ids or files) on the images below `data`.

    benchmark: all rows of this benchmark, beside `refs`. data: None draws the images where the
    benchmark is drawn by the package. row: the row that a file is judged against. resize, crop,
    interpolation: None keeps the protocol's value. precision: "fp32", "guarded" (fast arithmetic
    where it can't change a prediction) or "fast". allow_missing: judge although images can't be
    read; they count as wrong. fresh: don't use predictions that were kept. crops: folder that
    decoded crops are kept in. models_at_once: checkpoints in memory together; None for all.
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
    precision: store.Precision = "guarded"
    batch_size: int = BATCH_SIZE
    workers: int | None = None
    allow_missing: bool = False
    fresh: bool = False
    crops: Path | None = None
    models_at_once: int | None = None
    manifests: Sequence[Path] = ()


@dataclass(frozen=True)
class Setting:
    """What all entries of an evaluation share."""

    catalog: Catalog
    checkpoints: list[Resolved]
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
    unreadable = _predict(entries, setting, request, world, quiet=quiet)
    failures = setting.failures | {e.name: e.error for e in entries if e.error}
    if failures and len(failures) == len(entries) + len(setting.failures):
        raise next(iter(failures.values()))
    judging = Judging(
        benchmark=setting.benchmark,
        images=setting.images,
        unreadable=unreadable,
        allow_missing=request.allow_missing,
    )
    rows = [row for entry in entries if not entry.error for row in rows_of(entry, judging)]
    return Report(
        rows=tuple(rows),
        benchmark=setting.benchmark.name if setting.benchmark else None,
        protocol=_describe(setting.protocol, setting.published),
        data={
            "labels": setting.images.origin,
            "images": len(setting.images),
            "list_sha256": setting.images.sha256(),
        },
        run=_describe_run(request, world),
        failures={name: str(error) for name, error in failures.items()},
        unreadable={setting.images.files[i]: reason for i, reason in sorted(unreadable.items())},
        allow_missing=request.allow_missing,
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
    crops = request.crops
    cache = (
        world.leader_first(lambda: CropCache.open(crops, setting.images, setting.protocol))
        if crops
        else None
    )
    work = Work(setting.images, setting.protocol, request.batch_size, request.workers, cache)
    step = request.models_at_once or len(todo)
    unreadable: dict[int, str] = {}
    for start in range(0, len(todo), step):
        group = todo[start : start + step]
        name = group[0].name if len(group) == 1 else f"{len(group)} checkpoints"
        with _bar(name, len(setting.images), world, quiet=quiet) as bar:
            unreadable |= predict(group, work, world, progress=_advance(bar, world.size))
    return unreadable


def _common_benchmark(checkpoints: Sequence[Resolved]) -> Benchmark | None:
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


def _describe_run(request: Request, world: World) -> dict[str, Any]:
    return {
        "device": device_name(world.device),
        "device_type": world.device.type,
        "world_size": world.size,
        "batch_size": request.batch_size,
        "precision": request.precision,
    }


def _bar(name: str, images: int, world: World, *, quiet: bool) -> "tqdm[Any]":
    disable = True if quiet or not world.leads else None  # None: off where stderr isn't a terminal
    return tqdm(total=images, desc=name, unit="img", disable=disable)


def _advance(bar: "tqdm[Any]", world_size: int) -> Callable[[int], object]:
    """Progress of all ranks, as seen from the leader: they walk in step."""
    return lambda images: bar.update(min(images * world_size, bar.total - bar.n))
