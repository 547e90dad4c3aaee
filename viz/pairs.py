"""Two pictures mixed by a method of one's choice: pixels in, pixels and mask out."""

from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
import torch

from ..eval.protocol import normalise
from ..train.mixing import sweep_by_name
from ..zoo.manifest import Protocol
from ..zoo.nets import Classifier, MixClassifier

Pixels = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.floating]
Model = Classifier | MixClassifier

IMAGENET = Protocol(resize=256, crop=224)  # only its statistics count here
MASK_COLOURS = "cividis"  # even in lightness, and the same for colour-blind readers
HEAT_WEIGHT = 0.65  # of a map's colours over the grey picture


@dataclass(frozen=True)
class MixedPair:
    """A picture A mixed with a picture B.

    image: (H, W, 3) uint8. mask: (H, W) float32 in [0, 1], weight of A at each pixel. share: label
    weight of A, in [0, 1]. lam: the weight of A that was asked for. method: its name.
    """

    image: Pixels
    mask: Floats
    share: float
    lam: float
    method: str


def mix_pair(
    a: Pixels,
    b: Pixels,
    method: str,
    lams: Sequence[float],
    *,
    seed: int = 0,
    model: Model | None = None,
    protocol: Protocol = IMAGENET,
) -> list[MixedPair]:
    """Mix A with B by one method, once for each lam.

    a, b: (H, W, 3) uint8, of one shape. method: one of `train.mixing.PICTURED`. lams: weights of
    A, in [0, 1]. seed: of all that the method draws (a box's place, a spectrum, a grid), which
    depends on nothing else: neither lam nor other methods move it. model: in eval mode; any
    classifier for puzzlemix, one of its own method for automix and samix. protocol: whose mean and
    standard deviation the model was trained with. Raises UsageError as `sweep_by_name`.
    """
    x = normalise(torch.from_numpy(np.stack([a, b])), protocol)  # (2, 3, H, W)
    rng = np.random.default_rng([seed, *method.encode()])
    mixes = sweep_by_name(method, x, torch.tensor([1, 0]), lams, rng, model)
    return [
        MixedPair(
            image=to_pixels(mixed.images[:1], protocol)[0],
            mask=mixed.mask[0, 0].float().numpy(),
            share=float(mixed.lam[0]),
            lam=lam,
            method=method,
        )
        for mixed, lam in zip(mixes, lams, strict=True)
    ]


def to_pixels(x: torch.Tensor, protocol: Protocol) -> Pixels:
    """Undo `eval.protocol.normalise`, to the grey level.

    x: (N, 3, H, W) float, normalised. Returns (N, H, W, 3) uint8; what lies outside is clipped.
    """
    mean = x.new_tensor(protocol.mean).view(3, 1, 1)
    std = x.new_tensor(protocol.std).view(3, 1, 1)
    pixels = (x * std + mean).clamp(0, 1).mul(255).round().byte()
    return pixels.permute(0, 2, 3, 1).contiguous().cpu().numpy()


def heat_over(image: Pixels, heat: Floats) -> Pixels:
    """A map as colours over the grey picture: for a mask, yellow is A and blue is B.

    image: (H, W, 3) uint8. heat: (H, W) in [0, 1]. Returns (H, W, 3) uint8.
    """
    grey = image.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601
    colours = 255 * mpl.colormaps[MASK_COLOURS](np.asarray(heat))[..., :3]
    return np.rint(HEAT_WEIGHT * colours + (1 - HEAT_WEIGHT) * grey[..., None]).astype(np.uint8)


def enlarged(heat: Floats, side: tuple[int, int]) -> Floats:
    """A coarse map (h, w) at the pixels of a picture, (H, W), bilinear."""
    x = torch.from_numpy(np.asarray(heat, dtype=np.float32))[None, None]
    return torch.nn.functional.interpolate(x, side, mode="bilinear", align_corners=False)[
        0, 0
    ].numpy()


def stretched(heat: Floats) -> Floats:
    """A map moved and scaled to [0, 1]; one half everywhere if it is even."""
    low, high = heat.min(), heat.max()
    return (heat - low) / (high - low) if high > low else np.full_like(heat, 0.5)
