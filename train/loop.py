"""The training loop, from images to a checkpoint and a log."""

import logging
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from ..eval.decoding import default_workers
from ..eval.precision import cudnn_setting
from ..eval.protocol import normalise
from ..zoo.catalog import open_catalog
from ..zoo.checkpoint.export import export
from ..zoo.errors import CheckpointError, DataError, InterruptedRunError
from ..zoo.net.progress import tell
from ..zoo.nets.foreign import Foreign
from ..zoo.refs import resolve
from .begin import begin
from .claim import claimed, facts_of, require_same
from .data import (
    Data,
    MicroBatch,
    TrainingImages,
    check_labels,
    check_size,
    find_data,
    fit_in_memory,
    micro_batches,
)
from .endings import (
    Interruption,
    diverged,
    explained_losses,
    interruption,
    require_finite,
)
from .log import Show, tensorboard
from .network import check_network
from .recipe import Recipe
from .rows import RowRun
from .run import How, Run
from .schedules import ema_momentum, mask_loss_weights

logger = logging.getLogger(__name__)


def train_row(
    run: RowRun, how: How, train_list: Path | None = None, val_list: Path | None = None
) -> Path:
    """Train a row, or a variant of it, as `mixzoo train` does; returns its weights' file.

    train_list, val_list: see `find_data`. Raises UsageError or DataError for what doesn't fit
    before the first step, and what `train` raises.
    """
    run.recipe.accumulation(how.world.size)
    images = how.world.leader_first(lambda: find_data(run.manifest, run.data, train_list, val_list))
    run, begun, weights = begin(run, how.world)
    facts = facts_of(run.row.id, run.recipe, images, begun)
    require_same(facts, how.world)
    check_labels(run.recipe, images)
    check_size(run.recipe, images)
    check_network(run.recipe, images.protocol.crop)
    if run.recipe.crop != images.protocol.crop:
        tell(
            f"Trains on crops of {run.recipe.crop} pixels; validation keeps the benchmark's "
            f"{images.protocol.crop} (protocol.crop of its manifest)."
        )
    with claimed(run.out, facts, how.world):
        return train(run.recipe, images, run.out, run.row.id, how, run.changed, weights)


def train(
    recipe: Recipe,
    data: Data,
    out: Path,
    name: str,
    how: How | None = None,
    changed: Sequence[str] = (),
    weights: Mapping[str, Tensor] | None = None,
) -> Path:
    """Train a classifier, or go on training one, in the folder `out`; returns its weights' file.

    `<name>.pth` and `.safetensors` get the weights of the last epoch, `<name>.log.json` what
    happened; beside them lie the checkpoints (see `checkpoints`). Validation is that of `mixzoo
    eval`: same pixels, same counting. changed: for the checkpoints' notes, see `meta_of`. weights:
    what it begins with, see `begin.begin`; None draws all.

    On a CPU, one recipe on as many processes of as many threads gives the same weights, interrupted
    or not. Other numbers of processes see the same batches and draws, but add up gradients in
    another order, and batch norm keeps the statistics of the leader's share alone: weights are
    near, not equal. Raises InterruptedRunError after a signal, when all is saved; DivergedError for
    a loss that is no number; LostRankError if another process ended; DataError for an image that
    can't be read.
    """
    how = how or How()
    with interruption(hint=how.world.leads) as asked, explained_losses(how.world):
        small, workers = fit_in_memory(data.train), how.workers
        if workers is None:
            workers = 0 if small else default_workers(how.world.local_size)
        images = TrainingImages(data.train, recipe, keep=small and not workers)
        run = Run(recipe, out, name, images.batches, how, changed, weights)
        pin = run.device.type == "cuda"
        with (
            cudnn_setting("benchmark", value=True),  # tries kernels for each shape, once
            closing(micro_batches(images, run.iteration, run.slots, workers, pin)) as batches,
        ):
            walk(run, data, batches, asked)
        return write_result(run)


