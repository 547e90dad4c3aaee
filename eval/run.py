"""From references to a report: resolve, load, evaluate, judge."""

import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from ..zoo.cache import data_path
from ..zoo.catalog import Benchmark, open_catalog
from ..zoo.data import LabelledImages, find_images
from ..zoo.errors import UsageError
from ..zoo.load import load_resolved
from ..zoo.manifest import Metric, Protocol
from ..zoo.refs import Resolved, resolve
from .distributed import World
from .evaluator import BATCH_SIZE, Counts, evaluate
from .protocol import override
from .report import Report, ReportRow, Weights
from .verdict import judge

if TYPE_CHECKING:
    from ..zoo.architectures import Classifier, MixClassifier

PROTOCOL_OF = "inat2018"  # whose pixels a checkpoint without a row is evaluated with


@dataclass(frozen=True)
class Request:
    """What to evaluate: `refs` (row ids or files) on the images below `data`.

    data: None draws the images where the benchmark is drawn by the package. row: the row that a
    file is judged against. resize, crop, interpolation: None keeps the protocol's value.
    """

    refs: Sequence[str]
    data: Path | None = None
    annotations: Path | None = None
    list_file: Path | None = None
    row: str | None = None
    resize: int | None = None
    crop: int | None = None
    interpolation: str | None = None
    batch_size: int = BATCH_SIZE
    workers: int | None = None
    manifests: Sequence[Path] = ()


def evaluate_refs(request: Request, world: World, *, quiet: bool = False) -> Report:
    """Evaluate checkpoints and judge them against their rows.

    world: from `distributed.join`; the same report is returned on every rank.
    Raises MixzooError (on every rank) as soon as any of them can't be evaluated.
    """
    catalog = open_catalog(request.manifests)
    find = partial(resolve, catalog=catalog, row_id=request.row)
    checkpoints = world.leader_first(lambda: [find(ref) for ref in request.refs])
    benchmark = _common_benchmark(checkpoints)
    images = world.leader_first(lambda: _images(request, benchmark))
    published = (benchmark or catalog.benchmark(PROTOCOL_OF)).manifest.protocol
    protocol = override(
        published,
        resize=request.resize,
        crop=request.crop,
        interpolation=request.interpolation,
    )
    rows: list[ReportRow] = []
    for checkpoint in checkpoints:
        model = world.leader_first(partial(load_resolved, checkpoint, device=world.device))
        with _bar(checkpoint.name, len(images), world, quiet=quiet) as bar:
            counts = evaluate(
                model.logits,
                images,
                protocol,
                batch_size=request.batch_size,
                workers=request.workers,
                world=world,
                progress=_advance(bar, world.size),
            )
        rows += _judge(checkpoint, model, counts, _other_images(benchmark, images))
    return Report(
        rows=tuple(rows),
        benchmark=benchmark.name if benchmark else None,
        protocol=_describe(protocol, published),
        data={
            "labels": images.origin,
            "images": len(images),
            "list_sha256": images.sha256(),
        },
        run=_describe_run(request, world),
    )


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


def _other_images(benchmark: Benchmark | None, images: LabelledImages) -> str | None:
    """Why these images can't be those of the benchmark's table, or None if they can."""
    if benchmark is None:
        return None
    expected = benchmark.manifest.dataset.val
    if expected.images is None:
        return f"{len(images)} images; how many the table was measured on is not known"
    if len(images) != expected.images:
        return f"{len(images)} images, the table's validation set has {expected.images}"
    if expected.list_sha256 not in (None, images.sha256()):
        return "as many images, but another list of paths and labels"
    if expected.files_sha256 and expected.files_sha256 != images.files_sha256():
        return (
            "the listed images, but not all with the locked bytes (drawn by another Pillow, or "
            f"damaged: remove {images.root} and prepare it again)"
        )
    return None


def _judge(
    checkpoint: Resolved,
    model: "Classifier | MixClassifier",
    counts: dict[str, Counts],
    other_images: str | None,
) -> list[ReportRow]:
    row, benchmark = checkpoint.row, checkpoint.benchmark
    metric = benchmark.manifest.metric if benchmark else Metric(statistic="last_epoch")
    reported = row.reported_top1 if row else None
    weights = Weights(
        file=checkpoint.path.name,
        sha256=checkpoint.sha256,
        architecture=model.architecture,
        method=model.method,
        num_classes=model.num_classes,
    )
    return [
        ReportRow(
            id=checkpoint.name,
            head=head,
            is_default_head=head == model.heads[0],
            has_other_heads=len(model.heads) > 1,
            counts=counts[head],
            reported_top1=reported,
            decimals=metric.decimals,
            verdict=judge(
                counts[head].correct,
                counts[head].total,
                reported,
                metric,
                other_images=other_images,
            ),
            weights=weights,
        )
        for head in model.heads
    ]


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
    import torch

    cuda = world.device.type == "cuda"
    return {
        "device": torch.cuda.get_device_name(world.device)
        if cuda
        else platform.processor() or platform.machine(),
        "device_type": world.device.type,
        "world_size": world.size,
        "batch_size": request.batch_size,
        "precision": "fp32",
    }


def _bar(name: str, images: int, world: World, *, quiet: bool) -> "tqdm[Any]":
    disable = True if quiet or not world.leads else None  # None: off where stderr isn't a terminal
    return tqdm(total=images, desc=name, unit="img", disable=disable)


def _advance(bar: "tqdm[Any]", world_size: int) -> Callable[[int], object]:
    """Progress of all ranks, as seen from the leader: they walk in step."""
    return lambda images: bar.update(min(images * world_size, bar.total - bar.n))
