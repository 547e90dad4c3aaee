"""PuzzleMix: a grid mask that keeps the salient blocks of both images, and moves them into view."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.nn.functional import cross_entropy, interpolate

from ...zoo.errors import UsageError
from .draws import draw_lam, draw_permutation
from .gridcut import cut_grid
from .mixed import Mixed, check_batch
from .puzzle_energy import LABELS, pool_saliency, puzzle_costs
from .transport import transport, transport_plan

GRIDS = (2, 4, 8)
"""Blocks per side: the released config's choices, and all that `gridcut` has memory for."""


@dataclass(frozen=True)
class PuzzlemixDraw:
    """The random part of PuzzleMix: partners (N,) int64, the prior's weight, blocks per side."""

    perm: torch.Tensor
    lam: float
    blocks: int


def draw_puzzlemix(rng: np.random.Generator, shape: tuple[int, ...], alpha: float) -> PuzzlemixDraw:
    """Draw the prior's lam from Beta(alpha, alpha), a permutation, and 2, 4 or 8 blocks per side.

    shape: of the batch, (N, C, H, W). Raises `UsageError` unless alpha > 0 and H and W are
    multiples of 8.
    """
    n, _, h, w = shape
    _check_divides(max(GRIDS), h, w)
    lam = draw_lam(rng, alpha)
    return PuzzlemixDraw(draw_permutation(rng, n), lam, blocks=2 ** int(rng.integers(1, 4)))


def input_saliency(model: nn.Module, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """How much each pixel matters to the loss: the gradient's root mean square over channels.

    model: returns logits (N, K); runs in eval mode, every module's mode is put back after, and
    parameters get no gradient. Pass the bare module, not its DistributedDataParallel wrapper.
    x: (N, C, H, W). y: (N,) int64 labels. Returns (N, H, W) float32.
    """
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        with torch.enable_grad():
            probe = x.detach().requires_grad_()
            (gradient,) = torch.autograd.grad(cross_entropy(model(probe), y), probe)
    finally:
        for module, training in modes:
            module.training = training
    return gradient.float().square().mean(1).sqrt()


def puzzlemix(
    x: torch.Tensor, perm: torch.Tensor, lam: float, blocks: int, saliency: torch.Tensor
) -> Mixed:
    """Mix by the best grid mask, blocks transported (Kim et al., 2020, arXiv:2009.06962).

    x: (N, 3, H, W) float of any precision, normalised images. perm: (N,) int64. lam: prior
    expectation of the weight of the original, in [0, 1]. blocks: per side, 2, 4 or 8, a divisor of
    H and W. saliency: (N, H, W), not negative, such as `input_saliency`.

    The mask of sample i says 1, 0.5 or 0 per block; the label weight is its mean, so it differs
    between samples (the paper weighs each sample's loss by it, OpenMixup by the batch's mean: see
    `losses.mix_cross_entropy`). With both images transported first (`puzzle_images`),
    `images == mask * own + (1 - mask) * partner`.

    The mask is an exact minimum of the energy whose integer costs OpenMixup hands to an
    approximate solver. `x` is not modified. Raises `UsageError` for other shapes, dtypes or ranges.
    """
    check_batch(x, perm, lam)
    n, _, h, w = x.shape
    if blocks not in GRIDS:
        raise UsageError(f"expected blocks of {GRIDS}, got {blocks}; draw them for this method")
    _check_divides(blocks, h, w)
    if saliency.shape != (n, h, w):
        raise UsageError(
            f"expected saliency {(n, h, w)}, one value per pixel, got {tuple(saliency.shape)}; "
            "compute it with input_saliency"
        )

    perm = perm.to(x.device, non_blocking=True)
    pooled = pool_saliency(saliency.to(x.device), blocks)
    labels = cut_grid(*puzzle_costs(x, perm, lam, pooled))
    grid = torch.tensor(LABELS, device=x.device)[labels]  # (N, b, b)
    own, partner = puzzle_images(x, perm, grid, pooled)
    mask = interpolate(grid[:, None], size=(h, w), mode="nearest").to(x)
    return Mixed(mask * own + (1 - mask) * partner, perm, grid.mean((1, 2)), mask)


def puzzle_images(
    x: torch.Tensor, perm: torch.Tensor, grid: torch.Tensor, pooled: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Each image and its partner, their salient blocks moved to where the mask shows them.

    x: (N, C, H, W). perm: (N,). grid: (N, b, b), weight of the original per block. pooled: (N, b, b)
    saliency. Returns both batches, (N, C, H, W).
    """
    own = transport(x, transport_plan(grid, pooled))
    return own, transport(x[perm], transport_plan(1 - grid, pooled[perm]))


def _check_divides(blocks: int, h: int, w: int) -> None:
    """Raise `UsageError` unless both sides are multiples of the number of blocks."""
    if h % blocks or w % blocks:
        raise UsageError(
            f"expected image sides that are multiples of {blocks} (PuzzleMix's grid), got {h}x{w}; "
            "resize or crop the images"
        )