def walk(run: Run, data: Data, batches: Iterator[MicroBatch], asked: Interruption) -> None:
    """Take all steps and validations that are left. batches: of this process, from here on."""
    start, began = run.iteration, time.monotonic()
    weights = mask_loss_weights(run.recipe.automix, run.recipe.epochs * run.iterations)
    folder = run.how.tensorboard if run.world.leads else None
    every = min(run.recipe.log_every, run.iterations)  # a line for each epoch at least
    bar = _bar(run, run.total, "step", initial=start)
    with bar, tensorboard(folder, start) as show:
        while not run.is_done:
            if run.is_validation_due:
                reached = end_epoch(run, data, show, asked)
                run.checkpoint()
                pace = (time.monotonic() - began) / max(run.iteration - start, 1)
                _tell_epoch(run, reached, pace * (run.total - run.iteration))
                continue
            if run.iteration == run.how.stop_at and run.iteration > start:
                run.checkpoint()
                raise stopped(run, asked)
            epoch, batch = divmod(run.iteration, run.iterations)
            lr = run.set_learning_rates(epoch)
            bar.set_description_str(f"epoch {epoch + 1}/{run.recipe.epochs}", refresh=False)
            times, losses, stop = take_step(run, data, batches, weights, bool(asked.signal))
            run.iteration += 1
            run.log.add({"data_time": times[0], **losses, "time": times[1]})
            run.note_loss(losses["loss"])
            bar.update()
            if (batch + 1) % every == 0:
                means = run.log.train(epoch=epoch + 1, iteration=batch + 1, lr=lr)
                show("train", run.iteration, means | {"lr": lr})
                bar.set_postfix(loss=f"{means['loss']:.3f}")
            if run.is_time_to_checkpoint or stop:
                require_finite(run)
                run.checkpoint()
            if stop:
                raise stopped(run, asked)


def take_step(
    run: Run, data: Data, batches: Iterator[MicroBatch], weights: np.ndarray, stop: bool
) -> tuple[tuple[float, float], dict[str, float], bool]:
    """One step of the optimizer: forward and backward passes of this process, and the update.

    weights: of the mask loss, by iteration. stop: whether this process was asked to.
    Returns the seconds waited for data and taken in all; the logged losses and accuracies, a mean
    over all processes; and whether any process was asked to stop.
    """
    began, waited, broken = time.perf_counter(), 0.0, None
    totals = np.zeros(len(run.step.logged))
    for slot in run.slots:
        asked = time.perf_counter()
        micro = _next(batches, run)
        waited += time.perf_counter() - asked
        x = normalise(micro.crops.to(run.device, non_blocking=True), data.protocol)  # (N, 3, H, W)
        y = micro.labels.to(run.device, non_blocking=True)  # (N,)
        rng = run.recipe.generator("mix", run.iteration, slot)
        draw = run.step.draw(rng, tuple(x.shape))
        if isinstance(run.model, Foreign):  # its dropout draws from torch's own generator
            torch.manual_seed(int(rng.integers(1 << 63)))
        run.step.ahead = run.ahead
        with run.sharing(now=slot == run.slots[-1]):
            with run.autocast():
                losses = run.parallel(x, y, draw, float(weights[run.iteration]))
            if slot == run.slots[0]:
                # Not right after the step: freed that early, the memory of ResNet-50's gradients
                # went back to the system and cost 5% of a step on a CPU to get again.
                run.optimizer.zero_grad()
            read = _reading([losses[key] for key in run.step.logged])
            run.scaler.scale(losses["loss"] / len(run.slots)).backward()
        logged = read()
        totals += np.array(logged) / len(run.slots)
        if not broken and not math.isfinite(logged[0]):
            files = [data.train.files[row] for row in micro.rows]
            broken = {
                "losses": {name: loss.item() for name, loss in losses.items()},
                "images": files,
            }
    *means, stops = run.world.mean([*totals, stop])
    if not math.isfinite(means[0]):
        raise diverged(run, broken)
    run.scaler.step(run.optimizer)
    run.scaler.update()
    run.step.follow(
        ema_momentum(run.recipe.automix, run.iteration, run.recipe.epochs * run.iterations)
    )
    times = waited, time.perf_counter() - began
    return times, dict(zip(run.step.logged, means, strict=True)), stops > 0


