"""Paints pictures, and writes them in the layout and annotation format of iNaturalist-2018."""

import copy
import hashlib
import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ..data.sinks import make_within
from ..errors import DataError
from ..files import becoming
from ..net.progress import count_bar
from .pen import Pen, Pose, Rng
from .scenery import backdrop, develop, foreground
from .species import VERSION, Portrait, Species, Split, generator, portraits, species

QUALITY = 85
# Drawings with names of their own, one of each kind that the benchmark draws.
# name: (species, number of its validation picture), see `example`
NAMED = {
    "fox": (21, 1),
    "butterfly": (4, 0),
    "bird": (18, 0),
    "mushroom": (30, 0),
    "frog": (15, 0),
    "daisy": (36, 1),
    "owl": (20, 1),
    "fish": (11, 0),
    "ladybird": (6, 1),
    "tulip": (39, 0),
    "lizard": (26, 0),
    "snail": (28, 0),
}
_INFO = {
    "year": 2018,
    "version": VERSION,
    "description": "mixzoo mini: drawn organisms in the iNaturalist-2018 layout",
    "contributor": "mixzoo",
    "url": "",
    "date_created": "",
}
_LICENSE = {
    "id": 0,
    "name": "Apache License 2.0",
    "url": "https://www.apache.org/licenses/LICENSE-2.0",
}


def draw(root: Path, *splits: Split) -> Path:
    """Draw splits below `root`: train_val2018/, its annotation JSON, categories.json.

    Every file appears whole or not at all, the annotations last, and pictures that are there
    are kept: call it again after an interruption. Returns `root`. Raises
    DataError if `root` can't be written to, or a link leads out of it.
    """
    individuals = _individuals(*splits)
    try:
        count = len(individuals)
        for one, part, index in count_bar("drawing", count, " img", iterable=individuals):
            path = root / _file_name(one, part, index)
            if not path.exists():
                _write(root, path, jpeg(one, part, index))
        tables = {"categories.json": [one.category() for one in species()]}
        tables |= {f"{part}2018.json": _annotations(part) for part in splits}
        for name, content in tables.items():
            path, text = root / name, json.dumps(content).encode()
            if not path.exists() or path.read_bytes() != text:
                _write(root, path, text)
    except OSError as error:
        raise DataError(
            f"{root}: the drawn pictures can't be written there ({error.strerror}). Free some "
            "space (about 12 MB) or name another folder; what was written will be kept."
        ) from None
    return root


def example(species_id: int, index: int, split: Split = "val") -> Image.Image:
    """One picture as its file holds it, decoded to RGB, without a data folder.

    species_id: 0 to 39. index: 0 to the species' count in the split, minus one. Raises DataError
    for others.
    """
    known = species()
    if not 0 <= species_id < len(known):
        raise DataError(
            f"Expected a species from 0 to {len(known) - 1}, got {species_id}. Choose one of these."
        )
    one = known[species_id]
    if not 0 <= index < one.count(split):
        raise DataError(
            f"{one.name} has {one.count(split)} {split} pictures; expected one from 0 to "
            f"{one.count(split) - 1}, got {index}. Choose one of these."
        )
    return Image.open(io.BytesIO(jpeg(one, split, index))).convert("RGB")


def silhouette(species_id: int, index: int, split: Split = "val") -> Image.Image:
    """Where the organism of `example` is seen: mode L, 255 on it, 0 beside it and behind a blade."""
    one = species()[species_id]
    rng = generator(one.name, split, index)
    scene = _scene(one.name, rng)
    shown = _covered(scene.picture.size, scene.organism, rng)
    if scene.is_overgrown(rng):
        shown &= ~_covered(scene.picture.size, scene.blades, rng)
    return Image.fromarray(np.uint8(255) * shown).reduce(2)


def frame(rng: Rng) -> tuple[int, int]:
    """Width and height in pixels of the next picture: 4:3, 1:1 or 3:4, long side 160 to 200."""
    long, shape = int(rng.integers(160, 201)), int(rng.integers(0, 3))
    short = long * 3 // 4
    return ((long, short), (long, long), (short, long))[shape]


