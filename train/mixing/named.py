"""Any method by its name, at a lam that somebody chose: for pictures and demos, not for training."""

from collections.abc import Sequence
from dataclasses import replace
from difflib import get_close_matches
from math import sqrt

import numpy as np
import torch

from ...zoo.errors import UsageError
from ...zoo.nets import Classifier, MixClassifier
from .methods import LEARNT_METHODS, METHODS, Draw, apply, draw_method
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


def check_pictured(name: str, model: Classifier | MixClassifier | None) -> None:
    """Raise UsageError unless `name` is one of PICTURED and `model` can serve it."""
    if name not in PICTURED:
        meant = get_close_matches(name, PICTURED, n=1)
        advice = f"did you mean '{meant[0]}'?" if meant and name not in METHODS else ""
        advice += f"{' C' if advice else 'c'}hoose from {', '.join(PICTURED)}"
        raise UsageError(f"no method '{name}' that mixes images; {advice}")
    if name in LEARNT_METHODS and (not isinstance(model, MixClassifier) or model.method != name):
        got = "got none" if model is None else f"got one of {model.method}"
        if model is not None and not isinstance(model, MixClassifier):
            got = "got one without a mix block"
        raise UsageError(f"{name} mixes by learnt masks: expected a checkpoint of {name}, {got}")
    if name == "puzzlemix" and model is None:
        raise UsageError("puzzlemix needs a classifier's saliency: expected a checkpoint, got none")


def mix_by_name(
    name: str,
    x: torch.Tensor,
    perm: torch.Tensor,
    lam: float,
    rng: np.random.Generator,
    model: Classifier | MixClassifier | None = None,
) -> Mixed:
    """Mix a batch by one method at one lam; otherwise as `sweep_by_name`."""
    return sweep_by_name(name, x, perm, [lam], rng, model)[0]


def sweep_by_name(
    name: str,
    x: torch.Tensor,
    perm: torch.Tensor,
    lams: Sequence[float],
    rng: np.random.Generator,
    model: Classifier | MixClassifier | None = None,
) -> list[Mixed]:
    """Mix a batch by one method at each lam, partners given, the rest of its one draw from `rng`.

    name: one of PICTURED. x: (N, 3, H, W) float, normalised. perm: (N,) int64. lams: wanted weights
    of the original, in [0, 1]; a clipped box, a scale or an optimal mask give another label
    weight. model: in eval mode; PuzzleMix takes its saliency from any classifier (against the
    classes that it predicts), AutoMix and SAMix need one of theirs. Features and saliency are
    computed once for all lams.
    Raises UsageError for another name, a model that is missing or of another method, or what the
    method raises.
    """
    check_pictured(name, model)
    if name in LEARNT_METHODS:
        assert isinstance(model, MixClassifier)
        learnt = model.mix(x, list(lams), perm)
        return [
            Mixed(images, perm, x.new_full((len(x),), lam), mask)
            for images, mask, lam in zip(learnt.images, learnt.mask, lams, strict=True)
        ]
    draw = draw_method(rng, name, tuple(x.shape), alpha=1.0)
    saliency = None
    if isinstance(draw, PuzzlemixDraw):
        assert model is not None
        with torch.no_grad():
            predicted = model(x).argmax(1)
        saliency = input_saliency(model, x, predicted)
    return [apply(_at(draw, lam, perm), x, saliency) for lam in lams]


def _at(draw: Draw, lam: float, perm: torch.Tensor) -> Draw:
    """The draw with these partners and this lam, which ResizeMix states as the patch's scale."""
    if not 0 <= lam <= 1:
        raise UsageError(f"expected lam in [0, 1], got {lam}")
    amount = {"scale": sqrt(1 - lam)} if hasattr(draw, "scale") else {"lam": lam}
    return replace(draw, perm=perm, **amount)  # type: ignore[arg-type]
