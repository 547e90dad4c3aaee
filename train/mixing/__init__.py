"""Mixing methods, each a pure function of images and of what was drawn for them."""

from .automix import AutomixDraw, automix, draw_automix
from .cutmix import cutmix, resizemix, saliencymix
from .fmix import fmix
from .methods import (
    LEARNT_METHODS,
    METHODS,
    PICTURED,
    Draw,
    apply,
    check_mixture,
    check_pictured,
    draw_method,
    draw_mixture,
    mix_by_name,
)
from .mixed import Mixed, Variant, mix_cross_entropy
from .mixer import Mixer, Target
from .mixup import manifoldmix, mixup, vanilla
from .puzzlemix import input_saliency, puzzlemix

__all__ = [
    "LEARNT_METHODS",
    "METHODS",
    "PICTURED",
    "AutomixDraw",
    "Draw",
    "Mixed",
    "Mixer",
    "Target",
    "Variant",
    "apply",
    "automix",
    "check_mixture",
    "check_pictured",
    "cutmix",
    "draw_automix",
    "draw_method",
    "draw_mixture",
    "fmix",
    "input_saliency",
    "manifoldmix",
    "mix_by_name",
    "mix_cross_entropy",
    "mixup",
    "puzzlemix",
    "resizemix",
    "saliencymix",
    "vanilla",
]
