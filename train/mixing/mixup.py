"""Convex combinations: MixUp of images, ManifoldMix of hidden states, vanilla of nothing."""

from dataclasses import dataclass

import numpy as np
import torch

from ...zoo.errors import UsageError
from ...zoo.nets import Classifier
from .mixed import Mixed, check_batch, draw_lam, draw_permutation, shared_mask, uniform_weight


@dataclass(frozen=True)
class VanillaDraw:
    """The random part of not mixing: nothing."""


def vanilla(x: torch.Tensor) -> Mixed:
    """The batch as it is: every sample its own partner with label weight 1 and a mask of ones.

    x: (N, C, H, W) float. The returned images are `x` itself, not a copy. Raises `UsageError` for
    other shapes or dtypes.
    """
    perm = torch.arange(len(x), device=x.device)
    check_batch(x, perm)

    return Mixed(x, perm, uniform_weight(x, 1.0), shared_mask(x, torch.tensor(1.0)))


@dataclass(frozen=True)
class MixupDraw:
    """The random part of MixUp: partners (N,) int64 and the weight of the original."""

    perm: torch.Tensor
    lam: float


def draw_mixup(rng: np.random.Generator, n: int, alpha: float) -> MixupDraw:
    """Draw lam from Beta(alpha, alpha), then a permutation of n samples.

    As in the reference, a sample may be its own partner. Raises `UsageError` unless alpha > 0.
    """
    lam = draw_lam(rng, alpha)
    return MixupDraw(perm=draw_permutation(rng, n), lam=lam)


def mixup(x: torch.Tensor, perm: torch.Tensor, lam: float) -> Mixed:
    """Convex combination of each image with its partner (Zhang et al., 2018, arXiv:1710.09412).

    x: (N, C, H, W) float of any precision. perm: (N,) int64, the partner of each sample.
    lam: weight of the original, in [0, 1]. The mask is lam everywhere. `x` is not modified.
    Raises `UsageError` for other shapes, dtypes or ranges.
    """
    check_batch(x, perm, lam)

    perm = perm.to(x.device, non_blocking=True)
    # (1 - lam) is taken in double precision: bit-identical to the reference
    images = lam * x + (1 - lam) * x[perm]
    return Mixed(images, perm, uniform_weight(x, lam), shared_mask(x, torch.tensor(lam)))


LAYERS = (0, 1, 2)
"""Where to mix: 0 the input, k the output of stage k. Never later, nor between stem and stage 1."""


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
    model: Classifier, x: torch.Tensor, perm: torch.Tensor, lam: float, layer: int
) -> tuple[Mixed, torch.Tensor]:
    """MixUp of what the network has made of the images (Verma et al., 2019, arXiv:1806.05236).

    model: classifies them on the way, in one pass. x: (N, 3, H, W) float. perm: (N,) int64. lam:
    weight of the original, in [0, 1]. layer: where to mix, one of 0, 1, 2. Returns what was mixed,
    whose `images` are the hidden states (N, C', H', W') and whose mask is of their size, and the
    logits (N, K), both with gradients. Only batch norm's statistics are modified. Raises
    `UsageError` for other shapes, dtypes or ranges, or a network that shows no such layer.
    """
    if layer not in LAYERS:
        raise UsageError(f"expected a layer of {LAYERS}, got {layer}; draw it for this method.")
    inside: list[Mixed] = []

    def mix(hidden: torch.Tensor) -> torch.Tensor:
        inside.append(mixup(hidden, perm, lam))
        return inside[-1].images

    logits = model.through(x, layer, mix)
    return inside[-1], logits
