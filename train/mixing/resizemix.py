"""ResizeMix: the whole partner image, made smaller, is pasted into each image."""

from dataclasses import dataclass

import numpy as np
import torch
from torch.nn.functional import interpolate

from ...zoo.errors import UsageError
from .box import box_around, box_mask, box_weight
from .draws import Variant, draw_lam, draw_permutation
from .mixed import Mixed, check_batch

SCOPE = (0.1, 0.8)
"""Smallest and largest scale of the patch: the paper's values and the released config's."""


@dataclass(frozen=True)
class ResizemixDraw:
    """The random part of ResizeMix: partners (N,) int64, scale of the patch, its centre."""

    perm: torch.Tensor
    scale: float
    row: int
    col: int


def draw_resizemix(
    rng: np.random.Generator, shape: tuple[int, ...], alpha: float, variant: Variant = "openmixup"
) -> ResizemixDraw:
    """Draw a permutation, the scale of the patch, and its centre (column, then row).

    shape: of the batch, (N, C, H, W).

    "openmixup", as released for this benchmark: the scale comes from Beta(alpha, alpha), replaced
    by Uniform(0.1, 0.8) when outside [0.1, 0.8]; the centre is uniform over the image, so a patch
    near the border is squeezed into what is left of its box. "paper": the scale is always
    Uniform(0.1, 0.8), alpha is unused, and the patch lies inside the image with its shape kept, so
    that it holds the area its label is weighed by.
    Raises `UsageError` unless alpha > 0.
    """
    n, _, h, w = shape
    perm = draw_permutation(rng, n)
    if variant == "paper":
        scale = float(rng.uniform(*SCOPE))
        return ResizemixDraw(perm, scale, col=_inside(rng, w, scale), row=_inside(rng, h, scale))
    scale = draw_lam(rng, alpha)
    if not SCOPE[0] <= scale <= SCOPE[1]:
        scale = float(rng.uniform(*SCOPE))
    return ResizemixDraw(perm, scale, col=int(rng.integers(w)), row=int(rng.integers(h)))


def _inside(rng: np.random.Generator, side: int, scale: float) -> int:
    """The centre of a patch that doesn't cross the border of an image, along one side."""
    half = int(side * scale) // 2
    return int(rng.integers(half, side - half + 1))


def resizemix(x: torch.Tensor, perm: torch.Tensor, scale: float, row: int, col: int) -> Mixed:
    """Paste the resized partner into a box (Qin et al., 2020, arXiv:2012.11101).

    x: (N, C, H, W) float of any precision. perm: (N,) int64. scale: of the patch against each
    image side, in [0, 1]. row, col: its centre, in pixels.

    The label weight is the share of the area outside the clipped box. Inside the box, where the
    mask is 0, the picture shows the whole partner, resized to the clipped box by nearest
    neighbour: `images == mask * x` plus the patch, not plus the partner's own pixels there.
    OpenMixup returns a transposed mask; this one lies where the patch lies. `x` is not modified.
    Raises `UsageError` for other shapes, dtypes or ranges.
    """
    check_batch(x, perm)
    if not 0 <= scale <= 1:
        raise UsageError(f"expected a scale in [0, 1], got {scale}; draw it with draw_resizemix")

    perm = perm.to(x.device, non_blocking=True)
    box = box_around(row, col, scale, *x.shape[2:])
    images = x.clone()
    if box.area:
        size = (box.bottom - box.top, box.right - box.left)
        patch = interpolate(x[perm], size, mode="nearest")
        images[:, :, box.top : box.bottom, box.left : box.right] = patch
    return Mixed(images, perm, box_weight(x, [box]), box_mask(x, [box]))
