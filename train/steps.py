"""What one step of training does to a micro batch, behind one face for all ten methods.

Losses and accuracies have the names of OpenMixup's logs, and accuracies are in percent.
"""

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from ..zoo.errors import UsageError
from ..zoo.nets import Classifier, MixClassifier
from ..zoo.nets.mixblock import mask_loss
from ..zoo.nets.resnet import ResNet
from .mixing import (
    AutomixDraw,
    Draw,
    Variant,
    apply,
    automix,
    draw_automix,
    draw_mixture,
    input_saliency,
    manifoldmix,
    mix_cross_entropy,
)
from .mixing.mixup import ManifoldmixDraw
from .mixing.puzzlemix import PuzzlemixDraw
from .network import momentum_update
from .recipe import Automix, Recipe

UNTIL_FORGOTTEN = 256
"""Micro batches of a side, two passes each, after which the running statistics of its batch norms
are the same bits, whatever they were before: a pass moves them by a tenth, 0.9 ** 512 is 4e-24."""


class MixedStep(nn.Module):
    """The step of a method whose mixing isn't learnt, or of a mixture of such methods.

    Its parameters are the model's; a call gives the losses of a micro batch.
    """

    heads = ("head0",)
    """The classification heads in the order of OpenMixup's logs."""
    head_prefix = ""
    """What those logs write before their names."""
    ahead = 0
    """Micro batches of this process from now to the next validation, 0 where that isn't known."""

    def __init__(self, model: Classifier, recipe: Recipe) -> None:
        super().__init__()
        self.model = model
        self.recipe = recipe
        mixes = set(recipe.mix_mode) != {"vanilla"}
        self.logged = ("loss", "acc", "acc_mix") if mixes else ("loss", "acc")
        """Which of the losses a train line of the log shows, as OpenMixup's logs do."""

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> tuple[Draw, ...]:
        """Everything random for a micro batch of `shape` (N, 3, H, W): one draw for each repeat."""
        one = self.recipe
        return draw_mixture(
            rng, shape, one.mix_mode, one.alpha, one.mix_prob, one.mix_repeat, one.variant
        )

    def forward(
        self, x: Tensor, y: Tensor, draw: tuple[Draw, ...], mask_loss_weight: float
    ) -> dict[str, Tensor]:
        """Scalars by name, the mean over the repeats of `mixed_losses`; "loss" has gradients.

        x: (N, 3, H, W) normalised. y: (N,) int64. mask_loss_weight: not used here.
        """
        repeats = [mixed_losses(self.model, x, y, one, self.recipe.variant) for one in draw]
        return {name: torch.stack([r[name] for r in repeats]).mean() for name in repeats[0]}

    def follow(self, momentum: float) -> None:
        """What happens after the optimizer's step: nothing follows here."""


class AutomixStep(nn.Module):
    """The step of AutoMix and SAMix, with the same face."""

    logged = ("loss", "acc_mix_q", "acc_one_q", "acc_mix_k")
    heads = ("mix_k", "one_k", "mix_q", "one_q")
    head_prefix = "acc_"
    ahead = 0

    def __init__(self, model: MixClassifier, recipe: Recipe) -> None:
        super().__init__()
        self.model = model
        self.alpha, self.own = recipe.alpha[0], recipe.automix

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> AutomixDraw:
        """Both weights, partners and dropouts: see `draw_automix`."""
        return draw_automix(rng, shape, self.alpha, self.model, self.own.mask_adjust)

    def forward(
        self, x: Tensor, y: Tensor, draw: AutomixDraw, mask_loss_weight: float
    ) -> dict[str, Tensor]:
        """See `automix_losses`.

        Clean images pass k's last stage for its statistics alone, and only a validation reads
        those: where it will have forgotten them, they don't.
        """
        own, k = self.own, self.model.backbone_k
        if own.clean_statistics and self.ahead > UNTIL_FORGOTTEN and isinstance(k, ResNet):
            own = replace(own, clean_statistics=False)
            for name, buffer in k.layer4.named_buffers() if k.training else ():
                if name.endswith("num_batches_tracked"):
                    buffer.add_(1)  # as if they had
        return automix_losses(self.model, x, y, draw, mask_loss_weight, own)

    def follow(self, momentum: float) -> None:
        """k moves towards q."""
        momentum_update(self.model, momentum)


def step_of(model: Classifier | MixClassifier, recipe: Recipe) -> MixedStep | AutomixStep:
    """The recipe's step for its network."""
    if isinstance(model, MixClassifier):
        return AutomixStep(model, recipe)
    return MixedStep(model, recipe)