def paint(name: str, rng: Rng) -> Image.Image:
    """One individual of species `name` as an RGB picture; the size is `rng`'s first `frame`."""
    scene = _scene(name, rng)
    scene.organism(scene.picture, rng)
    if scene.is_overgrown(rng):
        scene.blades(scene.picture, rng)
    return develop(scene.picture.reduce(2), rng)


@dataclass(frozen=True)
class _Scene:
    """What a picture shows, its backdrop painted at twice its size. Every call draws from `rng`."""

    picture: Image.Image
    habitat: str
    portrait: Portrait
    pose: Pose

    def organism(self, picture: Image.Image, rng: Rng) -> None:
        self.portrait.artist(Pen(picture, self.pose), rng)

    def is_overgrown(self, rng: Rng) -> bool:
        return rng.random() < 0.45

    def blades(self, picture: Image.Image, rng: Rng) -> None:
        foreground(picture, self.habitat, rng)


def _scene(name: str, rng: Rng) -> _Scene:
    size, portrait = frame(rng), portraits()[name]
    big = (size[0] * 2, size[1] * 2)
    habitat = portrait.habitats[int(rng.integers(0, len(portrait.habitats)))]
    picture = backdrop(habitat, big, rng)
    pose = Pose(
        x=big[0] * rng.uniform(0.4, 0.6),
        y=big[1] * rng.uniform(0.42, 0.58),
        unit=min(big) * portrait.unit * rng.uniform(0.64, 1.15),
        angle=rng.uniform(-portrait.turn, portrait.turn),
        flip=bool(rng.random() < 0.5),
    )
    return _Scene(picture, habitat, portrait, pose)


def _covered(
    size: tuple[int, int], draw: Callable[[Image.Image, Rng], None], rng: Rng
) -> np.ndarray:
    """The pixels that a drawing covers, (H, W) bool: those equal on black and on white ground."""
    black, white = Image.new("RGB", size, "black"), Image.new("RGB", size, "white")
    draw(black, copy.deepcopy(rng))
    draw(white, rng)
    return (np.asarray(black) == np.asarray(white)).all(axis=2)


def _individuals(*splits: Split) -> list[tuple[Species, Split, int]]:
    """Every picture as (species, split, index), in the order of ids."""
    return [
        (one, part, index)
        for part in splits
        for one in species()
        for index in range(one.count(part))
    ]


def _file_name(one: Species, split: Split, index: int) -> str:
    key = f"mixzoo mini {VERSION}:{one.name}:{split}:{index}"
    stem = hashlib.sha256(key.encode()).hexdigest()[:32]
    return f"train_val2018/{one.supercategory}/{one.id}/{stem}.jpg"


def jpeg(one: Species, split: Split, index: int) -> bytes:
    """The file of a picture. index: 0 and up; from the split's count on, pictures of neither split."""
    buffer = io.BytesIO()
    paint(one.name, generator(one.name, split, index)).save(buffer, "JPEG", quality=QUALITY)
    return buffer.getvalue()


def _annotations(split: Split) -> dict[str, Any]:
    """The official fields. As in the official files, images don't stand in the order of labels."""
    images, annotations = [], []
    start = 1 if split == "train" else 1 + sum(one.train_count for one in species())
    for number, (one, part, index) in enumerate(_individuals(split), start):
        width, height = frame(generator(one.name, part, index))
        images.append(
            {
                "id": number,
                "width": width,
                "height": height,
                "file_name": _file_name(one, part, index),
                "license": _LICENSE["id"],
                "rights_holder": "mixzoo",
            }
        )
        annotations.append({"id": number, "image_id": number, "category_id": one.id})
    order = generator("order", split).permutation(len(images)).tolist()
    return {
        "info": _INFO,
        "images": [images[i] for i in order],
        "categories": [one.category() for one in species()],
        "annotations": annotations,
        "licenses": [_LICENSE],
    }


def _write(root: Path, path: Path, content: bytes) -> None:
    """Write a file atomically; whoever draws at the same time replaces it by an equal one."""
    make_within(root, path.parent)
    with becoming(path) as part:
        part.write_bytes(content)
