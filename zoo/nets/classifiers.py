"""Whole classifiers: one backbone and head, or the two backbones and four heads of AutoMix/SAMix.

Both have `architecture`, `num_classes`, `method`, `heads` (names, the default first), `head_name`
(the chosen one), `forward(x)` for its logits and `logits(x)` for those of all heads; and `remarks`,
sentences on what loaded weights aren't, though they seem to be. Of a row's weights, `classes` are
the classes' names by number, and `protocol` says which pixels they are evaluated on.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from itertools import chain
from typing import Self

import torch
from torch import Tensor, nn

from ..errors import UsageError
from ..manifest import Protocol
from .mixblock import (
    AutoMixBlock,
    MixBlock,
    SAMixBlock,
    UpSampling,
    blend,
    first_mask,
    pixels_per_feature,
)
from .resnet import ResNet, ResNetConfig

MASK_STAGE = 3  # the stage whose output the mix block sees (`mask_layer=2` in OpenMixup)
LAM_MARGIN = 0.08
NEW_STD = 0.01  # of the first weights of heads and mix blocks, as OpenMixup draws them
MIX_BLOCKS: dict[str, type[MixBlock]] = {"automix": AutoMixBlock, "samix": SAMixBlock}


@dataclass(frozen=True)
class MixedImages:
    """Images that a mix block mixed; with a leading axis L where a sweep over lam was asked for."""

    images: Tensor
    """(N, 3, H, W) or (L, N, 3, H, W), dtype and device of the images that were mixed."""

    mask: Tensor
    """(N, 1, H, W) or (L, N, 1, H, W) in [0, 1]: weight of the FIRST image at each pixel."""

    lam: Tensor
    """() or (L,) float32: the weight of the first image that was asked for."""


def draw_new(layer: nn.Module, rng: torch.Generator | None = None) -> None:
    """Draw a head's or mix block's first weights as OpenMixup does, in place: deviation 0.01."""
    if isinstance(layer, nn.Linear | nn.Conv2d):
        nn.init.normal_(layer.weight, std=NEW_STD, generator=rng)
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)


@contextmanager
def in_eval_mode(network: nn.Module) -> Iterator[None]:
    """The network in eval mode; after it every module's own mode is put back."""
    modes = [(module, module.training) for module in network.modules()]
    try:
        network.eval()
        yield
    finally:
        for module, training in modes:
            module.training = training


class Head(nn.Module):
    """Global average pooling and one linear layer."""

    def __init__(self, channels: int, num_classes: int) -> None:
        super().__init__()
        self.fc = nn.Linear(channels, num_classes)

    def forward(self, features: Tensor) -> Tensor:
        """features: (N, channels, h, w). Returns logits (N, num_classes)."""
        return self.fc(features.mean(dim=(2, 3)))


