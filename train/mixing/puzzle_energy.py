"""What PuzzleMix's mask minimises: saliency lost, broken contours, and distance from a prior.

Kim et al., 2020, arXiv:2009.06962, with the values of OpenMixup's released config, in integers as
OpenMixup hands them to its solver.
"""

import math

import torch
from torch.nn.functional import avg_pool2d

from .normalization import denormalize

# by their names in the config
BETA = 1.2  # how much neighbouring blocks should agree
GAMMA = 0.5  # how much more so where the picture is smooth
ETA = 0.2  # weight of the prior on the number of blocks from each image
NEIGH_SIZE = 4  # pixels that are averaged before two blocks' borders are compared

LABELS = (1.0, 0.5, 0.0)
"""What a block's label 0, 1, 2 means: the weight of the original."""


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
