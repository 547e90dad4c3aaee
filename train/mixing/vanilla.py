"""No mixing, in the shape of a mixing method: the baseline of every comparison."""

from dataclasses import dataclass

import torch

from .mixed import Mixed, check_batch, shared_mask, uniform_weight


@dataclass(frozen=True)
class VanillaDraw:
    """The random part of not mixing: nothing."""


def vanilla(x: torch.Tensor) -> Mixed:
    """The batch as it is: every sample its own partner with label weight 1 and a mask of ones.

    x: (N, C, H, W) float. The returned images are `x` itself, not a copy. Raises `UsageError` for
    other shapes or dtypes.
    """
    perm = torch.arange(len(x), device=x.device)
    check_batch(x, perm)

    return Mixed(x, perm, uniform_weight(x, 1.0), shared_mask(x, torch.tensor(1.0)))
