"""Holds what a checkpoint says of itself against the row it is judged as and the pixels in use."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

from ..looks import counted
from ..manifest import Manifest, Protocol, Row, slug
from ..report import Claims
from .config import in_text, pick
from .facts import TrainingFacts, in_words, training_facts

PIXELS = {
    ("resize", "crop", "interpolation"): "its logged accuracy is of other pixels",
    ("mean", "std"): "the network sees other values than it was trained on",
}
NEAR = 1e-6  # relative; means and standard deviations are written with three digits

Topic = tuple[str, dict[str, tuple[Any, Any]], str]
"""Who expects; by name what the checkpoint says and what is expected; what a difference means."""


def claims(
    meta: Mapping[str, Any],
    protocol: Protocol | None = None,
    row: Row | None = None,
    manifest: Manifest | None = None,
) -> Claims:
    """What a report says of a checkpoint's own notes; nothing where it carries none.

    meta: `Checkpoint.meta`. The other arguments are those of `disagreements`.
    """
    facts = training_facts(meta)
    return Claims(
        facts=in_words(facts), disagreements=tuple(disagreements(facts, protocol, row, manifest))
    )


def disagreements(
    facts: TrainingFacts,
    protocol: Protocol | None = None,
    row: Row | None = None,
    manifest: Manifest | None = None,
) -> list[str]:
    """Where the checkpoint's own word differs from what it is taken for; one sentence each.

    protocol: the pixels of this evaluation, overrides included, if there is one. row, manifest:
    what it is judged as. What the checkpoint doesn't say is not compared. A sentence is a reason to
    look, no proof: the notes are whatever the file's author left in them.
    """
    topics: list[Topic] = []
    if row and manifest:
        of_method = facts.method is None or slug(facts.method) == row.method
        compared = {
            "method": (None if of_method else facts.method, row.method),
            "alpha": (facts.alpha if of_method and row.alpha is not None else None, row.alpha),
            "architecture": (facts.architecture, row.architecture),
            "classes": (facts.num_classes, manifest.dataset.num_classes),
        }
        topics.append((f"{row.id} expects", compared, "it was trained as another row than this"))
    for names, meaning in PIXELS.items() if protocol else ():
        pixels = {name: (facts.eval_pixels.get(name), getattr(protocol, name)) for name in names}
        compared = {f"evaluation {name}": pair for name, pair in pixels.items()}
        topics.append(("this evaluation uses", compared, meaning))
    if row and manifest and (training := manifest.training):
        own = row.recipe  # goes before what the whole table was trained with
        compared = {
            "epochs": (facts.epochs, own.get("epochs", training.epochs)),
            "learning rate": (facts.learning_rate, own.get("lr", training.learning_rate)),
            "weight decay": (facts.weight_decay, own.get("weight_decay", training.weight_decay)),
            "precision": (facts.precision, own.get("precision", training.precision)),
            "start": (facts.started_from, own.get("init", "random weights")),
        }
        of, whose = (row.id, "row's") if own else (manifest.name, "table's")
        topics.append((f"{of} is trained with", compared, f"another recipe than the {whose}"))
    found = [
        f"{name}: {expects} {in_text(expected)}, the checkpoint's config says {in_text(said)}: "
        f"{meaning}."
        for expects, compared, meaning in topics
        for name, (said, expected) in compared.items()
        if said is not None and not _same(said, expected)
    ]
    if row and manifest:
        found += _about_the_batch(facts, row, manifest)
    if facts.epoch is not None and facts.epochs not in (None, facts.epoch):
        found.append(
            f"epoch: expected the last one of {facts.epochs}, the checkpoint was written after "
            f"epoch {facts.epoch}: a published number is about the last epochs."
        )
    return found


def _about_the_batch(facts: TrainingFacts, row: Row, manifest: Manifest) -> Iterator[str]:
    """The batch shows in the iterations: the config alone doesn't know how many GPUs there were."""
    train, training = manifest.dataset.train, manifest.training
    if not (training and train and train.images and facts.epoch and facts.iteration):
        return
    batch = pick(row.recipe, "batch_size", kind=int) or training.batch_size
    images = train.images * (pick(row.recipe, "repeat", kind=int) or training.repeat)
    expected = math.ceil(images / batch)
    got = facts.iteration / facts.epoch
    # Dropping the last batch, which isn't full, is one iteration less.
    if got not in (expected, expected - 1):
        yield (
            f"batch: {images} images in batches of {batch} are {expected} "
            f"iterations an epoch, the checkpoint counts {facts.iteration} in "
            f"{counted(facts.epoch, 'epoch')} "
            f"({got:.10g} each): another batch size, or other training images."
        )


def _same(said: Any, expected: Any) -> bool:
    if isinstance(said, tuple) and isinstance(expected, tuple):
        return len(said) == len(expected) and all(map(_same, said, expected))
    if isinstance(said, float) and isinstance(expected, float):
        return math.isclose(said, expected, rel_tol=NEAR)
    return said == expected
