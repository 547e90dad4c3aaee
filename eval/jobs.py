"""A job: one checkpoint to evaluate, what is known of it already, and its model if it is needed."""

import platform
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import torch

from ..zoo.catalog import Benchmark, Catalog
from ..zoo.checkpoint.load import build, hold_against_row
from ..zoo.checkpoint.reading import read_checkpoint
from ..zoo.data import LabelledImages
from ..zoo.errors import CheckpointError, MixzooError
from ..zoo.manifest import Protocol, Row
from ..zoo.nets import Classifier, MixClassifier
from ..zoo.nets.foreign import Foreign
from ..zoo.refs import CheckpointFile, is_path, resolve
from ..zoo.report import Weights
from . import store
from .crops import BATCH_SIZE, Work
from .evaluator import Subject, evaluate_all
from .precision import fastest
from .predictions import Precision, Predictions
from .predictor import Predictor
from .shard import ALL, Shard
from .world import World


@dataclass
class Job:
    """One checkpoint. Its predictions come from the store, from an evaluation, or from both.

    about: of the evaluation that the predictions come from: when, where, what the guard did.
    from_store: whether nothing has to be computed.
    """

    checkpoint: CheckpointFile
    key: store.Key
    images: LabelledImages
    heads: dict[str, Predictions] = field(default_factory=dict)
    about: dict[str, Any] = field(default_factory=dict)
    from_store: bool = False
    error: MixzooError | None = None

    @property
    def name(self) -> str:
        """The row's id, else the file's path."""
        return self.checkpoint.name

    @property
    def row(self) -> Row | None:
        """The row that it is judged against."""
        return self.checkpoint.row

    @property
    def benchmark(self) -> Benchmark | None:
        """The row's benchmark."""
        return self.checkpoint.benchmark

    @property
    def weights(self) -> Weights:
        """What the weights are, of a job that was loaded or recalled."""
        return msgspec.convert(self.about["weights"], Weights)

    @property
    def stored(self) -> store.Stored:
        """Its predictions as the store holds them."""
        facts, files, sizes = self.key.facts(), self.images.files, self.images.sizes
        return store.Stored(facts, dict(self.heads), files, sizes, dict(self.about))


def resolve_all(
    refs: Sequence[str], catalog: Catalog, row_id: str | None
) -> tuple[list[CheckpointFile], dict[str, MixzooError]]:
    """Find the checkpoints of all references, fetching what isn't here; and why some can't be had.

    A single reference that can't be had raises its error instead.
    """
    found: list[CheckpointFile] = []
    failures: dict[str, MixzooError] = {}
    for ref in refs:
        try:
            found.append(resolve(ref, catalog, row_id=row_id))
        except MixzooError as error:
            if len(refs) == 1:
                raise
            failures[ref] = error
    names = Counter(one.name for one in found)
    given = {Path(ref) for ref in refs if is_path(ref)}
    found = [replace(one, by_path=names[one.name] > 1 and one.path in given) for one in found]
    return found, failures


def recall(
    checkpoint: CheckpointFile,
    images: LabelledImages,
    protocol: Protocol,
    precision: Precision,
    world: World,
    *,
    fresh: bool,
    batch_size: int = BATCH_SIZE,
    shard: Shard = ALL,
) -> Job:
    """The job of a checkpoint with what the store knows of it, merged over all machines.

    batch_size, shard: the images that are wanted. fresh: forget what an earlier evaluation left
    behind. Weights that can't be the row's are the job's error, as they are when a model is loaded:
    a verdict doesn't hang on what was kept.
    """
    key = store.Key(checkpoint.sha256, protocol, images.sha256(), precision)
    job = Job(checkpoint, key, images)
    if fresh:
        store.forget_parts(key)
        return job
    asks = world.local_rank == 0
    found = world.gather(store.find(key, images) if asks else None)
    known = store.merge([kept for kept in found if kept])
    if known:
        job.heads, job.about = known.heads, known.about
        mine = known.at(shard.positions(len(images), batch_size)) if shard.of > 1 else known
        job.from_store = mine.complete and not mine.stale and "precision" in known.about
        try:
            hold_against_row(job.weights, checkpoint.row, checkpoint.num_classes)
        except CheckpointError as error:
            job.error = error
    return job


