"""AutoMix and SAMix: images mixed by masks that a network learns to draw.

Papers: AutoMix, Liu et al., 2022, arXiv:2103.13027; SAMix, Li et al., 2021, arXiv:2111.15454. The
two differ in their mix block only (`zoo.nets.mixblock`); all here serves both.
"""

from dataclasses import dataclass

import numpy as np
import torch

from ...zoo.nets import MixClassifier
from ...zoo.nets.mixblock import (
    MixBlock,
    blend,
    first_mask,
    pixels_per_feature,
)
from .mixed import Mixed, check_alpha, check_batch, draw_permutation, uniform_weight


@dataclass(frozen=True)
class MaskDraw:
    """The random part of one mixed copy of a batch.

    perm: (N,) int64, partners. lam: weight of the original. keep: (N, 1, h, w) bool, the places of
    the features that dropout leaves; None where the block has no dropout (AutoMix).
    """

    perm: torch.Tensor
    lam: float
    keep: torch.Tensor | None


@dataclass(frozen=True)
class AutomixDraw:
    """The random part of a training step of AutoMix or SAMix, which mixes its batch twice.

    mb: the copy that trains the mix block. bb: the copy that trains the backbone. adjust: whether
    the masks of bb are rescaled.
    """

    mb: MaskDraw
    bb: MaskDraw
    adjust: bool


def draw_automix(
    rng: np.random.Generator,
    shape: tuple[int, ...],
    alpha: float,
    model: MixClassifier,
    mask_adjust: float = 0.0,
) -> AutomixDraw:
    """Draw what a training step of `model` needs for a batch of `shape` (N, C, H, W).

    In OpenMixup's order: both lams from Beta(alpha, alpha), that of mb first; the permutations,
    that of bb first, fixed points allowed; the dropout of mb, then of bb; and a number that decides
    on rescaling, with probability `mask_adjust` (0 in the released configs). OpenMixup also chooses
    an up-sampling and a factor of lam, from lists of one in the released configs: nothing is drawn
    for those. Raises `UsageError` unless alpha > 0.
    """
    check_alpha(alpha)
    lam_mb, lam_bb = (float(lam) for lam in rng.beta(alpha, alpha, 2))
    perm_bb, perm_mb = draw_permutation(rng, shape[0]), draw_permutation(rng, shape[0])
    mb = MaskDraw(perm_mb, lam_mb, _draw_keep(rng, shape, model))
    bb = MaskDraw(perm_bb, lam_bb, _draw_keep(rng, shape, model))
    return AutomixDraw(mb, bb, adjust=bool(rng.random() < mask_adjust))


def automix(
    x: torch.Tensor,
    features: torch.Tensor,
    block: MixBlock,
    perm: torch.Tensor,
    lam: float,
    keep: torch.Tensor | None = None,
    *,
    mask_mean: float | None = None,
    lam_margin: float | None = None,
) -> Mixed:
    """Mix each image with its partner by the mask that `block` makes of their features.

    x: (N, C, H, W) float. features: (N, c, h, w), of `x`, by `MixClassifier.mask_features`;
    H and W are the same multiple of h and w. perm: (N,) int64. lam: weight of the original, in
    [0, 1]: the label weight, and what the block is asked for. keep: see `MaskDraw`.

    mask_mean, lam_margin: see `mixblock.first_mask`; label weights stay lam in any case. Nothing is
    modified but the statistics of batch norm in a training block (SAMix); gradients reach `block`
    and whatever made its inputs. Raises `UsageError` for other shapes, dtypes or ranges.
    """
    check_batch(x, perm, lam)

    perm = perm.to(x.device, non_blocking=True)
    keep = None if keep is None else keep.to(x.device, non_blocking=True)
    scale = pixels_per_feature(x, features)
    mask = first_mask(
        block, features, perm, lam, scale, keep=keep, mask_mean=mask_mean, lam_margin=lam_margin
    ).to(x.dtype)
    return Mixed(blend(x, perm, mask), perm, uniform_weight(x, lam), mask)


def _draw_keep(
    rng: np.random.Generator, shape: tuple[int, ...], model: MixClassifier
) -> torch.Tensor | None:
    """Which places of the block's value map stay, for a batch of `shape`: (N, 1, h, w) bool."""
    dropout = model.mix_block.dropout
    if not dropout:
        return None
    n, _, h, w = shape
    stride = model.mask_stride
    return torch.from_numpy(rng.random((n, 1, h // stride, w // stride)) >= dropout)
