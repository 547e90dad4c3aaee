"""The learnt mask generators of AutoMix and SAMix, and the arithmetic of their masks.

A block looks at the features of each image and of its partner and predicts, pixel by pixel, how
much of the partner the mixed image shows. Papers: AutoMix, Liu et al., 2022, arXiv:2103.13027;
SAMix, Li et al., 2021, arXiv:2111.15454. Parameter names are those of the released checkpoints.

Nothing here draws random numbers: lam, partners, up-sampling and dropout come from the caller.
"""

from collections import OrderedDict
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from ..errors import UsageError

UpSampling = Literal["nearest", "bilinear"]
MaskLoss = Literal["L1", "L1+Variance", "L2+Variance", "Sparsity"]


@dataclass(frozen=True)
class MixMask:
    """What a block predicts for a batch, with the maps it was made of."""

    second: Tensor
    """(N, 1, H, W) float32 in (0, 1): weight of the partner. The first image's is one minus it."""

    value: Tensor
    """(N, 1, h, w): what the block sees in the partner, before attention."""

    attention: Tensor
    """(N, h * w, h * w) float32: rows are places in the first image and sum to 1."""


class MixBlock(nn.Module):
    """What AutoMix and SAMix share: attention over places, up-sampling, sigmoid."""

    up_sampling: ClassVar[UpSampling]
    """How the released models enlarge their masks."""

    loss: ClassVar[MaskLoss]
    """The mask loss that the released models were trained with (margin 0.1)."""

    dropout: ClassVar[float]
    """Share of the value map that is dropped in training."""

    def embed(self, x: Tensor, partner: Tensor, lam: float) -> tuple[Tensor, Tensor, Tensor]:
        """Query and key (N, C / 2, h, w) and value (N, 1, h, w) of features (N, C, h, w)."""
        raise NotImplementedError

    def forward(
        self,
        features: Tensor,
        perm: Tensor,
        lam: float,
        scale: int,
        up_sampling: UpSampling | None = None,
        keep: Tensor | None = None,
    ) -> MixMask:
        """Predict the mask of each sample's partner.

        features: (N, C, h, w) float. perm: (N,) int64, the partner of each sample. lam: weight
        that the mask should leave to the first image, in [0, 1]; a sweep over lam calls this
        again with the same features. scale: pixels per feature; the mask is (h * scale,
        w * scale). up_sampling: None is the method's own. keep: (N, 1, h, w) of 0 and 1, the
        value map's dropout mask in training; None drops nothing. The attention and all after it
        run in fp32 also under autocast: half precision overflows there.
        """
        query, key, value = self.embed(features, features[perm], lam)
        if keep is not None:
            value = value * keep / (1 - self.dropout)
        with torch.autocast(features.device.type, enabled=False):
            query, key = (
                query.float().flatten(2).mT,
                key.float().flatten(2),
            )  # (N, hw, C/2), (N, C/2, hw)
            attention = ((query @ key) / query.shape[-1] ** 0.5).softmax(dim=-1)  # (N, hw, hw)
            logits = attention @ value.float().flatten(2).mT  # (N, hw, 1)
            logits = logits.mT.reshape(value.shape)
            # sigmoid comes last, so bilinear interpolates logits, without align_corners
            logits = nn.functional.interpolate(
                logits, scale_factor=scale, mode=up_sampling or self.up_sampling
            )
            return MixMask(torch.sigmoid(logits), value, attention)