def load_models(jobs: Sequence[Job], world: World, batch_size: int) -> dict[str, Subject]:
    """The jobs' models, by name; a job whose model can't be loaded keeps its error.

    All ranks use the arithmetic that the leader finds fastest. batch_size: see `Predictor`.
    """
    subjects = {job.name: _load(job, world, batch_size) for job in jobs}
    return {name: subject for name, subject in subjects.items() if subject}


def predict(
    jobs: Sequence[Job],
    subjects: Mapping[str, Subject],
    work: Work,
    world: World,
    *,
    order: Sequence[int] | None = None,
    progress: Callable[[int], object] | None = None,
) -> dict[int, str]:
    """Predict what isn't known of jobs, in one pass over the images, and keep it.

    subjects: from `load_models`. A job that fails keeps its error. order: positions to predict,
    None for all. Returns positions and reasons of unreadable images.
    """
    by_name = {job.name: job for job in jobs}

    def save(subject: Subject) -> None:
        job = by_name[subject.name]
        job.about["bounds"] = subject.predictor.bounds
        rank, size = world.rank * work.shard.of + work.shard.number - 1, world.size * work.shard.of
        _keep(job.key.parts / f"{rank}-of-{size}.safetensors", job)

    unreadable = evaluate_all(
        list(subjects.values()), work, world=world, order=order, progress=progress, save=save
    )
    for name, subject in subjects.items():
        job = by_name[name]
        job.error = subject.error
        if subject.error:
            continue
        job.about["bounds"] = subject.predictor.bounds
        job.about["precision"] = subject.predictor.summary(job.heads)
        if world.leads and all(known.complete for known in job.heads.values()):
            _keep(job.key.path, job)
            store.forget_parts(job.key)
    return unreadable


def _load(job: Job, world: World, batch_size: int) -> Subject | None:
    try:
        model, epoch = world.leader_first(partial(_read, job.checkpoint, world.device))
    except MixzooError as error:
        job.error = error
        return None
    weights = Weights(
        file=job.checkpoint.path.name,
        sha256=job.checkpoint.sha256,
        architecture=model.architecture,
        method=model.method,
        num_classes=model.num_classes,
        heads=tuple(model.heads),
        remarks=model.remarks,
    )
    job.about |= {
        "weights": msgspec.to_builtins(weights),
        "epoch": epoch,
        "device": device_name(world.device),
        "torch": str(torch.__version__),  # its own class is no plain data
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    precision = job.key.precision
    arithmetic = "fp32"
    if precision != "fp32" and not isinstance(model, Foreign):
        arithmetic = world.gather(fastest(world.device) if world.leads else "")[0]
    predictor = Predictor(
        model,
        job.key.protocol,
        world.device,
        precision,
        arithmetic=arithmetic,
        batch_size=batch_size,
    )
    predictor.raise_bounds(job.about.get("bounds", {}))
    return Subject(job.name, predictor, job.heads)


def _read(
    checkpoint: CheckpointFile, device: torch.device
) -> tuple[Classifier | MixClassifier, int | None]:
    """The model, held against its row, and the epoch that the file says it was written after."""
    content = read_checkpoint(checkpoint.path)
    row, num_classes = checkpoint.row, checkpoint.num_classes
    model = build(content, device=device, row=row, num_classes=num_classes)
    epoch = content.meta.get("epoch")
    return model, epoch if isinstance(epoch, int) else None


def _keep(path: Path, job: Job) -> None:
    """Write predictions; where the cache can't be written the evaluation goes on without."""
    try:
        store.write(path, job.stored)
    except OSError as error:
        job.about["not_kept"] = f"{path}: {error.strerror or error}"


def device_name(device: torch.device) -> str:
    """The GPU's or processor's name."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return platform.processor() or platform.machine()
