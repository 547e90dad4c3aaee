"""Pillow's resampling to the last bit, for little more than the pixels that a centre crop keeps.

Pillow resizes in two passes, along rows and then along columns, and rounds to 8 bits after each. In
the first pass rows don't touch each other, in the second columns don't, so rows and columns that
the crop drops can be cut off before a pass without changing the others.

The row pass always comes first, as in the Pillow that the reference was recorded with (10.4).
Pillow 13 swaps the passes for pictures more than twice as tall as wide, which changes some of
their pixels by a few levels; one pass at a time leaves it nothing to swap.
"""

import numpy as np
import numpy.typing as npt
from PIL import Image

Pixels = npt.NDArray[np.uint8]

FILTERS = {
    "bicubic": (Image.Resampling.BICUBIC, 2.0),
    "bilinear": (Image.Resampling.BILINEAR, 1.0),
}
"""Pillow's filter, and its radius in pixels of the coarser image."""


def resize_crop(
    rgb: Pixels, size: tuple[int, int], corner: tuple[int, int], crop: int, interpolation: str
) -> Pixels:
    """Cut a square from a resized image: `image.resize(size, interpolation).crop(...)`, exactly.

    rgb: (H, W, 3) uint8. size: width and height to resize to. corner: left and top of the square,
    which must lie inside. interpolation: "bicubic" or "bilinear", both widened where they shrink.
    Returns (crop, crop, 3) uint8.
    """
    resampling, radius = FILTERS[interpolation]
    (width, height), (left, top) = size, corner
    source_height, source_width, _ = rgb.shape
    first, last = _reach(source_height, height, top, crop, radius)
    image = Image.fromarray(rgb[first:last])
    if width != source_width:
        image = image.resize((width, last - first), resampling)
    image = image.crop((left, 0, left + crop, last - first))
    if height == source_height:
        return np.asarray(image)
    # The column pass must see the whole height to place its pixels; the empty rows are cut off.
    canvas = Image.new("RGB", (crop, source_height))
    canvas.paste(image, (0, first))
    return np.asarray(canvas.resize((crop, height), resampling).crop((0, top, crop, top + crop)))


def _reach(source: int, target: int, first: int, count: int, radius: float) -> tuple[int, int]:
    """First source row, and last plus one, that the outputs first ... first + count are made of."""
    if source == target:
        return first, first + count
    scale = source / target
    support = radius * max(scale, 1.0)
    low, high = (first + 0.5) * scale - support, (first + count - 0.5) * scale + support
    return max(int(low + 0.5), 0), min(int(high + 0.5), source)
