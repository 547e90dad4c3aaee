"""Puts the facts of a training run into words for people."""

from collections.abc import Iterator

from .facts import TrainingFacts
from .text import plain, printable


def in_words(facts: TrainingFacts) -> dict[str, str]:
    """Facts by name, as text for people; what the checkpoint doesn't say is left out."""
    return {name: printable(text) for name, text in _texts(facts) if text}


def _texts(facts: TrainingFacts) -> Iterator[tuple[str, str | None]]:
    pixels, alpha = facts.eval_pixels, facts.alpha
    yield "method", facts.method
    yield "alpha", None if alpha is None else plain(alpha)
    yield "architecture", facts.architecture
    yield "classes", None if facts.num_classes is None else str(facts.num_classes)
    of = f" of {facts.epochs}" if facts.epochs else ""
    yield "epoch", f"{facts.epoch}{of}" if facts.epoch is not None else None
    yield "epochs planned", str(facts.epochs) if facts.epochs and facts.epoch is None else None
    yield "iterations", None if facts.iteration is None else str(facts.iteration)
    yield "optimizer", facts.optimizer
    yield "schedule", facts.schedule
    yield "batch", _batch(facts)
    if facts.half_precision is not None:
        yield "precision", f"mixed with {facts.half_type}" if facts.half_precision else "fp32"
    yield "started from", facts.started_from
    yield "training images", facts.train_images
    yield "training pipeline", facts.train_pipeline
    yield "validation images", facts.val_images
    yield "evaluation resize", None if pixels.resize is None else plain(pixels.resize)
    yield "evaluation interpolation", pixels.interpolation
    yield "evaluation crop", None if pixels.crop is None else plain(pixels.crop)
    yield "evaluation mean", None if pixels.mean is None else plain(pixels.mean)
    yield "evaluation std", None if pixels.std is None else plain(pixels.std)
    yield "seed", None if facts.seed is None else str(facts.seed)
    yield "written", facts.written
    yield "software", facts.software
    yield "not understood", "; ".join(facts.left_out)


def _batch(facts: TrainingFacts) -> str | None:
    if facts.batch_size is not None:
        together = f", {facts.micro_batch} mixed together" if facts.micro_batch else ""
        return f"{facts.batch_size} images per step{together}"
    if facts.images_per_gpu is None:
        return None
    more = f", gradients of {facts.accumulation} batches summed" if facts.accumulation > 1 else ""
    gpus = f"; the config lists {facts.gpus} of them" if facts.gpus else ""
    return f"{facts.images_per_gpu} images per GPU{gpus}{more}"
