"""MixUp: each image becomes a convex combination with its partner."""

from dataclasses import dataclass

import numpy as np
import torch

from .draws import draw_lam, draw_permutation
from .mixed import Mixed, check_batch, shared_mask, uniform_weight


@dataclass(frozen=True)
class MixupDraw:
    """The random part of MixUp: partners (N,) int64 and the weight of the original."""

    perm: torch.Tensor
    lam: float


def draw_mixup(rng: np.random.Generator, n: int, alpha: float) -> MixupDraw:
    """Draw lam from Beta(alpha, alpha), then a permutation of n samples.

    As in the reference, a sample may be its own partner. Raises `UsageError` unless alpha > 0.
    """
    lam = draw_lam(rng, alpha)
    return MixupDraw(perm=draw_permutation(rng, n), lam=lam)


def mixup(x: torch.Tensor, perm: torch.Tensor, lam: float) -> Mixed:
    """Convex combination of each image with its partner (Zhang et al., 2018, arXiv:1710.09412).

    x: (N, C, H, W) float of any precision. perm: (N,) int64, the partner of each sample.
    lam: weight of the original, in [0, 1]. The mask is lam everywhere. `x` is not modified.
    Raises `UsageError` for other shapes, dtypes or ranges.
    """
    check_batch(x, perm, lam)

    perm = perm.to(x.device, non_blocking=True)
    # (1 - lam) is taken in double precision: bit-identical to the reference
    images = lam * x + (1 - lam) * x[perm]
    return Mixed(images, perm, uniform_weight(x, lam), shared_mask(x, torch.tensor(lam)))
