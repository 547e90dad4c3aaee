"""Whether a log's epochs, learning rates and iterations fit one run of the recipe.

The recipe's learning rate is a cosine by epoch (golden data: tests/golden/schedules.json); a log
shows that of the first parameter group. What doesn't fit is remarked on: runs are resumed, extended
and changed for good reasons too, so nothing here is a verdict.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from statistics import median

from ...zoo.errors import NAMED, several
from .lines import DECIMALS, Iteration, Validation
from .reading import COSINE, TrainingLog, spans
from .summaries import Claim

RECIPE_LR = 0.1
RECIPE_BATCH = 256  # training images per iteration, all processes together
LONGEST = 1000  # epochs up to which a cosine is looked for
JUMP = 1.0  # points between neighbouring epochs of the last quarter that are worth a remark
JUMP_RATIO = 8  # and how many times the usual step there


@dataclass(frozen=True)
class Horizon:
    """How many epochs the whole run has, and how that is known, in words."""

    epochs: int
    how: str


def find_horizon(log: TrainingLog, epochs: int | None) -> Horizon:
    """The run's epochs: as said by the caller, the config, the cosine, or the last line."""
    if epochs is not None:
        return Horizon(epochs, "as asked for")
    if log.settings.epochs is not None:
        return Horizon(log.settings.epochs, "from the config in the log")
    seen = max(v.epoch for v in log.validations)
    rates = _rates(log)
    tried = range(seen, LONGEST + 1) if len(rates) > 1 else ()
    fitting = [total for total in tried if not any(_off_cosine(log, rates, total))]
    if len(fitting) == 1:
        return Horizon(fitting[0], "from the learning rates")
    return Horizon(seen, "the last one logged")


def schedule_remarks(log: TrainingLog, horizon: Horizon, claim: Claim) -> list[str]:
    """What doesn't fit one complete run.

    claim: its training images, if known, tell the iterations; its row, if any, has the recipe.
    """
    return [
        *_epoch_remarks(log, horizon),
        *_rate_remarks(log, horizon, claim),
        *_iteration_remarks(log, claim.train_images),
        *_jump_remarks(log, claim),
    ]


def cosine(epoch: int, total: int, lr: float, min_lr: float = 0.0) -> float:
    """The recipe's learning rate in an epoch counted from 1."""
    return min_lr + 0.5 * (lr - min_lr) * (1 + math.cos(math.pi * (epoch - 1) / total))


def _epoch_remarks(log: TrainingLog, horizon: Horizon) -> Iterator[str]:
    validated = {v.epoch for v in log.validations}
    first, last = min(validated), max(validated)
    missing = set(range(first, last)) - validated
    steps = {b - a for a, b in pairwise(sorted(validated))}
    if len(steps) == 1 and missing:
        yield f"validated every {max(steps)} epochs, from epoch {first}"
    elif first > 1:
        yield f"begins with the validation of epoch {first}"
    if missing and len(steps) > 1:
        yield f"no validation of {spans(missing)}"
    if last < horizon.epochs:
        yield f"ends with epoch {last} of {horizon.epochs}"
    if last > horizon.epochs:
        yield f"goes on to epoch {last}, beyond {horizon.epochs}"
    batches = dict.fromkeys(v.batches for v in log.validations)
    if len(batches) > 1:
        parts = (
            f"{count} in {spans(v.epoch for v in log.validations if v.batches == count)}"
            for count in list(batches)[: NAMED + 1]
        )
        yield f"the number of validation batches changes: {several(parts, '; ')}"
    trained = {0, *(t.epoch for t in log.training)}  # 0: before the training
    if log.training and (unseen := validated - trained):
        yield f"validated without any training line: {spans(unseen)}"


def _follows_recipe(log: TrainingLog, claim: Claim) -> bool:
    """Whether the learning rate should be the recipe's: as the config says, or else the row."""
    schedule = log.settings.schedule
    return claim.row is not None if schedule is None else schedule == COSINE


def _rates(log: TrainingLog) -> dict[int, Decimal]:
    """Epoch -> learning rate as last written for it."""
    lines: list[Iteration | Validation] = [*log.validations, *log.training]
    return {line.epoch: line.lr for line in lines if line.lr is not None and line.epoch > 0}


