"""Runs a sweep over protocols on a checkpoint: finds it and its images, predicts, explains."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tqdm import tqdm

from ..zoo.errors import UsageError
from ..zoo.manifest import Metric
from .evaluate import Request, prepare
from .evaluator import Work
from .jobs import load_models, predict, recall
from .predictions import Predictions
from .sweep import FIRST_SHARE, Explanation, Ints, Outcome, Setting, explain, settings, sweep
from .world import World


@dataclass(frozen=True)
class Sweep:
    """All outcomes for one checkpoint, and what they say. reported: the published top-1, percent."""

    id: str
    reported: float
    metric: Metric
    outcomes: tuple[Outcome, ...]
    explanation: Explanation

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "id": self.id,
            "reported_top1": self.reported,
            "variants": [outcome.to_dict() for outcome in self.outcomes],
            **self.explanation.to_dict(),
        }


def sweep_ref(
    request: Request,
    world: World,
    *,
    share: float = FIRST_SHARE,
    seed: int = 0,
    quiet: bool = False,
) -> Sweep:
    """Try the likely protocols on the request's one checkpoint, against its row's number.

    share: of the images, for the first look at a setting; seed: of its random half. The same
    result on every rank. Predictions are kept in the store, so an interrupted sweep goes on.
    Raises UsageError where there is nothing to explain: several checkpoints, no published number.
    """
    found = prepare(request, world)
    checkpoint, row = found.checkpoints[0], found.checkpoints[0].row
    if len(found.checkpoints) + len(found.failures) > 1:
        raise UsageError("A sweep explains one number; expected one REF. Sweep each by itself.")
    if row is None or row.reported_top1 is None or checkpoint.benchmark is None:
        raise UsageError(
            f"{checkpoint.name}: expected a published number to explain, there is none. Name the "
            "row that the file is judged as: --row ROW"
        )
    images, metric = found.images, checkpoint.benchmark.manifest.metric
    passes = tqdm(
        total=len(settings(found.protocol)),
        desc=checkpoint.name,
        unit="setting",
        disable=True if quiet or not world.leads else None,
    )

    def evaluate(setting: Setting, indices: Ints | None) -> Mapping[str, Predictions]:
        job = recall(
            checkpoint, images, setting.protocol, setting.precision, world, fresh=request.fresh
        )
        work = Work(images, setting.protocol, request.batch_size, request.workers)
        order = None if indices is None or len(indices) == len(images) else indices.tolist()
        if not job.from_store:
            models = load_models([job], world)
            predict([job], models, work, world, order=order)
        if job.error:
            raise job.error
        return {head: job.heads[head] for head in job.weights.heads}

    outcomes = []
    with passes:
        base = evaluate(Setting(found.protocol), None)
        tried = sweep(
            found.protocol,
            base,
            evaluate,
            reported=row.reported_top1,
            metric=metric,
            share=share,
            seed=seed,
        )
        for outcome in tried:
            outcomes.append(outcome)
            passes.update(len({o.variant.setting for o in outcomes}) - passes.n)
    told = explain(outcomes, row.reported_top1, metric)
    return Sweep(checkpoint.name, row.reported_top1, metric, tuple(outcomes), told)
