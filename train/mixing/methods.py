"""One door to all mixing methods: by name, several in one run, or at a lam that somebody chose."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from difflib import get_close_matches
from math import sqrt

import numpy as np
import torch

from ...zoo.errors import UsageError
from ...zoo.nets import Classifier, MixClassifier
from .cutmix import (
    CutmixDraw,
    ResizemixDraw,
    SaliencymixDraw,
    cutmix,
    draw_cutmix,
    draw_resizemix,
    draw_saliencymix,
    resizemix,
    saliencymix,
)
from .fmix import FmixDraw, draw_fmix, fmix
from .mixed import Mixed, Variant, check_alpha
from .mixup import (
    ManifoldmixDraw,
    MixupDraw,
    VanillaDraw,
    draw_manifoldmix,
    draw_mixup,
    mixup,
    vanilla,
)
from .puzzlemix import PuzzlemixDraw, draw_puzzlemix, input_saliency, puzzlemix

Draw = (
    VanillaDraw
    | MixupDraw
    | CutmixDraw
    | ManifoldmixDraw
    | SaliencymixDraw
    | FmixDraw
    | PuzzlemixDraw
    | ResizemixDraw
)

_DRAWS: dict[str, Callable[[np.random.Generator, tuple[int, ...], float, Variant], Draw]] = {
    "vanilla": lambda rng, shape, alpha, variant: VanillaDraw(),
    "mixup": lambda rng, shape, alpha, variant: draw_mixup(rng, shape[0], alpha),
    "cutmix": draw_cutmix,
    "manifoldmix": lambda rng, shape, alpha, variant: draw_manifoldmix(rng, shape[0], alpha),
    "saliencymix": lambda rng, shape, alpha, variant: draw_saliencymix(
        rng, shape[0], alpha, variant
    ),
    "fmix": draw_fmix,
    "puzzlemix": lambda rng, shape, alpha, variant: draw_puzzlemix(rng, shape, alpha),
    "resizemix": draw_resizemix,
}

_APPLIES: dict[type, Callable[..., Mixed]] = {
    VanillaDraw: vanilla,
    MixupDraw: mixup,
    CutmixDraw: cutmix,
    SaliencymixDraw: saliencymix,
    FmixDraw: fmix,
    ResizemixDraw: resizemix,
}
"""A draw's fields are the further arguments of its method's function."""

METHODS = tuple(_DRAWS)
"""Names of the methods whose mixing isn't learnt, in the order of the benchmark's table."""

LEARNT_METHODS = ("automix", "samix")
"""Methods that learn their mask while the classifier trains: they have a pipeline of their own."""


def check_method(name: str) -> None:
    """Raise `UsageError` unless `name` is one of METHODS."""
    if name in LEARNT_METHODS:
        raise UsageError(
            f"{name} learns its masks beside a network and can't be drawn by name: train it alone "
            f"(in Python by mixzoo.AutoMix), or choose one of {', '.join(METHODS)}"
        )
    if name not in METHODS:
        raise UsageError(f"no mixing method '{name}'; choose one of {', '.join(METHODS)}")


def draw_method(
    rng: np.random.Generator,
    name: str,
    shape: tuple[int, ...],
    alpha: float,
    variant: Variant = "openmixup",
) -> Draw:
    """What method `name` draws for a batch of `shape` (N, C, H, W); see its own draw function.

    Raises `UsageError` for an unknown name, or what the method's draw raises.
    """
    check_method(name)
    return _DRAWS[name](rng, shape, alpha, variant)


def apply(draw: Draw, x: torch.Tensor, saliency: torch.Tensor | None = None) -> Mixed:
    """Mix images (N, C, H, W) with what was drawn for them.

    saliency: (N, H, W), needed for PuzzleMix only: see `input_saliency`. Raises `UsageError` if it
    is missing there, for a draw of ManifoldMix (it mixes inside the network: call `manifoldmix`),
    or what the method raises.
    """
    match draw:
        case ManifoldmixDraw():
            raise UsageError(
                "ManifoldMix mixes inside the network, not images; call manifoldmix with a "
                "backbone."
            )
        case PuzzlemixDraw(perm, lam, blocks):
            if saliency is None:
                raise UsageError("PuzzleMix needs saliency; compute it first with input_saliency.")
            return puzzlemix(x, perm, lam, blocks, saliency)
    return _APPLIES[type(draw)](x, **vars(draw))


def draw_mixture(
    rng: np.random.Generator,
    shape: tuple[int, ...],
    mix_mode: Sequence[str],
    alpha: Sequence[float],
    mix_prob: Sequence[float] | None = None,
    mix_repeat: int = 1,
    variant: Variant = "openmixup",
) -> tuple[Draw, ...]:
    """Choose `mix_repeat` of several methods and draw each for a batch of `shape` (N, C, H, W).

    The arguments bear the names of OpenMixup's configs. mix_mode: of METHODS; a name may stand
    twice with different alphas. alpha: of each method's Beta(alpha, alpha). mix_prob: of each
    method, summing to one; None is uniform. MixUp and CutMix with switching probabilities 0.4 and
    0.6 are `("mixup", "cutmix"), (0.8, 1.0), (0.4, 0.6)`.

    As in OpenMixup, a choice is drawn even when there is one method, and once a step has
    had vanilla its further repeats choose among the others.
    """
    candidates = list(range(len(mix_mode)))
    draws = []
    for _ in range(mix_repeat):
        chosen = int(rng.choice(candidates, p=mix_prob))
        draws.append(draw_method(rng, mix_mode[chosen], shape, alpha[chosen], variant))
        if mix_mode[chosen] == "vanilla":
            candidates.remove(chosen)
    return tuple(draws)


def check_mixture(
    mix_mode: Sequence[str],
    alpha: Sequence[float],
    mix_prob: Sequence[float] | None = None,
    mix_repeat: int = 1,
) -> None:
    """Raise `UsageError` for arguments of `draw_mixture` that don't fit together."""
    n = len(mix_mode)
    if not mix_mode:
        raise UsageError(f"expected a mixing method, got none; choose from {', '.join(METHODS)}")
    for name in mix_mode:
        check_method(name)
    if len(alpha) != n:
        raise UsageError(
            f"expected one alpha for each of {n} mix_mode, got {len(alpha)}; "
            "give both lists the same length."
        )
    for name, one in zip(mix_mode, alpha, strict=True):
        if name != "vanilla":
            check_alpha(one)
    if mix_prob is not None and (
        len(mix_prob) != n or min(mix_prob) < 0 or abs(sum(mix_prob) - 1) > 1e-8
    ):
        raise UsageError(
            f"expected mix_prob of {n} probabilities that sum to 1, one for each mix_mode, got "
            f"{list(mix_prob)} with sum {sum(mix_prob):g}; correct the list, or leave it out for "
            "equal probabilities."
        )
    # OpenMixup fails in these cases as soon as it has drawn vanilla
    used_up = mix_prob is not None or set(mix_mode) == {"vanilla"}
    if mix_repeat > 1 and "vanilla" in mix_mode and used_up:
        raise UsageError(
            f"vanilla is used once a step, so mix_repeat {mix_repeat} needs other methods "
            "and no mix_prob; drop 'vanilla' or mix_prob, or set mix_repeat to 1."
        )


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
        advice += f"{' C' if advice else 'c'}hoose from {', '.join(PICTURED)}."
        raise UsageError(f"no method '{name}' that mixes images; {advice}")
    if name in LEARNT_METHODS and (not isinstance(model, MixClassifier) or model.method != name):
        got = "got none" if model is None else f"got one of {model.method}"
        if model is not None and not isinstance(model, MixClassifier):
            got = "got one without a mix block"
        raise UsageError(
            f"{name} mixes by learnt masks: expected a checkpoint of {name}, {got}. Name one."
        )
    if name == "puzzlemix" and model is None:
        raise UsageError(
            "puzzlemix needs a classifier's saliency: expected a checkpoint, got none. Name one."
        )


def mix_by_name(
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