def _off_cosine(log: TrainingLog, rates: Mapping[int, Decimal], total: int) -> Iterator[int]:
    """Epochs whose learning rate isn't that of a cosine over `total` epochs."""
    lr = log.settings.lr or float(rates.get(1, RECIPE_LR))
    for epoch, rate in rates.items():
        # A text log writes its rates with four digits, whatever their size.
        exponent = int(rate.as_tuple().exponent) if log.format == "text" else -DECIMALS["json"]
        expected = cosine(epoch, total, lr, log.settings.min_lr or 0.0)
        if epoch <= total and abs(float(rate) - expected) > 0.5 * 10.0**exponent + 1e-12:
            yield epoch


def _rate_remarks(log: TrainingLog, horizon: Horizon, claim: Claim) -> Iterator[str]:
    rates = _rates(log)
    if not _follows_recipe(log, claim):
        if log.settings.schedule and rates:
            yield f"learning rates aren't compared: the config has {log.settings.schedule}"
        return
    if off := sorted(_off_cosine(log, rates, horizon.epochs)):
        yield (
            f"learning rate off the recipe's cosine over {horizon.epochs} epochs in "
            f"{len(off)} of {len(rates)} epochs, first in epoch {off[0]}: {rates[off[0]]}"
        )
    by_epoch = {t.epoch: t.lr for t in log.training}
    other = [
        v.epoch for v in log.validations if v.lr is not None and by_epoch.get(v.epoch, v.lr) != v.lr
    ]
    if other:
        yield f"validation names another learning rate than training does: {spans(other)}"


def _iteration_remarks(log: TrainingLog, train_images: int | None) -> Iterator[str]:
    if train_images is None or not log.training:
        return
    low, high = _iterations_per_epoch(log)
    batch = log.settings.batch
    total = batch or RECIPE_BATCH
    shown = train_images * log.settings.repeat
    expected = -(-shown // total)
    # Loaders that drop an incomplete last batch have one iteration less.
    if not (low <= expected <= high or low <= shown // total <= high):
        seen = f"{low:,}" if low == high else f"{low:,} to {high:,}"
        yield (
            f"{seen} iterations an epoch, but {shown:,} training images in batches of "
            f"{total} ({'config' if batch else 'recipe'}) are {expected:,}"
        )


def _iterations_per_epoch(log: TrainingLog) -> tuple[int, int]:
    """What the train lines allow: said outright in a text log, else between two of its steps."""
    told = {t.iterations for t in log.training if t.iterations}
    if told:
        return min(told), max(told)
    iterations = sorted({t.iteration for t in log.training})
    step = min((b - a for a, b in pairwise(iterations)), default=iterations[0])
    return iterations[-1], iterations[-1] + max(1, step) - 1


def _jump_remarks(log: TrainingLog, claim: Claim) -> Iterator[str]:
    rates: dict[int, Decimal] = {} if _follows_recipe(log, claim) else _rates(log)
    for head in log.heads:
        series = log.floats(f"{head}_top1")
        last = max(series)
        late = [e for e in series if e > 0.75 * last]
        steps = {
            b: series[b] - series[a]
            for a, b in pairwise(late)
            # where a schedule of steps cuts the rate, a network jumps
            if b == a + 1 and 2 * rates.get(b, 0) >= rates.get(a, 0)
        }
        if len(steps) < 4:
            continue
        usual = median(map(abs, steps.values()))
        epoch = max(steps, key=lambda e: abs(steps[e]))
        if abs(steps[epoch]) > max(JUMP, JUMP_RATIO * usual, _noise(series[epoch], claim.images)):
            yield (
                f"{head}: top-1 jumps by {steps[epoch]:+.2f} points at epoch {epoch} (usually "
                f"{usual:.2f} there), as by another file, validation set or learning rate"
            )


def _noise(top1: float, images: int | None) -> float:
    """Points by which two epochs of equal networks can differ by chance: 3 standard deviations.

    As if the epochs erred independently, which is more than they do.
    """
    if not images:
        return 0.0
    share = top1 / 100
    return 300 * math.sqrt(2 * share * (1 - share) / images)
