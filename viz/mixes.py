"""Grids of mixed samples: what a method makes of two images, and the mask that explains it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..train.mixing import Mixed
from ..train.mixing.normalization import denormalize

INCHES = 1.7  # of a tile's side
MASK_COLOURS = "cividis"  # even in lightness, and the same for colour-blind readers


@dataclass(frozen=True)
class Tile:
    """One picture of a grid.

    image: (H, W, 3) uint8. title: above it. caption: below it. mask: (H, W) in [0, 1], the first
    image's weight at each pixel, shown under the picture; None for a source image.
    """

    image: np.ndarray
    title: str = ""
    caption: str = ""
    mask: np.ndarray | None = None


def source_tile(title: str, image: torch.Tensor) -> Tile:
    """A picture as it was before mixing. image: (H, W, 3) uint8."""
    return Tile(image.numpy(), title)


def mixed_tile(title: str, mixed: Mixed) -> Tile:
    """The first image of a mixed batch, with its mask, its label weights below."""
    image = denormalize(mixed.images[:1])[0].clamp(0, 1).mul(255).round().byte()  # (3, H, W)
    share = float(mixed.lam[0])
    return Tile(
        image=image.permute(1, 2, 0).numpy(),
        title=title,
        caption=f"label {share:.2f} A, {1 - share:.2f} B",
        mask=mixed.mask[0, 0].float().numpy(),
    )


def draw_grid(rows: Sequence[Sequence[Tile]]) -> Figure:
    """One line of pictures per pair of images, and under each mixed picture its mask.

    rows: of equal length. Returns a figure that no window holds; save it with `savefig`.
    """
    heights = [height for _ in rows for height in (1.0, 0.5)]
    columns = len(rows[0])
    figure = Figure(figsize=(INCHES * columns, INCHES * 1.9 * len(rows)), layout="constrained")
    axes = figure.subplots(
        2 * len(rows), columns, squeeze=False, gridspec_kw={"height_ratios": heights}
    )
    for line, row in enumerate(rows):
        for column, tile in enumerate(row):
            _picture(axes[2 * line, column], tile)
            _mask(axes[2 * line + 1, column], tile)
    return figure


def _picture(axis: Axes, tile: Tile) -> None:
    axis.imshow(tile.image)
    axis.set_title(tile.title, fontsize=8)
    axis.set_xlabel(tile.caption, fontsize=7)
    _bare(axis)


def _mask(axis: Axes, tile: Tile) -> None:
    if tile.mask is None:
        axis.axis("off")
        return
    axis.imshow(tile.mask, cmap=MASK_COLOURS, vmin=0, vmax=1)
    _bare(axis)


def _bare(axis: Axes) -> None:
    axis.set_xticks([])
    axis.set_yticks([])
    for spine in axis.spines.values():
        spine.set_visible(False)
