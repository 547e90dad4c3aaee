"""SaliencyMix: CutMix with the box around the most salient pixel of the partner."""

import math
from dataclasses import dataclass

import numpy as np
import torch

from ...zoo.errors import UsageError
from .box import box_around, paste_partner
from .draws import Variant, draw_lam, draw_permutation
from .mixed import Mixed, check_batch
from .normalization import denormalize


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
