"""What the Mix tab shows of two pictures, computed; nothing here knows of a page."""

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch

from ...eval.protocol import normalise
from ...train.mixing import LEARNT_METHODS, PICTURED
from ...viz.mix import MixedPair, mix_pair
from ...zoo.cache import data_path
from ...zoo.catalog import Benchmark
from ...zoo.errors import DataError
from ...zoo.mini import species
from ...zoo.nets import Classifier, MixClassifier
from ..viz import inputs
from .snippets import Recipe

TOP = 5


Guesses = tuple[tuple[str, float], ...]
"""The first classes of a classifier, the likeliest first: (name, probability in [0, 1])."""


@dataclass(frozen=True)
class Look:
    """Two pictures mixed, and what the classifier takes A, the mix and B for."""

    pair: MixedPair
    a: Guesses
    mixed: Guesses
    b: Guesses


def look(recipe: Recipe, model: Classifier | MixClassifier, names: Sequence[str]) -> Look:
    """Mix two pictures and classify all three. names: of the model's classes, by index.

    The classifier sees the mix as a file would hold it, rounded to 8 bits. Raises what
    `viz.mix_pair` raises.
    """
    a, b, protocol = recipe.a.crop, recipe.b.crop, recipe.protocol
    pair = mix_pair(
        a, b, recipe.method, [recipe.lam], seed=recipe.seed, model=model, protocol=protocol
    )[0]
    x = normalise(torch.from_numpy(np.stack([a, pair.image, b])), protocol)  # (3, 3, S, S)
    with torch.inference_mode():
        probabilities, classes = model(x).softmax(1).topk(min(TOP, model.num_classes))
    told: list[Guesses] = [
        tuple((names[int(c)], p) for c, p in zip(row, ps, strict=True))
        for row, ps in zip(classes.tolist(), probabilities.tolist(), strict=True)
    ]
    return Look(pair, *told)


def methods_for(model: Classifier | MixClassifier) -> list[str]:
    """The methods that mix images with this checkpoint on this machine."""
    return [name for name in PICTURED if _runs_here(name) and _serves(model, name)]


def pictured_here(learnt: Sequence[str]) -> list[str]:
    """All methods that run on this machine, given the learnt ones that have a checkpoint here."""
    return [n for n in PICTURED if _runs_here(n) and (n not in LEARNT_METHODS or n in learnt)]


def class_names(benchmark: Benchmark) -> tuple[str, ...]:
    """Names of a benchmark's classes by index: species where they are known, else `class 17`.

    Those of a data set that isn't drawn are read from `categories.json` in its cache folder.
    """
    dataset = benchmark.manifest.dataset
    if dataset.drawn_by_package:
        return tuple(one.name for one in species())
    path = data_path(benchmark.name) / "categories.json"
    known = _read_names(path, path.stat().st_mtime_ns) if path.is_file() else ()
    return (*known, *(f"class {n}" for n in range(len(known), dataset.num_classes)))


@lru_cache(maxsize=8)
def _read_names(path: Path, _changed: int) -> tuple[str, ...]:
    try:
        return tuple(inputs.class_names(None, path) or ())
    except DataError:
        return ()  # names are an ornament: an odd file takes nothing else away


def _serves(model: Classifier | MixClassifier, name: str) -> bool:
    return name not in LEARNT_METHODS or model.method == name


def _runs_here(name: str) -> bool:
    """Whether what a method needs is installed: SaliencyMix takes OpenCV's detector."""
    return name != "saliencymix" or importlib.util.find_spec("cv2") is not None
