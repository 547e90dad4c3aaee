"""A box shows the partner: CutMix, SaliencyMix (its salient part), ResizeMix (all of it)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn.functional import interpolate

from ...zoo.errors import UsageError
from .mixed import (
    Mixed,
    Variant,
    check_batch,
    denormalize,
    draw_lam,
    draw_partners,
    draw_permutation,
)


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


@dataclass(frozen=True)
class CutmixDraw:
    """The random part of CutMix: partners (N,) int64, area share to keep, centre of the box."""

    perm: torch.Tensor
    lam: float
    row: int
    col: int


def draw_cutmix(
    rng: np.random.Generator, shape: tuple[int, ...], alpha: float, variant: Variant = "openmixup"
) -> CutmixDraw:
    """Draw lam from Beta(alpha, alpha), a permutation, and a uniform centre (row, then column).

    shape: of the batch, (N, C, H, W). variant: "openmixup" redraws a permutation with fixed points
    (see `draw_partners`), the paper draws it once. Raises `UsageError` unless alpha > 0.
    """
    n, _, h, w = shape
    return CutmixDraw(
        lam=draw_lam(rng, alpha),
        perm=draw_partners(rng, n, variant),
        row=int(rng.integers(h)),
        col=int(rng.integers(w)),
    )


def cutmix(x: torch.Tensor, perm: torch.Tensor, lam: float, row: int, col: int) -> Mixed:
    """Paste a box of the partner, one box for the whole batch (Yun et al., 2019, arXiv:1905.04899).

    x: (N, C, H, W) float of any precision. perm: (N,) int64. lam: share of the area to keep, in
    [0, 1]: the box has sqrt(1 - lam) of each side. row, col: its centre, in pixels.

    The box is clipped at the border and the label weight recomputed from what is left of it, as
    in the paper's pseudo-code, so it is at least lam. `x` is not modified.
    Raises `UsageError` for other shapes, dtypes or ranges.
    """
    check_batch(x, perm, lam)

    box = box_around(row, col, math.sqrt(1 - lam), *x.shape[2:])
    return paste_partner(x, perm, [box])


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
        raise UsageError(f"expected a scale in [0, 1], got {scale}; draw it with draw_resizemix.")

    perm = perm.to(x.device, non_blocking=True)
    box = box_around(row, col, scale, *x.shape[2:])
    images = x.clone()
    if box.area:
        size = (box.bottom - box.top, box.right - box.left)
        patch = interpolate(x[perm], size, mode="nearest")
        images[:, :, box.top : box.bottom, box.left : box.right] = patch
    return Mixed(images, perm, box_weight(x, [box]), box_mask(x, [box]))


@dataclass(frozen=True)
class SaliencymixDraw:
    """The random part of SaliencyMix: partners (N,) int64 and the area share to keep.

    The place of the box is not random: it follows the images, in the way of `variant`.
    """

    perm: torch.Tensor
    lam: float
    variant: Variant = "openmixup"


def draw_saliencymix(
    rng: np.random.Generator, n: int, alpha: float, variant: Variant = "openmixup"
) -> SaliencymixDraw:
    """Draw lam from Beta(alpha, alpha), then a permutation of n samples, fixed points allowed.

    variant: kept for `saliencymix`. Raises `UsageError` unless alpha > 0.
    """
    lam = draw_lam(rng, alpha)
    return SaliencymixDraw(draw_permutation(rng, n), lam, variant)


def saliencymix(
    x: torch.Tensor, perm: torch.Tensor, lam: float, variant: Variant = "openmixup"
) -> Mixed:
    """Paste the partner's box around its most salient pixel (Uddin et al., 2021, arXiv:2006.01791).

    x: (N, 3, H, W) float, normalised images. perm: (N,) int64. lam: share of the area to keep, in
    [0, 1]: the box has sqrt(1 - lam) of each side, is clipped at the border, and the label weight
    is recomputed from what is left of it.

    "openmixup", and the authors' own code: one box for the whole batch, from the saliency of sample
    `perm[0]` alone, computed on the normalised floats, which the detector cuts down to 8 bits.
    "paper": each sample has its own box, from the saliency of its own partner's pixels. `x` is not
    modified.

    Needs OpenCV's saliency module: `pip install 'mixzoo[saliency]'`. Raises `UsageError` without
    it, and for other shapes, dtypes or ranges.
    """
    check_batch(x, perm, lam)

    scale = math.sqrt(1 - lam)
    if variant == "paper":
        pixels = (denormalize(x) * 255).round().clamp(0, 255).byte()
        peaks = [_peak(saliency_map(pixels[partner])) for partner in perm.tolist()]
    else:
        peaks = [_peak(saliency_map(x[int(perm[0])].float()))]
    boxes = [box_around(*peak, scale, *x.shape[2:]) for peak in peaks]
    return paste_partner(x, perm, boxes)


def saliency_map(image: torch.Tensor) -> np.ndarray:
    """OpenCV's static fine-grained saliency of one image (Montabone and Soto, 2010).

    image: (3, H, W) uint8, or float32 as OpenMixup passes it. Returns (H, W) uint8, most salient
    255. Raises `UsageError` if OpenCV's saliency module isn't installed.
    """
    try:
        from cv2 import saliency
    except ImportError:
        raise UsageError(
            "SaliencyMix needs OpenCV's saliency module, which isn't installed; "
            "run: pip install 'mixzoo[saliency]'"
        ) from None
    detector = saliency.StaticSaliencyFineGrained.create()
    _, unit = detector.computeSaliency(image.permute(1, 2, 0).cpu().numpy())  # (H, W) in [0, 1]
    return (unit * 255).astype(np.uint8)


def _peak(saliency: np.ndarray) -> tuple[int, int]:
    """Row and column of the largest value, the first in row-major order."""
    row, col = np.unravel_index(np.argmax(saliency), saliency.shape)
    return int(row), int(col)
