"""What changes over a run, as pure functions of the recipe and of where the run stands.

Nothing here has state, so a run that goes on after an interruption, on whatever machine, goes on
with the values that it would have had. Golden data: tests/golden/schedules.json.
"""

import math

import numpy as np

from .recipe import Automix, Recipe

EMA_CONSTANT = 0.1
"""Fraction of a run during which k's momentum stays at its first value."""


def learning_rate(recipe: Recipe, epoch: int) -> float:
    """The networks' learning rate in an epoch: half a cosine from `lr` to `min_lr`.

    It changes by epoch, not by step (SGDR without restarts, Loshchilov and Hutter, 2017,
    arXiv:1608.03983). epoch: counted from 0, below `recipe.epochs`; so the last epoch still has
    a little more than `min_lr`.
    """
    return _from_to(recipe.lr, recipe.min_lr, epoch / recipe.epochs)


def mix_block_learning_rate(recipe: Recipe, epoch: int) -> float:
    """The mix block's learning rate: the same cosine, falling to `recipe.automix.min_lr`.

    The block has to go on following features that change to the end (`mlr1e_4` in the names of the
    released configs).
    """
    return _from_to(recipe.lr, recipe.automix.min_lr, epoch / recipe.epochs)


def ema_momentum(own: Automix, iteration: int, iterations: int) -> float:
    """The momentum with which k follows q after the step of an iteration (counted from 0).

    `own.momentum` in the first tenth of the run's `iterations`; then a cosine that ends at
    `own.momentum_end`. The cosine spans the whole run, so the momentum jumps where the tenth
    ends (0.999 to 0.99902 in the released runs), as in OpenMixup.
    """
    start, end = own.momentum, own.momentum_end
    if iteration < int(EMA_CONSTANT * iterations):
        return start
    return end - (end - start) * _half_cosine(iteration / iterations)


def mask_loss_weights(own: Automix, iterations: int) -> np.ndarray:
    """The weight of the mask loss in every iteration of the run: float64 (iterations,).

    "cosine" is what the released configs say: `own.mask_loss` times half a cosine c(t) that
    falls from 1 to 0. "compounding" is what the released runs did: OpenMixup multiplies by c(t) the
    weight that it wrote in the iteration before, so that the weight is `own.mask_loss` times
    c(0) c(1) ... c(t). In a run of 100 epochs it is down to a third after 2 of them and to 5e-8
    after 5: the mask loss shapes the first epochs and is absent afterwards. Compounding is the
    default because the published numbers come from it.
    """
    start = own.mask_loss
    if own.mask_loss_schedule == "cosine":
        return np.array([start * _half_cosine(t / iterations) for t in range(iterations)])
    weights = np.empty(iterations)
    weight = start
    for t in range(iterations):
        # Halved first, as in OpenMixup: it decides where the subnormal weights round to 0.
        weight = 0.5 * weight * (1 + math.cos(math.pi * t / iterations))
        weights[t] = weight
    return weights


def _half_cosine(progress: float) -> float:
    """1 at progress 0, 0 at progress 1."""
    return 0.5 * (1 + math.cos(math.pi * progress))


def _from_to(start: float, end: float, progress: float) -> float:
    return end + (start - end) * _half_cosine(progress)
