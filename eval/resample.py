"""Pillow's resampling to the last bit, for the pixels that a crop keeps and no others.

Pillow resizes in two passes, along rows and then along columns. Each takes weighted sums of whole
numbers (weights in units of 2**-22) and rounds them to 8 bits, so the order of additions can't
matter, and pixels that the crop drops can be left out. The passes are compiled (numba): Pillow's
own cost as much as decoding the photograph twice.

The row pass always comes first, as in the Pillow that the reference was recorded with (10.4).
Pillow 13 swaps the passes for pictures more than twice as tall as wide, which changes some of
their pixels by a few levels.
"""

from collections.abc import Callable
from functools import lru_cache
from math import ceil
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit, types

Pixels = npt.NDArray[np.uint8]
Ints = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float64]
Pass = Callable[[Pixels, Ints, Ints, Ints], Pixels]

BITS = 22  # of a weight's fraction
HALF = 1 << (BITS - 1)


class Taps(NamedTuple):
    """What each pixel of a pass is made of: `weights[i, t]` of source pixel `first[i] + t`."""

    first: Ints
    """(target,) the first source pixel that counts."""
    counts: Ints
    """(target,) how many count."""
    weights: Ints
    """(target, most) in units of 2**-BITS; only the first `counts[i]` mean something."""

    def cut(self, start: int, length: int) -> "Taps":
        """Those of some pixels in a row."""
        rows = slice(start, start + length)
        return Taps(self.first[rows], self.counts[rows], self.weights[rows])


def resize_crop(
    rgb: Pixels, size: tuple[int, int], corner: tuple[int, int], crop: int, interpolation: str
) -> Pixels:
    """Cut a square from a resized image: `image.resize(size, interpolation).crop(...)`, exactly.

    rgb: (H, W, 3) uint8. size: width and height to resize to. corner: left and top of the square,
    which must lie inside. interpolation: "bicubic" or "bilinear", both widened where they shrink.
    Returns (crop, crop, 3) uint8.
    """
    (width, height), (left, top) = size, corner
    across = taps(rgb.shape[1], width, interpolation).cut(left, crop)
    down = taps(rgb.shape[0], height, interpolation).cut(top, crop)
    start, stop = int(down.first[0]), int(down.first[-1] + down.counts[-1])
    rows = along_rows(np.ascontiguousarray(rgb[start:stop]), *across)
    return along_columns(rows, down.first - np.int32(start), down.counts, down.weights)


@lru_cache(maxsize=1024)  # some 10 kB each; photographs come in few sizes
def taps(source: int, target: int, interpolation: str) -> Taps:
    """The pass that resizes `source` pixels to `target`, in Pillow's own arithmetic (Resample.c).

    Of a side that keeps its length, each pixel has a weight of one: Pillow leaves such a pass out.
    """
    kernel, radius = KERNELS[interpolation]
    scale = source / target
    widened = max(scale, 1.0)
    support = radius * widened
    centre = (np.arange(target) + 0.5) * scale
    first = np.maximum((centre - support + 0.5).astype(np.int32), 0)
    counts = np.minimum((centre + support + 0.5).astype(np.int32), source) - first
    offset = np.arange(2 * ceil(support) + 1)  # (most,)
    x = np.abs((offset + first[:, None] - centre[:, None] + 0.5) * (1.0 / widened))
    weights = np.where(offset < counts[:, None], kernel(x), 0.0)  # (target, most)
    weights /= np.cumsum(weights, 1)[:, -1:]  # added one by one, as Pillow does
    fixed = weights * (1 << BITS)
    rounded = np.trunc(np.where(fixed < 0, fixed - 0.5, fixed + 0.5)).astype(np.int32)
    return Taps(first, counts, rounded)


def bicubic(x: Floats) -> Floats:
    """Keys' kernel with a = -0.5, as Pillow evaluates it. x: distances >= 0."""
    a = -0.5
    near = ((a + 2.0) * x - (a + 3.0)) * x * x + 1
    far = (((x - 5) * x + 8) * x - 4) * a
    return np.where(x < 1.0, near, np.where(x < 2.0, far, 0.0))


def bilinear(x: Floats) -> Floats:
    """The triangle. x: distances >= 0."""
    return np.where(x < 1.0, 1.0 - x, 0.0)


KERNELS: dict[str, tuple[Callable[[Floats], Floats], float]] = {
    "bicubic": (bicubic, 2.0),
    "bilinear": (bilinear, 1.0),
}
"""The kernel, and its radius in pixels of the coarser image."""


def _array(dtype: types.Type, dimensions: int) -> types.Array:
    return types.Array(dtype, dimensions, "C", readonly=True)  # takes writable ones too


_ARGUMENTS = (
    _array(types.uint8, 3),
    _array(types.int32, 1),
    _array(types.int32, 1),
    _array(types.int32, 2),
)


def _compiled(function: Pass) -> Pass:
    """Compiled now, or read from numba's cache: before decoding processes are forked, and not while
    the first image waits."""
    signature = types.uint8[:, :, ::1](*_ARGUMENTS)
    try:
        return njit([signature], cache=True, nogil=True)(function)
    except RuntimeError:  # no folder where the result can be kept
        return njit([signature], nogil=True)(function)


@_compiled
def along_rows(rgb: Pixels, first: Ints, counts: Ints, weights: Ints) -> Pixels:
    """Resample each row. rgb: (h, W, 3) uint8. first, counts, weights: see `Taps`.

    Returns (h, len(first), 3) uint8.
    """
    height, width = rgb.shape[0], len(first)
    out = np.empty((height, width, 3), np.uint8)
    for y in range(height):
        for x in range(width):
            red = green = blue = np.int32(HALF)
            for t in range(counts[x]):
                weight, at = weights[x, t], first[x] + t
                red += weight * np.int32(rgb[y, at, 0])
                green += weight * np.int32(rgb[y, at, 1])
                blue += weight * np.int32(rgb[y, at, 2])
            out[y, x, 0] = min(max(red >> BITS, 0), 255)
            out[y, x, 1] = min(max(green >> BITS, 0), 255)
            out[y, x, 2] = min(max(blue >> BITS, 0), 255)
    return out


@_compiled
def along_columns(rgb: Pixels, first: Ints, counts: Ints, weights: Ints) -> Pixels:
    """Resample each column. rgb: (H, w, 3) uint8. first, counts, weights: see `Taps`.

    Returns (len(first), w, 3) uint8.
    """
    rows = rgb.reshape(rgb.shape[0], -1)
    height, length = len(first), rows.shape[1]
    out = np.empty((height, length), np.uint8)
    sums = np.empty(length, np.int32)
    for y in range(height):
        sums[:] = HALF
        for t in range(counts[y]):
            weight, row = weights[y, t], rows[first[y] + t]
            for x in range(length):  # compiled to vector instructions
                sums[x] += weight * np.int32(row[x])
        for x in range(length):
            out[y, x] = min(max(sums[x] >> BITS, 0), 255)
    return out.reshape(height, rgb.shape[1], 3)