class Classifier(nn.Module):
    """One backbone, one head: what every method but AutoMix and SAMix trains."""

    method = "plain"
    heads = ("head0",)
    head_name = "head0"
    last = "head.fc"
    """Its last layer."""
    remarks: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    protocol: Protocol | None = None

    def __init__(self, config: ResNetConfig, num_classes: int) -> None:
        super().__init__()
        self.architecture = config.name
        self.num_classes = num_classes
        self.backbone = ResNet(config)
        self.head = Head(config.channels(4), num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """x: (N, 3, H, W) float, normalised. Returns logits (N, num_classes)."""
        return self.head(self.backbone(x))

    def through(self, x: Tensor, stage: int, change: Callable[[Tensor], Tensor]) -> Tensor:
        """Logits (N, num_classes), where what `stage` (0, the images, to 3) gave was changed."""
        hidden = self.backbone(x, stop=stage) if stage else x
        return self.head(self.backbone(change(hidden), start=stage))

    def logits(self, x: Tensor) -> dict[str, Tensor]:
        """{"head0": logits (N, num_classes)} of normalised images (N, 3, H, W)."""
        return {"head0": self(x)}

    def features(self, x: Tensor, *, maps: bool = False) -> Tensor:
        """What the head sees of normalised images (N, 3, H, W): (N, c), averaged over places.

        maps: (N, c, H / 32, W / 32) before that (H / 8 with the cifar stem), as `backbone(x)`.
        """
        found = self.backbone(x)
        return found if maps else found.mean(dim=(2, 3))

    def with_head(self, num_classes: int) -> Self:
        """A classifier of this backbone (a copy) and a new head for other classes, to be trained.

        Raises UsageError where the last layer isn't a linear one.
        """
        if num_classes < 1:
            raise UsageError(f"expected a head of 1 class or more, got {num_classes}")
        new = deepcopy(self)
        old = new.get_submodule(self.last)
        if not isinstance(old, nn.Linear):
            raise UsageError(
                f"{self.architecture}: expected a linear head, got a {type(old).__name__}. Make "
                "the network anew, with so many classes."
            )
        head = nn.Linear(old.in_features, num_classes, device=old.weight.device)
        draw_new(head)
        new.set_submodule(self.last, head)
        new.num_classes, new.classes = num_classes, ()
        return new


class MixClassifier(nn.Module):
    """AutoMix or SAMix: backbone q is trained, k follows it slowly and feeds the mix block.

    Each backbone has a head for unmixed images (`one`) and one for mixed images (`mix`).
    """

    heads = ("one_k", "mix_k", "one_q", "mix_q")
    remarks: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    protocol: Protocol | None = None

    def __init__(self, config: ResNetConfig, num_classes: int, method: str) -> None:
        super().__init__()
        self.architecture = config.name
        self.num_classes = num_classes
        self.method = method
        self.head_name = self.heads[0]
        self.mix_block = MIX_BLOCKS[method](config.channels(MASK_STAGE))
        self.backbone_q = ResNet(config)
        self.backbone_k = ResNet(config)
        for name in self.heads:
            self.add_module(f"head_{name}", Head(config.channels(4), num_classes))

    def forward(self, x: Tensor) -> Tensor:
        """Logits (N, num_classes) of the chosen head for normalised images (N, 3, H, W)."""
        return self._logits(x, (self.head_name,))[self.head_name]

    def logits(self, x: Tensor) -> dict[str, Tensor]:
        """Logits (N, num_classes) of every head; each backbone runs once. x: (N, 3, H, W)."""
        return self._logits(x, self.heads)

    def _logits(self, x: Tensor, names: Sequence[str]) -> dict[str, Tensor]:
        sides = {name[-1] for name in names}
        features = {side: self.get_submodule(f"backbone_{side}")(x) for side in sorted(sides)}
        return {name: self.get_submodule(f"head_{name}")(features[name[-1]]) for name in names}

    @property
    def backbone(self) -> nn.Module:
        """The backbone of the chosen head."""
        return self.get_submodule(f"backbone_{self.head_name[-1]}")

    def features(self, x: Tensor, *, maps: bool = False) -> Tensor:
        """What the chosen head sees, see `Classifier.features`."""
        return Classifier.features(self, x, maps=maps)  # type: ignore[arg-type]

    def with_head(self, num_classes: int) -> Classifier:
        """A classifier of the chosen head's backbone, see `Classifier.with_head`."""
        return self.single().with_head(num_classes)

    def single(self) -> Classifier:
        """A copy of the chosen head and its backbone alone: a classifier as any other method's."""
        new = Classifier(self.backbone_q.config, self.num_classes)
        new.backbone.load_state_dict(self.backbone.state_dict())
        new.head.load_state_dict(self.get_submodule(f"head_{self.head_name}").state_dict())
        return new.train(self.training).to(next(self.parameters()).device)

    def head_logits(self, name: str, x: Tensor) -> Tensor:
        """Logits (N, num_classes) of one head for normalised images (N, 3, H, W)."""
        return self._logits(x, (name,))[name]

    def side(self, side: str) -> Iterator[nn.Parameter]:
        """The parameters of one side, "q" or "k", in the same order for both."""
        parts = (
            self.get_submodule(f"{part}_{side}") for part in ("backbone", "head_one", "head_mix")
        )
        return chain.from_iterable(part.parameters() for part in parts)

    def mask_features(self, x: Tensor, *, whole: bool = False) -> Tensor:
        """What the mix block sees of images (N, 3, H, W): (N, c, H / mask_stride, W / mask_stride).

        whole: whether they pass the rest of k too, which moves its batch norm's statistics.
        """
        features = self.backbone_k(x, stop=MASK_STAGE)
        if whole:
            self.backbone_k(features, start=MASK_STAGE)
        return features

    @property
    def mask_stride(self) -> int:
        """Pixels per place of `mask_features`."""
        stem = self.backbone_k.config.stem
        return 2 ** (MASK_STAGE + 1 if stem == "imagenet" else MASK_STAGE - 1)

    @torch.no_grad()
    def mix(
        self,
        images: Tensor,
        lam: float | Sequence[float],
        perm: Tensor,
        *,
        up_sampling: UpSampling | None = None,
        lam_margin: float = LAM_MARGIN,
        mask_mean: float | None = None,
    ) -> MixedImages:
        """Mix each image with its partner as the released model does, in eval mode.

        images: (N, 3, H, W) float, normalised, sides multiples of 16 (4 for the cifar stem).
        lam: weight of the first image, in [0, 1], or several: a sweep reuses one feature pass.
        perm: (N,) int64. up_sampling: None is the method's own. lam_margin: where lam or 1 - lam
        is at most this, the mask is lam everywhere (plain MixUp); 0.08 in training. mask_mean:
        the mean that each mask is rescaled to; None leaves masks as they are (OpenMixup's
        `mask_adjust` is the probability of doing this in training, 0 in the released configs).
        Raises UsageError in training mode, for other lam, or for sides that don't fit.
        """
        if self.training:
            raise UsageError("mixing would change batch-norm statistics; call model.eval() first.")
        lams = list(lam) if isinstance(lam, Sequence) else [lam]
        if not lams or not all(0 <= one <= 1 for one in lams):
            raise UsageError(f"expected lam in [0, 1], or several, got {lam}")
        features = self.mask_features(images)
        scale = pixels_per_feature(images, features)
        masks = [
            first_mask(
                self.mix_block,
                features,
                perm,
                one,
                scale,
                up_sampling=up_sampling,
                mask_mean=mask_mean,
                lam_margin=lam_margin,
            ).to(images.dtype)
            for one in lams
        ]
        mixed = [blend(images, perm, mask) for mask in masks]
        weights = torch.tensor(lams, dtype=torch.float32)
        if isinstance(lam, Sequence):
            return MixedImages(torch.stack(mixed), torch.stack(masks), weights)
        return MixedImages(mixed[0], masks[0], weights[0])
