"""A checkpoint under evaluation: what it is, what is known of it already, and its model if needed."""

import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any

import torch

from ..zoo.catalog import Catalog
from ..zoo.checkpoint.load import load_resolved
from ..zoo.data import LabelledImages
from ..zoo.errors import MixzooError
from ..zoo.manifest import Protocol
from ..zoo.refs import CheckpointFile, resolve
from . import store
from .evaluator import Subject, Work, evaluate_all
from .guard import CALIBRATION
from .precision import fastest
from .predictions import Ints, Precision, Predictions
from .predictor import Predictor
from .report import Weights
from .world import World


@dataclass
class Entry:
    """One checkpoint. Its predictions come from the store, from an evaluation, or from both."""

    checkpoint: CheckpointFile
    key: store.Key
    sizes: Ints
    """(N,) bytes of the images, asked before any is read."""
    weights: Weights | None = None
    heads: dict[str, Predictions] = field(default_factory=dict)
    about: dict[str, Any] = field(default_factory=dict)
    """Of the evaluation that the predictions come from: when, where, what the guard did."""
    from_store: bool = False
    """Whether nothing had to be computed."""
    error: MixzooError | None = None

    @property
    def name(self) -> str:
        """The row's id, else the file's path."""
        return self.checkpoint.name

    @property
    def known_weights(self) -> Weights:
        """The weights of an entry that was loaded or recalled, so that has no error."""
        assert self.weights is not None
        return self.weights


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
    return found, failures


def recall(
    checkpoint: CheckpointFile,
    images: LabelledImages,
    protocol: Protocol,
    precision: Precision,
    world: World,
    *,
    fresh: bool,
) -> Entry:
    """The entry of a checkpoint with what the store knows of it, merged over all machines.

    fresh: forget what an earlier evaluation left behind.
    """
    key = store.Key(checkpoint.sha256, protocol, images.sha256(), precision)
    entry = Entry(checkpoint, key, images.sizes)
    if fresh:
        store.forget_parts(key)
        return entry
    asks = world.local_rank == 0
    found = world.gather(store.find(key, images) if asks else None)
    known = store.merge([f for f in found if f and f.labels_equal(images.labels)])
    if known:
        entry.heads, entry.about = known.heads, known.about
        entry.weights = Weights(**known.about["weights"])
        entry.from_store = known.complete
    return entry


def load_models(entries: Sequence[Entry], protocol: Protocol, world: World) -> dict[str, Subject]:
    """The entries' models, by name; an entry whose model can't be loaded keeps its error.

    All ranks use the arithmetic that the leader finds fastest, and share the calibration out.
    """
    subjects = {entry.name: _load(entry, protocol, world) for entry in entries}
    return {name: subject for name, subject in subjects.items() if subject}


def predict(
    entries: Sequence[Entry],
    subjects: Mapping[str, Subject],
    work: Work,
    world: World,
    *,
    order: Sequence[int] | None = None,
    progress: Callable[[int], object] | None = None,
) -> dict[int, str]:
    """Predict what isn't known of entries, in one pass over the images, and keep it.

    subjects: from `load_models`. An entry that fails keeps its error. order: positions to predict,
    None for all. Returns positions and reasons of unreadable images.
    """
    by_name = {entry.name: entry for entry in entries}

    def save(subject: Subject) -> None:
        entry = by_name[subject.name]
        share = entry.key.parts / f"{world.rank}-of-{world.size}.safetensors"
        _keep(share, entry, subject, work.images)

    unreadable = evaluate_all(
        list(subjects.values()), work, world=world, order=order, progress=progress, save=save
    )
    for name, subject in subjects.items():
        entry = by_name[name]
        entry.error = subject.error
        if subject.error:
            continue
        entry.heads = subject.known
        summaries = world.gather(subject.predictor.summary())
        entry.about |= {"precision": _together(summaries), "bounds": subject.predictor.bounds}
        if world.leads and all(known.complete for known in entry.heads.values()):
            _keep(entry.key.path, entry, subject, work.images)
            store.forget_parts(entry.key)
    return unreadable


def _load(entry: Entry, protocol: Protocol, world: World) -> Subject | None:
    try:
        model = world.leader_first(partial(load_resolved, entry.checkpoint, device=world.device))
    except MixzooError as error:
        entry.error = error
        return None
    entry.weights = Weights(
        file=entry.checkpoint.path.name,
        sha256=entry.checkpoint.sha256,
        architecture=model.architecture,
        method=model.method,
        num_classes=model.num_classes,
        heads=tuple(model.heads),
    )
    entry.about |= {
        "weights": asdict(entry.weights),
        "device": device_name(world.device),
        "torch": torch.__version__,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    precision = entry.key.precision
    arithmetic = "fp32"
    if precision != "fp32":
        arithmetic = world.gather(fastest(world.device) if world.leads else "")[0]
    predictor = Predictor(
        model,
        protocol,
        world.device,
        precision,
        arithmetic=arithmetic,
        calibration=-(-CALIBRATION // world.size),
    )
    predictor.raise_bounds(entry.about.get("bounds", {}))
    return Subject(entry.name, predictor, entry.heads)


def _keep(path: Any, entry: Entry, subject: Subject, images: LabelledImages) -> None:
    """Write predictions; where the cache can't be written the evaluation goes on without."""
    about = entry.about | {"bounds": subject.predictor.bounds}
    heads = dict(subject.known)
    stored = store.Stored(entry.key.facts(), heads, images.files, entry.sizes, about)
    try:
        store.write(path, stored)
    except OSError as error:
        entry.about["not_kept"] = f"{path}: {error.strerror or error}"


def _together(summaries: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """One summary of all ranks: counts are added; of bounds, deviations and words the largest."""
    joined: dict[str, Any] = {}
    for summary in summaries:
        for name, value in summary.items():
            before = joined.get(name)
            if isinstance(value, dict):
                joined[name] = _together([before or {}, value])
            elif isinstance(value, int):
                joined[name] = (before or 0) + value
            else:
                joined[name] = value if before is None else max(before, value)
    return joined


def device_name(device: torch.device) -> str:
    """The GPU's or processor's name."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return platform.processor() or platform.machine()
