"""One door to all mixing methods: draw by name, apply what was drawn."""

from collections.abc import Callable

import numpy as np
import torch

from ...zoo.errors import UsageError
from .cutmix import CutmixDraw, cutmix, draw_cutmix
from .draws import Variant
from .fmix import FmixDraw, draw_fmix, fmix
from .manifoldmix import ManifoldmixDraw, draw_manifoldmix
from .mixed import Mixed
from .mixup import MixupDraw, draw_mixup, mixup
from .puzzlemix import PuzzlemixDraw, draw_puzzlemix, puzzlemix
from .resizemix import ResizemixDraw, draw_resizemix, resizemix
from .saliencymix import SaliencymixDraw, draw_saliencymix, saliencymix
from .vanilla import VanillaDraw, vanilla

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

METHODS = tuple(_DRAWS)
"""Names of the methods whose mixing isn't learnt, in the order of the benchmark's table."""

LEARNT_METHODS = ("automix", "samix")
"""Methods that learn their mask while the classifier trains: they have a pipeline of their own."""


def check_method(name: str) -> None:
    """Raise `UsageError` unless `name` is one of METHODS."""
    if name in LEARNT_METHODS:
        raise UsageError(
            f"'{name}' learns its mask in a pipeline of its own and can't be drawn by name; "
            f"expected one of {', '.join(METHODS)}"
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
        case VanillaDraw():
            mixed = vanilla(x)
        case MixupDraw(perm, lam):
            mixed = mixup(x, perm, lam)
        case CutmixDraw(perm, lam, row, col):
            mixed = cutmix(x, perm, lam, row, col)
        case SaliencymixDraw(perm, lam, variant):
            mixed = saliencymix(x, perm, lam, variant)
        case FmixDraw(perm, lam, spectrum, round_up):
            mixed = fmix(x, perm, lam, spectrum, round_up)
        case PuzzlemixDraw(perm, lam, blocks):
            if saliency is None:
                raise UsageError("PuzzleMix needs saliency; compute it first with input_saliency")
            mixed = puzzlemix(x, perm, lam, blocks, saliency)
        case ResizemixDraw(perm, scale, row, col):
            mixed = resizemix(x, perm, scale, row, col)
        case ManifoldmixDraw():
            raise UsageError(
                "ManifoldMix mixes inside the network, not images; call manifoldmix with a backbone"
            )
    return mixed
