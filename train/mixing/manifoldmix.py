"""ManifoldMix: MixUp of hidden states instead of images."""

from dataclasses import dataclass

import numpy as np
import torch

from ...zoo.errors import UsageError
from ...zoo.nets.resnet import ResNet
from .draws import draw_lam, draw_permutation
from .mixed import Mixed
from .mixup import mixup

LAYERS = (0, 1, 2)
"""Where to mix: 0 the input, k the output of stage k. Never later, never between stem and stage 1."""


@dataclass(frozen=True)
class ManifoldmixDraw:
    """The random part of ManifoldMix: partners (N,) int64, weight of the original, layer."""

    perm: torch.Tensor
    lam: float
    layer: int


def draw_manifoldmix(rng: np.random.Generator, n: int, alpha: float) -> ManifoldmixDraw:
    """Draw lam from Beta(alpha, alpha), a permutation of n samples, and one of the layers 0, 1, 2.

    As in the reference, a sample may be its own partner. Raises `UsageError` unless alpha > 0.
    """
    lam = draw_lam(rng, alpha)
    return ManifoldmixDraw(draw_permutation(rng, n), lam, layer=int(rng.integers(len(LAYERS))))


def manifoldmix(
    backbone: ResNet, x: torch.Tensor, perm: torch.Tensor, lam: float, layer: int
) -> Mixed:
    """MixUp of what the network has made of the images (Verma et al., 2019, arXiv:1806.05236).

    x: (N, 3, H, W) float. perm: (N,) int64. lam: weight of the original, in [0, 1]. layer: where to
    mix, one of 0, 1, 2. The result's `images` are the mixed hidden states (N, C', H', W'), with
    gradients, its mask is of their size; go on with `backbone(mixed.images, start=layer)`.
    Nothing is modified. Raises `UsageError` for other shapes, dtypes or ranges.
    """
    if layer not in LAYERS:
        raise UsageError(f"expected a layer of {LAYERS}, got {layer}; draw it for this method")

    hidden = backbone(x, stop=layer) if layer else x
    return mixup(hidden, perm, lam)