def mixed_losses(
    model: Classifier, x: Tensor, y: Tensor, draw: Draw, variant: Variant = "openmixup"
) -> dict[str, Tensor]:
    """Mix a batch, classify it, and compare with the mixed labels.

    model: in training mode; only its batch norm's statistics are modified. x: (N, 3, H, W) float,
    normalised. y: (N,) int64. draw: made for this batch by `draw_method`. variant: see
    `mix_cross_entropy`.

    Returns scalars under the names of OpenMixup's logs: "loss", with gradients; "acc", against `y`
    alone, and "acc_mix", in percent. Raises what the method's apply function raises.
    """
    if isinstance(draw, ManifoldmixDraw):
        mixed, logits = manifoldmix(model, x, draw.perm, draw.lam, draw.layer)
    else:
        saliency = None
        if isinstance(draw, PuzzlemixDraw):
            # An input's gradient is too small for half precision.
            with torch.autocast(x.device.type, enabled=False):
                saliency = input_saliency(model, x, y)
        mixed = apply(draw, x, saliency)
        logits = model(mixed.images)  # (N, K)
    y_partner = y[mixed.perm]
    return {
        "loss": mix_cross_entropy(logits, y, y_partner, mixed.lam, variant),
        "acc": acc(logits, y),
        "acc_mix": acc_mix(logits, y, y_partner, mixed.lam),
    }


def automix_losses(
    model: MixClassifier,
    x: Tensor,
    y: Tensor,
    draw: AutomixDraw,
    mask_loss_weight: float,
    own: Automix,
) -> dict[str, Tensor]:
    """Mix a batch twice, classify both copies and the images, and compare with their labels.

    The mix block learns from images that the frozen k has to classify, q from other images of the
    same block.

    model: in training mode, after `freeze_k`; only its batch norm's statistics are modified.
    x: (N, 3, H, W) float, normalised, sides multiples of 16 (4 for the cifar stem). y: (N,) int64.
    draw: made for this batch by `draw_automix`. mask_loss_weight: 0.1 when training starts.
    own: of the recipe; its lam_margin and clean_statistics.

    Returns scalars under the names of OpenMixup's logs and heads: "loss", with gradients, the sum
    of "head_mix_q" (of copy bb), "head_one_q" (of the images), "head_mix_k" (of copy mb) and the
    weight times "mask_loss" (of mb's masks; see `mixblock.mask_loss`); "acc_mix_q", "acc_one_q" and
    "acc_mix_k", against `y` alone, in percent.
    Raises `UsageError` for a k side that isn't frozen, or what `automix` raises.
    """
    if any(parameter.requires_grad for parameter in model.side("k")):
        raise UsageError(
            "expected a k side that only follows q, got one with gradients; "
            "call freeze_k(model) once, before training."
        )
    block, mb, bb = model.mix_block, draw.mb, draw.bb
    with torch.no_grad():
        whole = own.clean_statistics and model.backbone_k.training  # whole as in OpenMixup
        features = model.mask_features(x, whole=whole)
    mixed_mb = automix(x, features, block, mb.perm, mb.lam, mb.keep)
    mean = mb.lam if draw.adjust else None  # not bb's: as in OpenMixup
    with torch.no_grad():
        mixed_bb = automix(
            x, features, block, bb.perm, bb.lam, bb.keep, mask_mean=mean, lam_margin=own.lam_margin
        )
    mix_k = model.head_logits("mix_k", mixed_mb.images)
    one_q = model.head_logits("one_q", x)  # before mix_q: batch norm weighs the later more
    mix_q = model.head_logits("mix_q", mixed_bb.images)
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


def acc(logits: Tensor, y: Tensor, k: int = 1) -> Tensor:
    """Percentage of samples whose label is among the k highest scores: a scalar float32.

    logits: (N, K) float. y: (N,) int64. Between equal scores the order is unspecified. In training
    on mixed images OpenMixup's `acc` takes the own labels only.
    """
    hits = logits.topk(k, dim=1).indices == y[:, None]
    return 100 * hits.any(1).float().mean()


def acc_mix(logits: Tensor, y: Tensor, y_partner: Tensor, lam: Tensor) -> Tensor:
    """Percentage of mixed labels found in their order: a scalar float32.

    The label with the larger weight counts where it has the highest score, the other where it has
    the second highest, each with its weight. As in OpenMixup, which of them is larger is decided
    once for the batch, by the mean of lam; at exactly one half it is the partner's.

    logits: (N, K) float, K > 1. y, y_partner: (N,) int64. lam: (N,) float, weight of `y`.
    """
    weight = lam.mean()
    first, second = logits.topk(2, dim=1).indices.T
    own_leads = weight > 0.5
    own = (torch.where(own_leads, first, second) == y).float().mean()
    partner = (torch.where(own_leads, second, first) == y_partner).float().mean()
    return 100 * (weight * own + (1 - weight) * partner)