class AutoMixBlock(MixBlock):
    """AutoMix: lam is one more input channel, and one projection makes queries and keys."""

    up_sampling = "nearest"
    loss = "L1"
    dropout = 0.0

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.value = nn.Conv2d(channels + 1, 1, 1)
        self.query = _projection(channels + 1, channels // 2)

    def embed(self, x: Tensor, partner: Tensor, lam: float) -> tuple[Tensor, Tensor, Tensor]:
        """See `MixBlock.embed`."""
        x, partner = _with_channel(x, lam), _with_channel(partner, 1 - lam)
        return self.query(x), self.query(partner), self.value(partner)


class SAMixBlock(MixBlock):
    """SAMix: lam scales the features, queries and keys see both images, the value is a network."""

    up_sampling = "bilinear"
    loss = "L1+Variance"
    dropout = 0.1

    def __init__(self, channels: int) -> None:
        super().__init__()
        hidden = channels // 2
        first = _named(
            conv=nn.Conv2d(channels, hidden, 1, bias=False), bn=nn.BatchNorm2d(hidden), elu=nn.ELU()
        )
        last = _named(conv=nn.Conv2d(hidden, 1, 1, bias=False))
        self.value = _named(conv=nn.Sequential(first, last))
        self.key = _projection(2 * channels, hidden)
        self.query = _projection(2 * channels, hidden)

    def embed(self, x: Tensor, partner: Tensor, lam: float) -> tuple[Tensor, Tensor, Tensor]:
        """See `MixBlock.embed`."""
        x, partner = x * (1 + lam), partner * (1 + (1 - lam))
        both = torch.cat([x, partner], dim=1)  # (N, 2C, h, w)
        return self.query(both), self.key(both), self.value(partner)


def mask_loss(second: Tensor, lam: float, loss: MaskLoss, margin: float = 0.1) -> Tensor:
    """How far masks miss their share of the mixed images, as a scalar that may be negative.

    second: (N, 1, H, W) masks of the partners. lam: share of the first image, in [0, 1]. Distances
    up to `margin` (squared for L2) are free. "+Variance" rewards masks with contrast; "Sparsity"
    punishes values away from 0 and 1. The mean and variance are those of the whole batch.
    """
    mean = second.mean()
    variance = ((second - mean) ** 2).mean()
    if loss == "Sparsity":
        return ((second * (1 - second)).mean() - margin).clamp(min=0)
    miss = (1 - mean - lam).abs()
    if loss == "L2+Variance":
        return (miss**2 - margin**2).clamp(min=0) - 2 * variance
    distance = (miss - margin).clamp(min=0)
    return distance - 2 * variance if loss == "L1+Variance" else distance


def first_mask(
    block: MixBlock,
    features: Tensor,
    perm: Tensor,
    lam: float,
    scale: int,
    *,
    up_sampling: UpSampling | None = None,
    keep: Tensor | None = None,
    mask_mean: float | None = None,
    lam_margin: float | None = None,
) -> Tensor:
    """The mask that images are mixed by: (N, 1, H, W) float32, weight of the FIRST image.

    Arguments up to `keep`: see `MixBlock.forward`. mask_mean: None, or what the mean of each mask
    is moved to. lam_margin: None, or how near to 0 or 1 lam makes the mask lam everywhere, which is
    plain MixUp and goes before `mask_mean`.
    """
    mask = 1 - block(features, perm, lam, scale, up_sampling, keep).second
    if mask_mean is not None:
        mask = rescale_mask(mask, mask_mean)
    if lam_margin is not None and inside_margin(lam, lam_margin):
        mask = torch.full_like(mask, lam)
    return mask


def rescale_mask(mask: Tensor, lam: float) -> Tensor:
    """Masks of the first images, moved so that each one's mean is lam.

    mask: (N, 1, H, W) in [0, 1]. Where the mean is above lam the mask shrinks towards 0, where it
    is below, its complement does; so values stay in [0, 1]. (OpenMixup's `mask_adjust`.)
    """
    mask = mask.clamp(1e-8, 1 - 1e-8)
    mean = mask.mean(dim=(1, 2, 3), keepdim=True)
    return torch.where(mean > lam, mask * (lam / mean), 1 - (1 - mask) * ((1 - lam) / (1 - mean)))


def inside_margin(lam: float, margin: float) -> bool:
    """Whether lam is so near 0 or 1 that mixing degenerates to plain MixUp (mask = lam)."""
    return lam <= margin or 1 - lam <= margin


def blend(images: Tensor, perm: Tensor, mask: Tensor) -> Tensor:
    """Mixed images: `mask` of each image and the rest of its partner.

    images: (N, C, H, W). perm: (N,) int64. mask: (N, 1, H, W), weight of the first image.
    """
    return mask * images + (1 - mask) * images[perm]


def pixels_per_feature(images: Tensor, features: Tensor) -> int:
    """The factor from features (N, C, h, w) to images (N, 3, H, W).

    Raises UsageError unless it is one whole number in both directions.
    """
    scale = images.shape[-1] // features.shape[-1]
    if images.shape[-2:] != tuple(side * scale for side in features.shape[-2:]):
        raise UsageError(
            f"expected images whose sides are multiples of the mask's cells, got "
            f"{tuple(images.shape[-2:])} pixels for {tuple(features.shape[-2:])} cells; "
            "resize them, for example to 224x224."
        )
    return scale


def _with_channel(x: Tensor, fill: float) -> Tensor:
    """(N, C, h, w) to (N, C + 1, h, w), the last channel all `fill`."""
    return torch.cat([x, x.new_full((len(x), 1, *x.shape[2:]), fill)], dim=1)


def _projection(inputs: int, outputs: int) -> nn.Sequential:
    return _named(conv=nn.Conv2d(inputs, outputs, 1))


def _named(**layers: nn.Module) -> nn.Sequential:
    """Layers one after the other, under the names that the checkpoints give them."""
    return nn.Sequential(OrderedDict(layers))
