"""CutMix: a box of each image is replaced by the same box of its partner."""

import math
from dataclasses import dataclass

import numpy as np
import torch

from .box import box_around, paste_partner
from .draws import Variant, draw_lam, draw_partners
from .mixed import Mixed, check_batch


@dataclass(frozen=True)
class CutmixDraw:
    """The random part of CutMix: partners (N,) int64, area share to keep, centre of the box."""

    perm: torch.Tensor
    lam: float
    row: int
    col: int


def draw_cutmix(
    rng: np.random.Generator, shape: tuple[int, ...], alpha: float, variant: Variant = "openmixup"
) -> CutmixDraw:
    """Draw lam from Beta(alpha, alpha), a permutation, and a uniform centre (row, then column).

    shape: of the batch, (N, C, H, W). variant: "openmixup" redraws a permutation with fixed points
    (see `draw_partners`), the paper draws it once. Raises `UsageError` unless alpha > 0.
    """
    n, _, h, w = shape
    return CutmixDraw(
        lam=draw_lam(rng, alpha),
        perm=draw_partners(rng, n, variant),
        row=int(rng.integers(h)),
        col=int(rng.integers(w)),
    )


def cutmix(x: torch.Tensor, perm: torch.Tensor, lam: float, row: int, col: int) -> Mixed:
    """Paste a box of the partner, one box for the whole batch (Yun et al., 2019, arXiv:1905.04899).

    x: (N, C, H, W) float of any precision. perm: (N,) int64. lam: share of the area to keep, in
    [0, 1]: the box has sqrt(1 - lam) of each side. row, col: its centre, in pixels.

    The box is clipped at the border and the label weight recomputed from what is left of it, as
    in the paper's pseudo-code, so it is at least lam. `x` is not modified.
    Raises `UsageError` for other shapes, dtypes or ranges.
    """
    check_batch(x, perm, lam)

    box = box_around(row, col, math.sqrt(1 - lam), *x.shape[2:])
    return paste_partner(x, perm, [box])
