"""Any method by its name, at a lam that somebody chose: for pictures and demos, not for training."""

from dataclasses import replace
from math import sqrt

import numpy as np
import torch

from ...zoo.architectures import Classifier, MixClassifier
from ...zoo.errors import UsageError
from .methods import LEARNT_METHODS, Draw, apply, draw_method
from .mixed import Mixed
from .puzzlemix import PuzzlemixDraw, input_saliency

PICTURED = (
    "mixup",
    "cutmix",
    "saliencymix",
    "fmix",
    "resizemix",
    "puzzlemix",
    *LEARNT_METHODS,
)
"""Methods that mix images. ManifoldMix mixes hidden states, vanilla nothing."""


def mix_by_name(
    name: str,
    x: torch.Tensor,
    perm: torch.Tensor,
    lam: float,
    rng: np.random.Generator,
    model: Classifier | MixClassifier | None = None,
) -> Mixed:
    """Mix a batch by one method, partners and lam given, the rest of its draw from `rng`.

    name: one of PICTURED. x: (N, 3, H, W) float, normalised. perm: (N,) int64. lam: wanted weight of
    the original, in [0, 1]; a clipped box, a scale or an optimal mask give another label weight.
    model: in eval mode; PuzzleMix takes its saliency from any classifier (against the classes that
    it predicts), AutoMix and SAMix need one of theirs.
    Raises UsageError for another name, a model that is missing or of another method, or what the
    method raises.
    """
    if name not in PICTURED:
        raise UsageError(f"no method '{name}' that mixes images; choose from {', '.join(PICTURED)}")
    if name in LEARNT_METHODS:
        if not isinstance(model, MixClassifier) or model.method != name:
            raise UsageError(f"{name} mixes by learnt masks: expected a checkpoint of {name}")
        learnt = model.mix(x, lam, perm)
        return Mixed(learnt.images, perm, x.new_full((len(x),), lam), learnt.mask)
    draw = _at(draw_method(rng, name, tuple(x.shape), alpha=1.0), lam, perm)
    if not isinstance(draw, PuzzlemixDraw):
        return apply(draw, x)
    if model is None:
        raise UsageError("puzzlemix needs a classifier's saliency: expected a checkpoint")
    return apply(draw, x, input_saliency(model, x, model(x).argmax(1)))


def _at(draw: Draw, lam: float, perm: torch.Tensor) -> Draw:
    """The draw with these partners and this lam, which ResizeMix states as the patch's scale."""
    amount = {"scale": sqrt(1 - lam)} if hasattr(draw, "scale") else {"lam": lam}
    return replace(draw, perm=perm, **amount)  # type: ignore[arg-type]
