"""Tries other pixels on some images: would one of them give the published number?

Each image is decoded once for all of them. All in fp32: of so few images nothing is guarded.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import torch

from ..zoo.data import LabelledImages
from ..zoo.errors import DataError
from ..zoo.manifest import Protocol
from ..zoo.nets import Classifier, MixClassifier
from .case import Trial
from .clues import key_of_pixels
from .crops import BATCH_SIZE
from .pixels import Pixels, centre_crop, decode
from .predictions import Ints, Predictions
from .predictor import Predictor
from .protocol import override
from .sample import plan

Geometry = tuple[int, int, str]

IMAGES = 1000  # that the likeliest are tried on, unless told otherwise
_HALF, _CIFAR = (0.5, 0.5, 0.5), ((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616))
_INATURALIST = (0.466, 0.471, 0.380), (0.195, 0.194, 0.192)


def variants(protocol: Protocol, said: Protocol) -> list[Protocol]:
    """Pixels that people have taken for these by mistake; the protocol itself first.

    said: what the checkpoint's own config evaluates with.
    """
    crop, resize = protocol.crop, protocol.resize
    swapped = "BGR" if protocol.channels == "RGB" else "RGB"
    changed: list[dict[str, Any]] = [
        {"channels": swapped},
        {"channels": swapped, "mean": protocol.mean[::-1], "std": protocol.std[::-1]},
        {"mean": (0.0,) * 3, "std": (1.0,) * 3},
        {"mean": (0.0,) * 3, "std": (1 / 255,) * 3},  # from 0 to 255
        {"mean": _HALF, "std": _HALF},
        *({"mean": mean, "std": std} for mean, std in (_CIFAR, _INATURALIST)),
        {"std": (1 / 255,) * 3},  # Caffe's: the mean alone, from 0 to 255
        *({"crop": side} for side in (resize, crop * 15 // 16, crop * 7 // 8, crop * 3 // 4)),
        *({"resize": int(crop / ratio)} for ratio in (1, 0.95, 0.9, 0.875, 0.85, 0.8, 0.7)),
        *({"interpolation": kind} for kind in ("bicubic", "bilinear", "nearest")),
        *(
            {
                "resize": int(crop / ratio),
                "interpolation": kind,
            }  # torchvision's default is bilinear
            for ratio in (0.875, 0.85)
            for kind in ("bicubic", "bilinear")
        ),
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
    progress: Callable[[int], object] | None = None,
) -> list[Trial]:
    """Predict the same images, drawn at random, with each of some pixels.

    protocols: the published one first. most: images, at most. progress: called with images done.
    Images that can't be read are left out. Raises DataError if none can be.
    """
    order = np.sort(plan([0] * len(images), seed=0).order[:most])
    labels = np.asarray(images.labels)[order]
    predictor = Predictor(model, protocols[0], device)
    known = [{head: Predictions.empty(labels) for head in model.heads} for _ in protocols]
    for start in range(0, len(order), BATCH_SIZE):
        places, crops = _crops(
            images, protocols, order, range(start, min(start + BATCH_SIZE, most))
        )
        for one, heads in zip(protocols, known, strict=True):
            if places:
                predictor.protocol = one
                batch = torch.from_numpy(np.stack(crops[_geometry(one)]))
                at = torch.tensor(places)
                for head, rows in predictor.predict(
                    at, batch, torch.from_numpy(labels[places])
                ).items():
                    heads[head].put(rows)
        if progress:
            progress(min(BATCH_SIZE, len(order) - start))
    read = np.flatnonzero(known[0][model.heads[0]].top[:, 0] >= 0)
    if not len(read):
        raise DataError(
            "None of the images that were drawn can be read, so no pixels were tried. Get the "
            "images again."
        )
    return [
        Trial(
            key_of_pixels(one, protocols[0]),
            one,
            order[read],
            {h: k.at(read) for h, k in of.items()},
        )
        for one, of in zip(protocols, known, strict=True)
    ]


def _crops(
    images: LabelledImages, protocols: Sequence[Protocol], order: Ints, places: Iterable[int]
) -> tuple[list[int], dict[Geometry, list[Pixels]]]:
    """Which of these places can be read, and by geometry their crops; each is decoded once."""
    shapes = {_geometry(one): one for one in protocols}
    read, crops = [], {shape: [] for shape in shapes}
    for place in places:
        if place >= len(order):
            break
        file = images.files[order[place]]
        try:
            rgb = decode(images.read(int(order[place])), file)
        except DataError:
            continue
        read.append(place)
        for shape, one in shapes.items():
            crops[shape].append(np.ascontiguousarray(centre_crop(rgb, one)))
    return read, crops


def _geometry(protocol: Protocol) -> Geometry:
    return protocol.resize, protocol.crop, protocol.interpolation
