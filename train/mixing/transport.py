"""Moving the blocks of an image towards where a mask shows them (PuzzleMix's transport)."""

import math

import torch

DISTANCE_COST = 0.8
"""Cost of moving a block along one whole side, in units of saliency: the released config's t_eps."""


def transport_plan(mask: torch.Tensor, saliency: torch.Tensor) -> torch.Tensor:
    """Where each block of an image goes, to bring salient blocks under the mask.

    mask: (N, b, b), share of the image at each block. saliency: (N, b, b) float32, usually
    summing to one per image. Returns (N, b*b, b*b) bool, row-major blocks: `plan[n, s, t]` says that block s moves
    to place t.

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
