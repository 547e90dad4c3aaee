"""Mixing methods, each a draw and a pure apply."""

from .automix import AutomixDraw, MaskDraw, automix, draw_automix
from .cutmix import CutmixDraw, cutmix, draw_cutmix
from .draws import Variant
from .fmix import FmixDraw, draw_fmix, fmix
from .manifoldmix import ManifoldmixDraw, draw_manifoldmix, manifoldmix
from .methods import LEARNT_METHODS, METHODS, Draw, apply, draw_method
from .mixed import Mixed
from .mixture import Mixture, mixture
from .mixup import MixupDraw, draw_mixup, mixup
from .named import PICTURED, check_pictured, mix_by_name, sweep_by_name
from .puzzlemix import PuzzlemixDraw, draw_puzzlemix, input_saliency, puzzlemix
from .resizemix import ResizemixDraw, draw_resizemix, resizemix
from .saliencymix import SaliencymixDraw, draw_saliencymix, saliencymix
from .vanilla import VanillaDraw, vanilla

__all__ = [
    "LEARNT_METHODS",
    "METHODS",
    "PICTURED",
    "AutomixDraw",
    "CutmixDraw",
    "Draw",
    "FmixDraw",
    "ManifoldmixDraw",
    "MaskDraw",
    "Mixed",
    "Mixture",
    "MixupDraw",
    "PuzzlemixDraw",
    "ResizemixDraw",
    "SaliencymixDraw",
    "VanillaDraw",
    "Variant",
    "apply",
    "automix",
    "check_pictured",
    "cutmix",
    "draw_automix",
    "draw_cutmix",
    "draw_fmix",
    "draw_manifoldmix",
    "draw_method",
    "draw_mixup",
    "draw_puzzlemix",
    "draw_resizemix",
    "draw_saliencymix",
    "fmix",
    "input_saliency",
    "manifoldmix",
    "mix_by_name",
    "mixture",
    "mixup",
    "puzzlemix",
    "resizemix",
    "saliencymix",
    "sweep_by_name",
    "vanilla",
]