def end_epoch(run: Run, data: Data, show: Show, asked: Interruption) -> float:
    """Validate, log, and keep the weights if they are the best; returns top-1 in percent."""
    epoch = run.validated + 1
    lr = run.set_learning_rates(run.validated)

    bar = _bar(run, -(-len(data.val) // run.world.size), "img", desc="validating", leave=False)

    def progress(images: int) -> None:
        bar.update(images)
        if asked.signal:
            raise stopped(run, asked)

    try:
        with bar:
            counts = run.validate(data, progress)
    except CheckpointError as error:  # logits that are no numbers
        raise diverged(run, None, str(error)) from None
    heads = {run.step.head_prefix + head: counts[head] for head in run.step.heads}
    accuracies = run.log.val(epoch=epoch, batches=run.batches_of(data), lr=lr, heads=heads)
    show("val", run.iteration, accuracies)
    first = counts[run.model.heads[0]]
    run.keep_epoch(epoch, first)
    run.validated = epoch
    return first.top1


def stopped(run: Run, asked: Interruption) -> InterruptedRunError:
    """The error with which a run that was asked to stop leaves, its checkpoint written."""
    validating = ", before its epoch's validation" if run.is_validation_due else ""
    return InterruptedRunError(
        f"Stopped ({asked.signal or 'as asked'}) after step {run.iteration} of {run.total}"
        f"{validating}; {run.out} holds everything. The same command goes on from there."
    )


def write_result(run: Run) -> Path:
    """Write the weights of the last epoch, without the optimizer's state, in both formats."""
    path = run.out / f"{run.name}.pth"
    if run.world.leads:
        run.write_weights(path, run.recipe.epochs)
        export(resolve(str(path), open_catalog()), path.with_suffix(".safetensors"), force=True)
    run.world.gather(None)  # the file is there when any process returns
    return path


def _reading(scalars: Sequence[torch.Tensor]) -> Callable[[], list[float]]:
    """Ask for the values of some scalars; the answer waits for them alone, not for a GPU."""
    values = torch.stack([scalar.detach().float() for scalar in scalars])
    copy = values.to("cpu", non_blocking=True)
    if values.device.type != "cuda":
        return copy.tolist
    copied = torch.cuda.Event()
    copied.record()

    def read() -> list[float]:
        copied.synchronize()
        return copy.tolist()

    return read


def _next(batches: Iterator[MicroBatch], run: Run) -> MicroBatch:
    """The next micro batch; what is wrong with one is said by the process that knows."""
    try:
        return next(batches)
    except DataError as error:
        if not run.world.leads:
            logger.error("error: rank %d: %s", run.world.rank, error)
        raise


def _bar(run: Run, total: int, unit: str, **options: Any) -> Any:
    """A bar of the leading process where stderr is a terminal, whole in 80 columns."""
    form = "{desc}: {percentage:.0f}%|{bar}| {n_fmt}/{total_fmt} [{remaining} left, {rate_fmt}{postfix}]"
    return tqdm(
        total=total,
        unit=unit,
        bar_format=form,
        dynamic_ncols=True,
        disable=None if run.world.leads else True,
        **options,
    )


def _tell_epoch(run: Run, top1: float, left: float) -> None:
    """A line for each epoch, also where no terminal shows a bar. left: in seconds."""
    of, best = run.recipe.epochs, run.best["epoch"]
    line = f"epoch {run.validated} of {of}: top-1 {top1:.2f}"
    if run.mean_loss is not None:
        line += f", loss {run.mean_loss:.3f}"
    if best != run.validated:
        line += f", best in epoch {best}"
    tell(line if run.is_done else f"{line}, {tqdm.format_interval(left)} left")
