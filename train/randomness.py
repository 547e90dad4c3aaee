"""Random numbers that a run draws, each from a generator of its own.

A generator is made from the run's seed and the place where it is needed: which image of which epoch,
which part of which step. So a draw doesn't depend on what was drawn before it, by which process
or worker, or in which session: an interrupted run goes on with the draws that it would have made.
"""

from typing import Literal

import numpy as np

Purpose = Literal["order", "crop", "mix"]
_NUMBERS: dict[Purpose, int] = {"order": 1, "crop": 2, "mix": 3}


def generator(seed: int, purpose: Purpose, *place: int) -> np.random.Generator:
    """A generator for one purpose at one place of a run, such as an epoch and an image's position.

    seed, place: not negative. Different arguments give independent streams (numpy's SeedSequence).
    """
    return np.random.default_rng([seed, _NUMBERS[purpose], *place])
