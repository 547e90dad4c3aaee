"""FMix: masks of arbitrary shape, cut from low-frequency noise."""

import math
from dataclasses import dataclass

import numpy as np
import torch

from ...zoo.errors import UsageError
from .mixed import Mixed, Variant, check_batch, draw_lam, draw_partners, shared_mask, uniform_weight

DECAY_POWER = 3
"""How fast the noise falls with frequency: the paper's value and the released config's."""


@dataclass(frozen=True)
class FmixDraw:
    """The random part of FMix.

    perm: (N,) int64, partners. lam: share of pixels to keep. spectrum: complex half-spectrum of
    the noise, for an inverse real FFT to (H, W). round_up: whether lam * H * W pixels are rounded
    up or down.
    """

    perm: torch.Tensor
    lam: float
    spectrum: np.ndarray
    round_up: bool


def draw_fmix(
    rng: np.random.Generator, shape: tuple[int, ...], alpha: float, variant: Variant = "openmixup"
) -> FmixDraw:
    """Draw lam from Beta(alpha, alpha), the noise, the rounding, then a permutation.

    shape: of the batch, (N, C, H, W). "openmixup" has two differences from "paper": its noise
    fills only two columns of the spectrum (see `striped_spectrum`), and a permutation with fixed
    points is redrawn (see `draw_partners`). Raises `UsageError` unless alpha > 0 and the images
    are 2x2 pixels or more.
    """
    n, _, h, w = shape
    if h < 2 or w < 2:
        raise UsageError(f"expected images of 2x2 pixels or more, got {h}x{w}; use larger ones.")
    lam = draw_lam(rng, alpha)
    if variant == "paper":
        spectrum = smooth_spectrum(rng.standard_normal((h, w // 2 + 1, 2)), h, w)
    else:
        # an odd width has one more bin here than a real FFT has
        spectrum = striped_spectrum(rng.standard_normal((2, w // 2 + 1 + w % 2, 2)), h, w)
    round_up = bool(rng.random() > 0.5)
    return FmixDraw(draw_partners(rng, n, variant), lam, spectrum, round_up)


def smooth_spectrum(noise: np.ndarray, h: int, w: int) -> np.ndarray:
    """The paper's spectrum: complex Gaussian noise divided by frequency to the power 3.

    noise: (h, w // 2 + 1, 2) float64, real and imaginary parts. Returns (h, w // 2 + 1) complex128.
    """
    scale = _decay(np.fft.fftfreq(h), np.fft.fftfreq(w)[: w // 2 + 1], h, w)
    return scale * (noise[..., 0] + 1j * noise[..., 1])


def striped_spectrum(noise: np.ndarray, h: int, w: int) -> np.ndarray:
    """OpenMixup's spectrum.

    It takes the real part from row 0 and the imaginary part from row 1 of the noise, not from its
    last axis; what was meant as (real, imaginary) then acts as the two lowest horizontal
    frequencies, and what was meant as horizontal frequency as the vertical one.

    noise: (2, bins, 2) float64, rows 0 and 1 of the drawn noise, bins = w // 2 + 1, one more for
    odd w. Returns (bins, 2) complex128, to be zero-padded or cropped by the inverse FFT.
    """
    scale = _decay(np.fft.fftfreq(h)[:2], np.fft.fftfreq(w)[: noise.shape[1]], h, w)
    scaled = scale[..., None] * noise
    return scaled[0] + 1j * scaled[1]


def _decay(rows: np.ndarray, cols: np.ndarray, h: int, w: int) -> np.ndarray:
    """1 / frequency**3 on the grid of row and column frequencies, finite at frequency zero."""
    frequency = np.sqrt(cols * cols + rows[:, None] * rows[:, None])
    return 1 / np.maximum(frequency, 1 / max(h, w)) ** DECAY_POWER


def fmix(
    x: torch.Tensor,
    perm: torch.Tensor,
    lam: float,
    spectrum: np.ndarray,
    round_up: bool,
    max_soft: float = 0.0,
) -> Mixed:
    """Keep the brightest lam of a noise picture, fill the rest (Harris et al., 2020, 2002.12047).

    x: (N, C, H, W) float of any precision. perm: (N,) int64. lam: share of pixels to keep, in
    [0, 1]. spectrum, round_up: see `FmixDraw`. max_soft: share of pixels on either side of the
    mask's edge that blend linearly, 0 in the released config.

    One mask for the whole batch. The label weight is lam itself, which the mask's mean meets to
    within one pixel. `x` is not modified. Raises `UsageError` for other shapes, dtypes or ranges.
    """
    check_batch(x, perm, lam)

    perm = perm.to(x.device, non_blocking=True)
    grey = np.fft.irfft2(spectrum, s=x.shape[2:])  # (H, W)
    mask = torch.from_numpy(top_share(grey, lam, round_up, max_soft))
    mask = mask.to(x.device, x.dtype, non_blocking=True)
    images = mask * x + (1 - mask) * x[perm]
    return Mixed(images, perm, uniform_weight(x, lam), shared_mask(x, mask))


def top_share(grey: np.ndarray, lam: float, round_up: bool, max_soft: float) -> np.ndarray:
    """Ones on the brightest lam of a grey picture, zeros elsewhere: (H, W) float64.

    max_soft: as in `fmix`; cut down to the smaller of lam and 1 - lam.
    """
    size = grey.size
    kept = math.ceil(lam * size) if round_up else math.floor(lam * size)
    soft = int(size * min(max_soft, lam, 1 - lam))
    low, high = max(kept - soft, 0), min(kept + soft, size)
    by_rank = np.zeros(size)
    by_rank[:low] = 1
    by_rank[low:high] = np.linspace(1, 0, high - low)
    mask = np.empty(size)
    mask[grey.reshape(-1).argsort()[::-1]] = by_rank
    return mask.reshape(grey.shape)
