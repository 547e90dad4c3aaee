"""The losses of a training step of any method whose mixing isn't learnt."""

import torch
from torch import Tensor

from ..zoo.nets import Classifier
from .losses import mix_cross_entropy
from .metrics import acc, acc_mix
from .mixing import Draw, ManifoldmixDraw, PuzzlemixDraw, apply, input_saliency, manifoldmix


def mixed_losses(model: Classifier, x: Tensor, y: Tensor, draw: Draw) -> dict[str, Tensor]:
    """Mix a batch, classify it, and compare with the mixed labels.

    model: in training mode; only its batch norm's statistics are modified. x: (N, 3, H, W) float,
    normalised. y: (N,) int64. draw: made for this batch by `draw_method`.

    Returns scalars under the names of OpenMixup's logs: "loss", with gradients; "acc", against `y`
    alone, and "acc_mix", in percent. Raises what the method's apply function raises.
    """
    start = 0
    if isinstance(draw, ManifoldmixDraw):
        start = draw.layer
        mixed = manifoldmix(model.backbone, x, draw.perm, draw.lam, draw.layer)
    else:
        saliency = None
        if isinstance(draw, PuzzlemixDraw):
            # An input's gradient is too small for half precision.
            with torch.autocast(x.device.type, enabled=False):
                saliency = input_saliency(model, x, y)
        mixed = apply(draw, x, saliency)
    logits = model.head(model.backbone(mixed.images, start=start))  # (N, K)
    y_partner = y[mixed.perm]
    return {
        "loss": mix_cross_entropy(logits, y, y_partner, mixed.lam),
        "acc": acc(logits, y),
        "acc_mix": acc_mix(logits, y, y_partner, mixed.lam),
    }
