"""The momentum pipeline of AutoMix and SAMix: what one training step does to its three networks.

q is the classifier, k a slow copy of it, and the mix block makes the images. The block learns from
images that the frozen k has to classify, q from other images of the same block, and k follows q
(AutoMix, Liu et al., 2022, arXiv:2103.13027).
"""

from collections.abc import Iterator
from itertools import chain

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.optim.swa_utils import get_ema_multi_avg_fn

from ..zoo.errors import UsageError
from ..zoo.nets import MixClassifier
from ..zoo.nets.classifiers import LAM_MARGIN, MASK_STAGE
from ..zoo.nets.mixblock import mask_loss
from .losses import mix_cross_entropy
from .metrics import acc
from .mixing import AutomixDraw, automix


def automix_losses(
    model: MixClassifier,
    x: Tensor,
    y: Tensor,
    draw: AutomixDraw,
    mask_loss_weight: float,
    *,
    lam_margin: float = LAM_MARGIN,
    clean_statistics: bool = True,
) -> dict[str, Tensor]:
    """Mix a batch twice, classify both copies and the images, and compare with their labels.

    model: in training mode, after `freeze_k`; only its batch norm's statistics are modified.
    x: (N, 3, H, W) float, normalised, sides multiples of 16 (4 for the cifar stem). y: (N,) int64.
    draw: made for this batch by `draw_automix`. mask_loss_weight: 0.1 when training starts.
    lam_margin: see `mixblock.first_mask`. clean_statistics: see `recipe.Automix`.

    Returns scalars under the names of OpenMixup's logs and heads: "loss", with gradients, the sum
    of "head_mix_q" (of copy bb), "head_one_q" (of the images), "head_mix_k" (of copy mb) and the
    weight times "mask_loss" (of mb's masks; see `mixblock.mask_loss`); "acc_mix_q", "acc_one_q" and
    "acc_mix_k", against `y` alone, in percent.
    Raises `UsageError` for a k side that isn't frozen, or what `automix` raises.
    """
    if any(parameter.requires_grad for parameter in _side(model, "k")):
        raise UsageError(
            "expected a k side that only follows q, got one with gradients; "
            "call freeze_k(model) once, before training"
        )
    block, mb, bb = model.mix_block, draw.mb, draw.bb
    with torch.no_grad():
        features = model.backbone_k(x, stop=MASK_STAGE)
        if clean_statistics:
            model.backbone_k(features, start=MASK_STAGE)  # for its batch norm, as in OpenMixup
    mixed_mb = automix(x, features, block, mb.perm, mb.lam, mb.keep)
    mean = mb.lam if draw.adjust else None  # not bb's: as in OpenMixup
    with torch.no_grad():
        mixed_bb = automix(
            x, features, block, bb.perm, bb.lam, bb.keep, mask_mean=mean, lam_margin=lam_margin
        )
    mix_k = _logits(model, "mix_k", mixed_mb.images)
    one_q = _logits(model, "one_q", x)  # before mix_q: batch norm weighs the later more
    mix_q = _logits(model, "mix_q", mixed_bb.images)
    losses = {
        "head_mix_q": mix_cross_entropy(mix_q, y, y[mixed_bb.perm], mixed_bb.lam),
        "head_one_q": cross_entropy(one_q, y),
        "head_mix_k": mix_cross_entropy(mix_k, y, y[mixed_mb.perm], mixed_mb.lam),
    }
    of_masks = mask_loss(1 - mixed_mb.mask, mb.lam, block.loss)
    return {
        "loss": sum(losses.values(), start=mask_loss_weight * of_masks),
        **losses,
        "mask_loss": of_masks,
        "acc_mix_q": acc(mix_q, y),
        "acc_one_q": acc(one_q, y),
        "acc_mix_k": acc(mix_k, y),
    }


@torch.no_grad()
def copy_q_to_k(model: MixClassifier) -> None:
    """Make k's parameters those of q, in place, as they are when training starts."""
    for k, q in zip(_side(model, "k"), _side(model, "q"), strict=True):
        k.copy_(q)


def freeze_k(model: MixClassifier) -> None:
    """Keep gradients from the k side, in place: from now on it only follows q."""
    for parameter in _side(model, "k"):
        parameter.requires_grad_(False)


@torch.no_grad()
def momentum_update(model: MixClassifier, momentum: float) -> None:
    """Move the k side to momentum * k + (1 - momentum) * q, in place, after the optimizer's step.

    The backbone and both heads; parameters only, the statistics of k's batch norm are its own.
    momentum: in [0, 1], 0.999 when training starts.
    """
    k, q = (list[Tensor](_side(model, side)) for side in "kq")
    get_ema_multi_avg_fn(momentum)(k, q, 0)  # all at once: a few launches on a GPU, not hundreds


def _logits(model: MixClassifier, head: str, images: Tensor) -> Tensor:
    """Logits (N, K) of one head, such as "mix_k"."""
    features = model.get_submodule(f"backbone_{head[-1]}")(images)
    return model.get_submodule(f"head_{head}")(features)


def _side(model: MixClassifier, side: str) -> Iterator[nn.Parameter]:
    """The parameters of one side, "q" or "k", in the same order for both."""
    parts = (model.get_submodule(f"{part}_{side}") for part in ("backbone", "head_one", "head_mix"))
    return chain.from_iterable(part.parameters() for part in parts)
