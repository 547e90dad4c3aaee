"""Tries other pixels on some images: would one of them give the published number?

Each image is decoded once for each size, crop and interpolation; colours and normalisations are
made of the same crop. All in fp32: a few images, so that nothing has to be guarded.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from itertools import groupby
from typing import Any

import numpy as np
import torch

from ..zoo.data import LabelledImages
from ..zoo.errors import DataError
from ..zoo.manifest import Protocol
from ..zoo.nets import Classifier, MixClassifier
from .case import Trial
from .clues import key_of_pixels
from .crops import Work
from .predictions import Predictions
from .predictor import Predictor
from .protocol import override
from .sample import plan

IMAGES = 1000  # that are tried, unless told otherwise
_HALF, _CIFAR = (0.5, 0.5, 0.5), ((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616))


def variants(protocol: Protocol, said: Protocol) -> list[Protocol]:
    """Pixels that people have taken for these by mistake; the protocol itself first.

    said: what the checkpoint's own config evaluates with.
    """
    crop, resize = protocol.crop, protocol.resize
    changed: list[dict[str, Any]] = [
        {"channels": "BGR" if protocol.channels == "RGB" else "RGB"},
        {"mean": (0.0,) * 3, "std": (1.0,) * 3},
        {"mean": (0.0,) * 3, "std": (1 / 255,) * 3},  # from 0 to 255
        {"mean": _HALF, "std": _HALF},
        {"mean": _CIFAR[0], "std": _CIFAR[1]},
        {"std": (1 / 255,) * 3},  # Caffe's: the mean alone, from 0 to 255
        *({"crop": side} for side in (resize, crop * 7 // 8, crop * 3 // 4)),
        *({"resize": int(crop / ratio)} for ratio in (1, 0.95, 0.9, 0.875, 0.85, 0.8, 0.7)),
        *({"interpolation": kind} for kind in ("bicubic", "bilinear", "nearest")),
    ]
    tried = [protocol, said, *(override(protocol, **change) for change in changed)]
    return [one for place, one in enumerate(tried) if one not in tried[:place]]


def try_pixels(
    model: Classifier | MixClassifier,
    images: LabelledImages,
    protocols: Sequence[Protocol],
    device: torch.device,
    *,
    most: int = IMAGES,
    batch_size: int = 64,
    workers: int | None = None,
    progress: Callable[[int], object] | None = None,
) -> list[Trial]:
    """Predict the same images, drawn at random, with each of some pixels.

    protocols: the published one first. most: images, at most. progress: called with images done.
    Images that can't be read are left out.
    """
    order = np.sort(plan([0] * len(images), seed=0).order[:most])
    labels = np.asarray(images.labels)[order]
    place = {int(index): at for at, index in enumerate(order)}
    predictor = Predictor(model, protocols[0], device)
    found: dict[int, Mapping[str, Predictions]] = {}
    for _, group in groupby(sorted(protocols, key=_geometry), key=_geometry):
        of_crop = list(group)
        work = Work(images, of_crop[0], batch_size, workers)
        known = {id(one): {h: Predictions.empty(labels) for h in model.heads} for one in of_crop}
        with closing(work.batches(work.groups(order.tolist()))) as batches:
            for batch in batches:
                at = torch.tensor([place[int(index)] for index in batch.indices])
                for one in of_crop if len(at) else ():
                    predictor.protocol = one
                    rows = predictor.predict(at, batch.crops, batch.labels)
                    for head, row in rows.items():
                        known[id(one)][head].put(row)
                if progress:
                    progress(len(at))
        found |= known
    return list(_trials(protocols, order, found))


def _geometry(protocol: Protocol) -> tuple[int, int, str]:
    return protocol.resize, protocol.crop, protocol.interpolation


def _trials(
    protocols: Sequence[Protocol], order: np.ndarray, found: Mapping[int, Mapping[str, Predictions]]
) -> Iterator[Trial]:
    first = next(iter(found[id(protocols[0])].values()))
    read = np.flatnonzero(first.top[:, 0] >= 0)
    if not len(read):
        raise DataError("None of the images that were drawn can be read, so no pixels were tried.")
    for one in protocols:
        key = key_of_pixels(one, protocols[0])
        yield Trial(key, one, order[read], {h: k.at(read) for h, k in found[id(one)].items()})
