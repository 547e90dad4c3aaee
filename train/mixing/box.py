"""Rectangles cut out of one image and filled from another."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from .mixed import Mixed


@dataclass(frozen=True)
class Box:
    """Half-open pixel ranges [top, bottom) x [left, right). Empty when a side is zero."""

    top: int
    bottom: int
    left: int
    right: int

    @property
    def area(self) -> int:
        """Number of pixels."""
        return (self.bottom - self.top) * (self.right - self.left)


def box_around(row: int, col: int, scale: float, height: int, width: int) -> Box:
    """The box of `scale` times each image side around (row, col), clipped to the image.

    Sides are int(side * scale), halved by floor division, so an odd one loses a pixel: the
    rounding of CutMix's released code, which every box method of OpenMixup inherits.
    """
    half_rows, half_cols = int(height * scale) // 2, int(width * scale) // 2
    return Box(
        top=max(row - half_rows, 0),
        bottom=min(row + half_rows, height),
        left=max(col - half_cols, 0),
        right=min(col + half_cols, width),
    )


def box_mask(x: torch.Tensor, boxes: Sequence[Box]) -> torch.Tensor:
    """Ones with each box cut out as zeros: (N, 1, H, W) like `x`, a view where one box serves all.

    boxes: one for the whole batch, or one for each of the N samples.
    """
    n, _, h, w = x.shape
    mask = x.new_ones(len(boxes), 1, h, w)
    for plane, box in zip(mask, boxes, strict=True):
        plane[:, box.top : box.bottom, box.left : box.right] = 0
    return mask.expand(n, 1, h, w)


def box_weight(x: torch.Tensor, boxes: Sequence[Box]) -> torch.Tensor:
    """The share of each image outside its box: (N,) float32. boxes: one for all, or N."""
    n, _, h, w = x.shape
    shares = [1 - box.area / (h * w) for box in boxes]
    return torch.tensor(shares, dtype=torch.float32, device=x.device).expand(n)


def paste_partner(x: torch.Tensor, perm: torch.Tensor, boxes: Sequence[Box]) -> Mixed:
    """Fill each box with the same pixels of the partner; the label weight is the share outside.

    x: (N, C, H, W) float. perm: (N,) int64 on any device. boxes: one for all, or N.
    """
    perm = perm.to(x.device, non_blocking=True)
    mask = box_mask(x, boxes)
    images = torch.where(mask.bool(), x, x[perm])
    return Mixed(images, perm, box_weight(x, boxes), mask)
