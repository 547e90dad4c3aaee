"""Pillow's resampling to the last bit, for those pixels alone that a centre crop keeps.

Pillow resizes in two passes, along rows and then along columns. A pixel is a weighted sum of some
source pixels, with weights rounded to multiples of 2**-22 and the sum rounded to 8 bits, after
each pass. Products and sums of such numbers are exact in float64, in any order and on any
hardware, so a pass can be a few banded matrix products: only for the rows and columns that the
crop needs, and with vector instructions, which Pillow's loops have not. Source of the arithmetic:
Pillow, src/libImaging/Resample.c.

The row pass always comes first, as in the Pillow that the reference was recorded with (10.4).
Pillow 13 swaps the passes for pictures more than twice as tall as wide, which changes some of
their pixels by a few levels.
"""

import threading
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import torch

Pixels = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float64]

UNIT = 2.0**-22  # weights are multiples of it
BAND = 12  # outputs per product: the width of a float64 matrix kernel for AVX2
CHUNK = 2**20  # numbers that the row pass converts at a time: 8 MiB

_held = threading.local()


@dataclass(frozen=True)
class Band:
    """Neighbouring outputs of a pass, and the source pixels that they are summed from."""

    start: int
    """First source pixel."""
    stop: int
    """Last source pixel, plus one."""
    outputs: slice
    """Positions within the outputs asked for."""
    weights: torch.Tensor
    """(stop - start, outputs) float64."""


def resize_crop(
    rgb: Pixels, size: tuple[int, int], corner: tuple[int, int], crop: int, interpolation: str
) -> Pixels:
    """Cut a square from a resized image: `image.resize(size, interpolation).crop(...)`, exactly.

    rgb: (H, W, 3) uint8. size: width and height to resize to. corner: left and top of the square,
    which must lie inside. interpolation: "bicubic" or "bilinear", both widened where they shrink.
    Returns (crop, crop, 3) uint8, not contiguous.
    """
    columns = bands(rgb.shape[1], size[0], corner[0], crop, interpolation)
    rows = bands(rgb.shape[0], size[1], corner[1], crop, interpolation)
    left, top = columns[0].start, rows[0].start
    window = rgb[top : rows[-1].stop, left : columns[-1].stop]  # (h, w, 3)
    wide = _workspace("wide", 3 * window.shape[0], crop)  # (h * 3, crop)
    step = max(1, CHUNK // (3 * window.shape[1]))
    for at in range(0, window.shape[0], step):
        x = _planes(window[at : at + step])  # (<= step * 3, w)
        out = wide[3 * at : 3 * (at + step)]
        for band in columns:
            source = x[:, band.start - left : band.stop - left]
            torch.mm(source, band.weights, out=out[:, band.outputs])
    wide.add_(0.5).floor_().clamp_(0, 255)
    y = wide.view(-1, 3 * crop)  # (h, 3 * crop)
    square = _workspace("square", crop, 3 * crop)
    for band in rows:
        source = y[band.start - top : band.stop - top]
        torch.mm(band.weights.t(), source, out=square[band.outputs])
    levels = square.add_(0.5).clamp_(0, 255).to(torch.uint8)  # conversion drops the fraction
    return levels.numpy().reshape(crop, 3, crop).transpose(0, 2, 1)


def _planes(window: Pixels) -> torch.Tensor:
    """(h, w, 3) -> (h * 3, w) float64: per row of the picture its red, its green, its blue."""
    h, w, _ = window.shape
    planes = _workspace("planes", 3 * h, w)
    np.copyto(planes.view(h, 3, w).numpy(), window.transpose(0, 2, 1))
    return planes


def _workspace(name: str, rows: int, columns: int) -> torch.Tensor:
    """(rows, columns) float64, uninitialised, of this thread's memory for that name.

    Asking the system for fresh pages at every image would cost as much as the arithmetic.
    """
    size = rows * columns
    memory = getattr(_held, name, None)
    if memory is None or len(memory) < size:
        memory = torch.empty(size, dtype=torch.float64)
        if size <= 2 * CHUNK:  # what rare large images need isn't held on to
            setattr(_held, name, memory)
    return memory[:size].view(rows, columns)


@lru_cache(maxsize=512)
def bands(source: int, target: int, first: int, count: int, interpolation: str) -> tuple[Band, ...]:
    """The pass that resizes `source` pixels to `target` ones, for outputs first ... first + count."""
    starts, stops, weights = coefficients(source, target, first, count, interpolation)
    found = []
    for at in range(0, count, BAND):
        outputs = slice(at, min(at + BAND, count))
        start, stop = int(starts[at]), int(stops[outputs.stop - 1])
        matrix = np.zeros((outputs.stop - at, stop - start))
        for row, output in zip(matrix, range(at, outputs.stop), strict=True):
            length = stops[output] - starts[output]
            row[starts[output] - start :][:length] = weights[output, :length]
        found.append(Band(start, stop, outputs, torch.from_numpy(matrix.T.copy())))
    return tuple(found)


def coefficients(
    source: int, target: int, first: int, count: int, interpolation: str
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], Floats]:
    """Which source pixels each output is summed from, and with which weights.

    Returns first source pixel (count,), last one plus one (count,), and weights (count, K), zero
    beyond an output's pixels. Operations and their order are Pillow's `precompute_coeffs` and
    `normalize_coeffs_8bpc`.
    """
    kernel, radius = KERNELS[interpolation]
    scale = source / target
    widening = max(scale, 1.0)
    support = radius * widening
    centres = (np.arange(first, first + count) + 0.5) * scale  # (count,)
    starts = np.maximum((centres - support + 0.5).astype(np.int64), 0)
    stops = np.minimum((centres + support + 0.5).astype(np.int64), source)
    offsets = np.arange((stops - starts).max())  # (K,)
    distances = ((offsets + starts[:, None]) - centres[:, None] + 0.5) * (1.0 / widening)
    weights = np.where(offsets < (stops - starts)[:, None], kernel(distances), 0.0)  # (count, K)
    weights /= np.cumsum(weights, axis=1)[:, -1:]  # summed one by one; np.sum would sum pairwise
    levels = np.trunc(weights / UNIT + np.where(weights < 0, -0.5, 0.5))
    return starts, stops, levels * UNIT


def _cubic(x: Floats) -> Floats:
    """Keys' cubic convolution (1981, doi:10.1109/TASSP.1981.1163711) with a = -0.5."""
    a, x = -0.5, np.abs(x)
    near = ((a + 2.0) * x - (a + 3.0)) * x * x + 1
    far = (((x - 5) * x + 8) * x - 4) * a
    return np.where(x < 1, near, np.where(x < 2, far, 0.0))


def _triangle(x: Floats) -> Floats:
    return np.maximum(1.0 - np.abs(x), 0.0)


KERNELS = {"bicubic": (_cubic, 2.0), "bilinear": (_triangle, 1.0)}
