"""The random numbers that several methods share.

Every draw takes a `numpy.random.Generator` from the caller. Nothing here or in any mixing method
touches a global generator, so one seeded generator repeats a whole run on any device.
"""

from typing import Literal

import numpy as np
import torch

from ...zoo.errors import UsageError

Variant = Literal["openmixup", "paper"]
"""Which behaviour to follow where the two differ: the code behind the published numbers
(OpenMixup, quirks included), or the method's paper."""

MAX_REDRAWS = 10


def draw_lam(rng: np.random.Generator, alpha: float) -> float:
    """A mixing weight from Beta(alpha, alpha), in [0, 1].

    Raises `UsageError` unless alpha > 0.
    """
    check_alpha(alpha)
    return float(rng.beta(alpha, alpha))


def check_alpha(alpha: float) -> None:
    """Raise `UsageError` unless alpha > 0."""
    if not alpha > 0:
        raise UsageError(
            f"expected alpha > 0 for Beta(alpha, alpha), got {alpha}; "
            "use the method 'vanilla' to train without mixing"
        )


def draw_permutation(rng: np.random.Generator, n: int) -> torch.Tensor:
    """A uniform permutation of n samples, (n,) int64 on the CPU; it may have fixed points."""
    return torch.from_numpy(rng.permutation(n))


def draw_partners(rng: np.random.Generator, n: int, variant: Variant) -> torch.Tensor:
    """A permutation of n samples, (n,) int64 on the CPU.

    "openmixup", for its CutMix and FMix: drawn again up to 10 times while it leaves any sample in
    place. The 10th redraw is accepted whatever it is, so fixed points stay possible (always for
    n = 1, rarely otherwise). "paper": drawn once.
    """
    perm = rng.permutation(n)
    if variant == "openmixup":
        for _ in range(MAX_REDRAWS):
            if not (perm == np.arange(n)).any():
                break
            perm = rng.permutation(n)
    return torch.from_numpy(perm)
