"""Holds what a checkpoint says of itself against the row it is judged as, and against the pixels in use."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..zoo.checkpoint.facts import TrainingFacts, training_facts
from ..zoo.checkpoint.words import in_words
from ..zoo.manifest import Manifest, Protocol, Row
from ..zoo.publish.candidates import slug

NEAR = 1e-6  # relative; means and standard deviations are written with three digits


@dataclass(frozen=True)
class Recipe:
    """How a benchmark's page and configs say that all its rows were trained."""

    epochs: int
    batch: int
    learning_rate: float
    weight_decay: float


# inat2018: 100 epochs, as the benchmark's page says; the rest as its released configs do (SGD at
# 0.1 on 4 x 64 images, fp32, from scratch). What other benchmarks' configs say is not known here.
RECIPES = {
    "inat2018": Recipe(epochs=100, batch=256, learning_rate=0.1, weight_decay=1e-4),
}


def claims(
    meta: Mapping[str, Any],
    protocol: Protocol,
    row: Row | None = None,
    manifest: Manifest | None = None,
) -> dict[str, Any]:
    """What a report says of a checkpoint's own notes: {"facts": {name: text}, "disagreements": [text]}.

    meta: `Checkpoint.meta`. The other arguments are those of `disagreements`. Both are empty
    where the checkpoint carries no notes.
    """
    facts = training_facts(meta)
    return {
        "facts": in_words(facts),
        "disagreements": disagreements(facts, protocol, row, manifest),
    }


def disagreements(
    facts: TrainingFacts,
    protocol: Protocol,
    row: Row | None = None,
    manifest: Manifest | None = None,
) -> list[str]:
    """Where the checkpoint's own word differs from what it is taken for; one sentence each.

    protocol: the pixels of this evaluation, overrides included. row, manifest: what it is judged
    as. What the checkpoint doesn't say is not compared. A sentence is a reason to look, no proof:
    the notes are whatever the file's author left in them.
    """
    found = [*_against_pixels(facts, protocol)]
    if row and manifest:
        found = [*_against_row(facts, row, manifest), *found]
        found += _against_recipe(facts, row, manifest)
    return [*found, *_about_the_epoch(facts)]


def _against_row(facts: TrainingFacts, row: Row, manifest: Manifest) -> Iterator[str]:
    if facts.method and slug(facts.method) != row.method:
        yield (
            f"method: {row.id} expects {row.method}, the checkpoint's config says {facts.method}: "
            "it was trained by another method than the row's."
        )
    elif row.alpha is not None and facts.alpha not in (None, row.alpha):
        yield (
            f"alpha: {row.id} expects {row.alpha:g}, the checkpoint's config says "
            f"{_words(facts.alpha)}: the same method under another setting."
        )
    if facts.architecture not in (None, row.architecture):
        yield (
            f"architecture: {row.id} expects {row.architecture}, the checkpoint's config says "
            f"{facts.architecture}: it is another network than the row's."
        )
    if facts.num_classes not in (None, manifest.dataset.num_classes):
        yield (
            f"classes: {manifest.dataset.name} has {manifest.dataset.num_classes}, the checkpoint's "
            f"config says {facts.num_classes}: it was trained on other labels."
        )


def _against_pixels(facts: TrainingFacts, protocol: Protocol) -> Iterator[str]:
    for name in ("resize", "crop", "interpolation"):
        said, used = getattr(facts.eval_pixels, name), getattr(protocol, name)
        if said not in (None, used):
            yield (
                f"evaluation {name}: this evaluation uses {used}, the run that made the checkpoint "
                f"validated with {_words(said)}: its logged accuracy is of other pixels."
            )
    for name in ("mean", "std"):
        said, used = getattr(facts.eval_pixels, name), getattr(protocol, name)
        if said is not None and not _same(said, used):
            yield (
                f"normalisation {name}: this evaluation uses {_words(used)}, the checkpoint's config "
                f"says {_words(said)}: the network sees other values than it was trained on."
            )


def _against_recipe(facts: TrainingFacts, row: Row, manifest: Manifest) -> Iterator[str]:
    recipe = RECIPES.get(manifest.name)
    if recipe is None:
        return
    if facts.epochs not in (None, recipe.epochs):
        yield (
            f"epochs: {manifest.name} is trained for {recipe.epochs}, the checkpoint's config plans "
            f"{facts.epochs}: another schedule, so another number than the table's."
        )
    for name, said, expected in (
        ("learning rate", facts.learning_rate, recipe.learning_rate),
        ("weight decay", facts.weight_decay, recipe.weight_decay),
    ):
        if said is not None and not math.isclose(said, expected):
            yield (
                f"{name}: {manifest.name} is trained with {expected:g}, the checkpoint's config says "
                f"{said:g}: another recipe than the table's."
            )
    yield from _against_batch(facts, recipe, manifest)
    if facts.half_precision:
        yield (
            f"precision: {manifest.name} is trained in fp32, the checkpoint's config says "
            f"{facts.half_type}: "
            "another recipe than the table's."
        )
    if facts.started_from:
        yield (
            f"start: {manifest.name} is trained from scratch, the checkpoint's config starts from "
            f"{facts.started_from}: {row.id} says nothing about such a run."
        )


def _against_batch(facts: TrainingFacts, recipe: Recipe, manifest: Manifest) -> Iterator[str]:
    """The batch shows in the iterations: the config alone doesn't know how many GPUs there were."""
    train = manifest.dataset.train
    if not (train and train.images and facts.epoch and facts.iteration):
        return
    expected = math.ceil(train.images / recipe.batch)
    got = facts.iteration / facts.epoch
    # Dropping the last batch, which isn't full, is one iteration less.
    if got not in (expected, expected - 1):
        yield (
            f"batch: {train.images} images in batches of {recipe.batch} are {expected} iterations "
            f"an epoch, the checkpoint counts {facts.iteration} in {facts.epoch} epochs "
            f"({got:.10g} each): another batch size, or other training images."
        )


def _about_the_epoch(facts: TrainingFacts) -> Iterator[str]:
    if facts.epoch is not None and facts.epochs is not None and facts.epoch != facts.epochs:
        yield (
            f"epoch: expected the last one of {facts.epochs}, the checkpoint was written after "
            f"epoch {facts.epoch}: a published number is about the last epochs."
        )


def _same(said: tuple[float, ...], used: tuple[float, ...]) -> bool:
    return len(said) == len(used) and all(
        math.isclose(a, b, rel_tol=NEAR) for a, b in zip(said, used, strict=True)
    )


def _words(value: Any) -> str:
    if isinstance(value, tuple):
        return ", ".join(map(_words, value))
    return f"{value:g}" if isinstance(value, float) else str(value)
