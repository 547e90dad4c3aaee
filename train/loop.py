"""The training loop, from images to a checkpoint and a log."""

import math
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from ..eval.loader import default_workers
from ..eval.protocol import normalise
from ..zoo.catalog import open_catalog
from ..zoo.errors import InterruptedRunError
from ..zoo.export import export
from ..zoo.refs import resolve
from .divergence import diverged
from .interruption import interruption
from .loader import MicroBatch, TrainingImages, fit_in_memory, micro_batches
from .randomness import generator
from .recipe import Recipe
from .run import Data, How, Run, explained_losses
from .scalars import Board, board_of
from .schedules import ema_momentum, mask_loss_weights


def train(recipe: Recipe, data: Data, out: Path, name: str, how: How | None = None) -> Path:
    """Train a classifier, or go on training one, in the folder `out`; returns its weights' file.

    `<name>.pth` and `.safetensors` get the weights of the last epoch, `<name>.log.json` what
    happened; beside them lie the checkpoints (see `checkpoints`). On a CPU, one recipe on as many
    processes gives the same weights, interrupted or not. Validation is that of `mixzoo eval`: same
    pixels, same counting.
    Raises InterruptedRunError after a signal, when all is saved; DivergedError for a loss that is
    no number; LostRankError if another process ended.
    """
    how = how or How()
    small = fit_in_memory(data.train)
    images = TrainingImages(data.train, recipe, keep=small)
    run = Run(recipe, out, name, images.batches, how)
    batches = micro_batches(
        images, run.iteration, run.slots, 0 if small else _workers(how), run.device.type == "cuda"
    )
    weights = mask_loss_weights(recipe, images.batches)
    bar = tqdm(desc=name, total=run.total, initial=run.iteration, unit="step", disable=_hidden(how))
    with bar, board_of(run) as board, interruption() as asked, explained_losses(how.world):
        while run.iteration < run.total:
            epoch, batch = divmod(run.iteration, run.iterations)
            lr = run.set_learning_rates(epoch)
            asked_to = bool(asked.signal) or run.iteration + 1 == how.stop_at
            times, losses, stop = take_step(run, data, batches, weights, asked_to)
            run.iteration += 1
            run.log.add({"data_time": times[0], **losses, "time": times[1]})
            bar.update()
            if (batch + 1) % recipe.log_every == 0:
                means = run.log.train(epoch=epoch + 1, iteration=batch + 1, lr=lr)
                board.train(run.iteration, means | {"lr": lr})
                bar.set_postfix(epoch=epoch + 1, loss=f"{means['loss']:.3f}")
            if batch + 1 == run.iterations:
                end_epoch(run, data, epoch + 1, lr, board)
            if run.is_time_to_checkpoint or stop:
                run.checkpoint()
            if stop and run.iteration < run.total:
                raise InterruptedRunError(
                    f"Stopped ({asked.signal or 'as asked'}) after step "
                    f"{run.iteration} of {run.total}; {out} holds everything. "
                    "The same command goes on from there."
                )
    return publish(run)


def take_step(
    run: Run, data: Data, batches: Iterator[MicroBatch], weights: np.ndarray, stop: bool
) -> tuple[tuple[float, float], dict[str, float], bool]:
    """One step of the optimizer: forward and backward passes of this process, and the update.

    weights: of the mask loss, by iteration. stop: whether this process was asked to.
    Returns the seconds waited for data and taken in all; the logged losses and accuracies, a mean
    over all processes; and whether any process was asked to stop.
    """
    began, waited = time.perf_counter(), 0.0
    totals = np.zeros(len(run.step.logged))
    for slot in run.slots:
        asked = time.perf_counter()
        micro = next(batches)
        waited += time.perf_counter() - asked
        x = normalise(micro.crops.to(run.device, non_blocking=True), data.protocol)  # (N, 3, H, W)
        y = micro.labels.to(run.device, non_blocking=True)  # (N,)
        rng = generator(run.recipe.seed, "mix", run.iteration, slot)
        draw = run.step.draw(rng, tuple(x.shape))
        with run.sharing(now=slot == run.slots[-1]):
            with run.autocast():
                losses = run.parallel(x, y, draw, float(weights[run.iteration]))
            run.scaler.scale(losses["loss"] / len(run.slots)).backward()
        logged = torch.stack([losses[key].detach().float() for key in run.step.logged])
        totals += np.array(logged.tolist()) / len(run.slots)
    *means, stops = run.world.mean([*totals, stop])
    if not math.isfinite(means[0]):
        raise diverged(run, losses, [data.train.files[row] for row in micro.rows])
    run.scaler.step(run.optimizer)
    run.scaler.update()
    run.optimizer.zero_grad()
    run.step.follow(ema_momentum(run.recipe, run.iteration, run.iterations))
    times = waited, time.perf_counter() - began
    return times, dict(zip(run.step.logged, means, strict=True)), stops > 0


def end_epoch(run: Run, data: Data, epoch: int, lr: float, board: Board) -> None:
    """Validate, log, and keep the weights if they are the best. epoch: counted from 1."""
    counts = run.validate(data)
    heads = {run.step.head_in_log(head): count for head, count in counts.items()}
    run.log.val(epoch=epoch, batches=run.batches_of(data), lr=lr, heads=heads)
    board.val(run.iteration, heads)
    run.keep_epoch(epoch, counts[run.model.heads[0]])


def publish(run: Run) -> Path:
    """Write the weights of the last epoch, without the optimizer's state, in both formats."""
    path = run.out / f"{run.name}.pth"
    if run.world.leads:
        run.write_weights(path, run.recipe.epochs)
        export(resolve(str(path), open_catalog()), path.with_suffix(".safetensors"), force=True)
    run.world.gather(None)  # the file is there when any process returns
    return path


def _workers(how: How) -> int:
    return default_workers(how.world.local_size) if how.workers is None else how.workers


def _hidden(how: How) -> bool | None:
    """No bar on other processes than the leader, or where stderr is no terminal (None)."""
    return None if how.world.leads else True
