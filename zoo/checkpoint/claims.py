"""Holds what a checkpoint says of itself against the row it is judged as, and against the pixels in use."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

from ..manifest import Manifest, Protocol, Row, slug
from ..report import Claims
from .config import in_text
from .facts import TrainingFacts, in_words, training_facts

NEAR = 1e-6  # relative; means and standard deviations are written with three digits
_OTHER_PIXELS = "its logged accuracy is of other pixels"
_OTHER_SCALE = "the network sees other values than it was trained on"
PIXELS = {
    "resize": _OTHER_PIXELS,
    "crop": _OTHER_PIXELS,
    "interpolation": _OTHER_PIXELS,
    "mean": _OTHER_SCALE,
    "std": _OTHER_SCALE,
}
"""Fields of the protocol, and what a difference in them means."""


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
    what it is judged as. What the checkpoint doesn't say is not compared. A sentence is a reason to look, no proof:
    the notes are whatever the file's author left in them.
    """
    found = [*_with_pixels(facts, protocol)] if protocol else []
    if row and manifest:
        found = [*_with_row(facts, row, manifest), *found, *_with_training(facts, manifest)]
    if facts.epoch is not None and facts.epochs not in (None, facts.epoch):
        found.append(
            f"epoch: expected the last one of {facts.epochs}, the checkpoint was written after "
            f"epoch {facts.epoch}: a published number is about the last epochs."
        )
    return found


def _compare(name: str, said: Any, expected: Any, expects: str, meaning: str) -> Iterator[str]:
    """A sentence if the checkpoint says something else than expected; expects, meaning: in words."""
    if said is not None and not _same(said, expected):
        yield f"{name}: {expects}, the checkpoint's config says {in_text(said)}: {meaning}."


def _with_row(facts: TrainingFacts, row: Row, manifest: Manifest) -> Iterator[str]:
    data, expects = manifest.dataset, f"{row.id} expects"
    if facts.method and slug(facts.method) != row.method:
        other = "it was trained by another method than the row's"
        yield from _compare("method", facts.method, row.method, f"{expects} {row.method}", other)
    elif row.alpha is not None:
        other = "the same method under another setting"
        yield from _compare("alpha", facts.alpha, row.alpha, f"{expects} {row.alpha:g}", other)
    yield from _compare(
        "architecture",
        facts.architecture,
        row.architecture,
        f"{expects} {row.architecture}",
        "it is another network than the row's",
    )
    yield from _compare(
        "classes",
        facts.num_classes,
        data.num_classes,
        f"{data.name} has {data.num_classes}",
        "it was trained on other labels",
    )


def _with_pixels(facts: TrainingFacts, protocol: Protocol) -> Iterator[str]:
    for name, meaning in PIXELS.items():
        said, used = getattr(facts.eval_pixels, name), getattr(protocol, name)
        uses = f"this evaluation uses {in_text(used)}"
        yield from _compare(f"evaluation {name}", said, used, uses, meaning)


def _with_training(facts: TrainingFacts, manifest: Manifest) -> Iterator[str]:
    training, trained = manifest.training, f"{manifest.name} is trained"
    if training is None:
        return
    yield from _compare(
        "epochs",
        facts.epochs,
        training.epochs,
        f"{trained} for {training.epochs}",
        "another schedule, so another number than the table's",
    )
    for name, said, expected in (
        ("learning rate", facts.learning_rate, training.learning_rate),
        ("weight decay", facts.weight_decay, training.weight_decay),
        ("precision", facts.precision, training.precision),
    ):
        recipe = f"{trained} with {in_text(expected)}"
        yield from _compare(name, said, expected, recipe, "another recipe than the table's")
    yield from _about_the_batch(facts, manifest)
    scratch = f"{trained} from scratch"
    yield from _compare("start", facts.started_from, None, scratch, "the table has no such run")


def _about_the_batch(facts: TrainingFacts, manifest: Manifest) -> Iterator[str]:
    """The batch shows in the iterations: the config alone doesn't know how many GPUs there were."""
    train, training = manifest.dataset.train, manifest.training
    if not (training and train and train.images and facts.epoch and facts.iteration):
        return
    expected = math.ceil(train.images / training.batch_size)
    got = facts.iteration / facts.epoch
    # Dropping the last batch, which isn't full, is one iteration less.
    if got not in (expected, expected - 1):
        yield (
            f"batch: {train.images} images in batches of {training.batch_size} are {expected} "
            f"iterations an epoch, the checkpoint counts {facts.iteration} in {facts.epoch} epochs "
            f"({got:.10g} each): another batch size, or other training images."
        )


def _same(said: Any, expected: Any) -> bool:
    if isinstance(said, tuple) and isinstance(expected, tuple):
        return len(said) == len(expected) and all(map(_same, said, expected))
    if isinstance(said, float) and isinstance(expected, float):
        return math.isclose(said, expected, rel_tol=NEAR)
    return said == expected
