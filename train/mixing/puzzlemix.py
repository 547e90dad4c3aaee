"""PuzzleMix: a grid mask that keeps the salient blocks of both images, and moves them into view.

Kim et al., 2020, arXiv:2009.06962, with the values of OpenMixup's released config. The mask
minimises saliency lost, broken contours, and distance from a prior, in integers as OpenMixup hands
them to its solver; `gridcut` finds the exact minimum.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.nn.functional import avg_pool2d, cross_entropy, interpolate

from ...zoo.errors import UsageError
from ...zoo.nets.classifiers import in_eval_mode
from .gridcut import cut_grid
from .mixed import Mixed, check_batch, denormalize, draw_lam, draw_permutation

GRIDS = (2, 4, 8)
"""Blocks per side: the released config's choices, and all that `gridcut` has memory for."""

# by their names in the config
BETA = 1.2  # how much neighbouring blocks should agree
GAMMA = 0.5  # how much more so where the picture is smooth
ETA = 0.2  # weight of the prior on the number of blocks from each image
NEIGH_SIZE = 4  # pixels that are averaged before two blocks' borders are compared
DISTANCE_COST = 0.8  # moving a block along one whole side, in units of saliency: t_eps

LABELS = (1.0, 0.5, 0.0)
"""What a block's label 0, 1, 2 means: the weight of the original."""


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
    with in_eval_mode(model), torch.enable_grad():
        probe = x.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(cross_entropy(model(probe), y), probe)
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
    `mixed.mix_cross_entropy`). With both images transported first (`puzzle_images`),
    `images == mask * own + (1 - mask) * partner`.

    The mask is an exact minimum of the energy whose integer costs OpenMixup hands to an
    approximate solver. `x` is not modified. Raises `UsageError` for other shapes, dtypes or ranges.
    """
    check_batch(x, perm, lam)
    n, _, h, w = x.shape
    if blocks not in GRIDS:
        raise UsageError(f"expected blocks of {GRIDS}, got {blocks}; draw them for this method.")
    _check_divides(blocks, h, w)
    if saliency.shape != (n, h, w):
        raise UsageError(
            f"expected saliency {(n, h, w)}, one value per pixel, got {tuple(saliency.shape)}; "
            "compute it with input_saliency."
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

    x: (N, C, H, W). perm: (N,). grid: (N, b, b), weight of the original per block. pooled: (N, b,
    b) saliency. Returns both batches, (N, C, H, W).
    """
    own = transport(x, transport_plan(grid, pooled))
    return own, transport(x[perm], transport_plan(1 - grid, pooled[perm]))


def _check_divides(blocks: int, h: int, w: int) -> None:
    """Raise `UsageError` unless both sides are multiples of the number of blocks."""
    if h % blocks or w % blocks:
        raise UsageError(
            f"expected image sides that are multiples of {blocks} (PuzzleMix's grid), got {h}x{w}; "
            "resize or crop the images."
        )


def pool_saliency(saliency: torch.Tensor, blocks: int) -> torch.Tensor:
    """Mean saliency per block, scaled to sum to one per image: (N, H, W) -> (N, b, b) float32.

    An image without any saliency keeps zeros.
    """
    _, h, w = saliency.shape
    pooled = avg_pool2d(saliency.float(), (h // blocks, w // blocks))
    total = pooled.flatten(1).sum(1).view(-1, 1, 1)
    return pooled / total.where(total > 0, 1.0)


def puzzle_costs(
    x: torch.Tensor, perm: torch.Tensor, lam: float, pooled: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The integer energy of each sample's mask, as `cut_grid` takes it.

    x: (N, 3, H, W). perm: (N,). lam: prior weight of the original. pooled: (N, b, b) saliency.
    Returns unary (N, b, b, 3), down (N, b - 1, b), right (N, b, b - 1), int32: the float costs
    times 1000 * b**2, truncated.
    """
    b = pooled.shape[-1]
    beta = BETA / b / 16
    down, right = (beta * GAMMA * contrast for contrast in _border_contrasts(x, perm, b))
    # showing one image loses the saliency of the other
    show_partner, show_own = (
        _show_cost(lost, shown, down, right) for shown, lost in enumerate((pooled, pooled[perm]))
    )
    shares = [keep * show_own + (1 - keep) * show_partner for keep in LABELS]
    unary = torch.stack([cost + p for cost, p in zip(shares, _prior(lam, b), strict=True)], -1)
    seams = [(t[1, 0] + t[0, 1] - t[1, 1] - t[0, 0]) / 2 + beta for t in (down, right)]
    unary, down, right = ((1000 * b**2 * cost).int() for cost in (unary, *seams))
    return unary, down, right


def _show_cost(
    lost: torch.Tensor, shown: int, down: torch.Tensor, right: torch.Tensor
) -> torch.Tensor:
    """Cost of showing one image at a block, (N, b, b): saliency lost plus half of its contrasts.

    lost: (N, b, b). shown: 0 for the partner, 1 for the original. down, right: weighted border
    contrasts, as `_border_contrasts` returns them.
    """
    cost = lost.clone()
    cost[:, :-1] += down[shown].sum(0) / 2
    cost[:, 1:] += down[:, shown].sum(0) / 2
    cost[:, :, :-1] += right[shown].sum(0) / 2
    cost[:, :, 1:] += right[:, shown].sum(0) / 2
    return cost


def _prior(lam: float, b: int) -> list[float]:
    """Cost of each label under a binomial prior with mean lam, per block."""
    odds = (lam**2, 2 * lam * (1 - lam), (1 - lam) ** 2)
    return [ETA * -math.log(odd + 1e-8) / b**2 for odd in odds]


def _border_contrasts(
    x: torch.Tensor, perm: torch.Tensor, b: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """How different the pixels on both sides of each border between blocks are.

    Returns (2, 2, N, b - 1, b) for borders between rows and (2, 2, N, b, b - 1) between columns,
    float32. First index: image of the upper (left) block, second: of the lower (right) one; 0 is
    the partner, 1 the original.
    """
    sides = [side // b for side in x.shape[2:]]
    cell = [max(d for d in range(1, NEIGH_SIZE + 1) if side % d == 0) for side in sides]
    own = avg_pool2d(denormalize(x), cell)
    images = (own[perm], own)
    cells = [side // size for side, size in zip(sides, cell, strict=True)]  # per block
    pairs = [(first, second) for first in images for second in images]
    down = [_contrast(first, second, *cells) for first, second in pairs]
    # columns: the same on images lying on their side
    right = [_contrast(first.mT, second.mT, *cells[::-1]).mT for first, second in pairs]
    return torch.stack(down).unflatten(0, (2, 2)), torch.stack(right).unflatten(0, (2, 2))


def _contrast(upper: torch.Tensor, lower: torch.Tensor, rows: int, cols: int) -> torch.Tensor:
    """Mean absolute difference across each border between block rows: (N, b - 1, b).

    upper, lower: (N, C, b * rows, b * cols), averaged cells. rows, cols: cells per block.
    """
    step = upper[:, :, :-1] - lower[:, :, 1:]
    return avg_pool2d(step[:, :, rows - 1 :: rows].abs().mean(1), (1, cols))


def transport_plan(mask: torch.Tensor, saliency: torch.Tensor) -> torch.Tensor:
    """Where each block of an image goes, to bring salient blocks under the mask.

    mask: (N, b, b), share of the image at each block. saliency: (N, b, b) float32, usually summing
    to one per image. Returns (N, b*b, b*b) bool, row-major blocks: `plan[n, s, t]` says that block
    s moves to place t.

    b rounds of: every block claims its cheapest place, the cheapest claimant of a place keeps it,
    the others find that place one unit dearer. As in OpenMixup the rounds end whether or not each
    place has a block, so the plan often is no permutation: at most one block per place, and
    places and blocks are left over.
    """
    n, b, _ = mask.shape
    shown = (mask > 0).float().reshape(n, 1, -1)
    cost = DISTANCE_COST * _distances(b, mask.device) - saliency.reshape(n, -1, 1) * shown
    places = torch.arange(b * b, device=mask.device)
    plan = torch.zeros_like(cost, dtype=torch.bool)
    for _ in range(b):
        claims = cost.argmin(2, keepdim=True) == places
        # a block that doesn't claim a place bids nothing for it, as in the reference: where every
        # claim costs more than nothing, nobody keeps the place
        keeper = (cost * claims).argmin(1, keepdim=True)
        plan = claims & (keeper == places[:, None])
        cost = cost + (claims & ~plan)
    return plan


def _distances(b: int, device: torch.device) -> torch.Tensor:
    """Squared distance between the blocks of a b x b grid, one side being 1: (b*b, b*b) float32."""
    side = torch.arange(b, device=device)
    row, col = side.repeat_interleave(b), side.repeat(b)
    squared = (row[:, None] - row).square() + (col[:, None] - col).square()
    return squared.float() / (b - 1) ** 2


def transport(x: torch.Tensor, plan: torch.Tensor) -> torch.Tensor:
    """Move the blocks of each image; places that no block moves to turn zero.

    x: (N, C, H, W) float, H and W multiples of b. plan: (N, b*b, b*b) bool, at most one block per
    place. Returns a new tensor like `x`.
    """
    n, c, h, w = x.shape
    b = math.isqrt(plan.shape[1])
    grid = (n, c, b, h // b, b, w // b)
    blocks = x.view(grid).permute(0, 2, 4, 1, 3, 5).reshape(n, b * b, -1)
    source = plan.byte().argmax(1)  # (N, b*b): which block comes to each place
    moved = blocks.gather(1, source[..., None].expand_as(blocks)) * plan.any(1)[..., None]
    return moved.view(n, b, b, c, h // b, w // b).permute(0, 3, 1, 4, 2, 5).reshape(x.shape)
