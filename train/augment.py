"""Training pixels: a random resized crop and a flip, with every draw from a given generator."""

import math

import numpy as np
import torch
from PIL import Image

from ..zoo.data import LabelledImages

Box = tuple[int, int, int, int]


def decode_all(images: LabelledImages) -> list[Image.Image]:
    """Every image in memory as RGB at its own size, so that epochs only crop."""
    decoded = []
    for file in images.files:
        with Image.open(images.root / file) as image:
            decoded.append(image.convert("RGB"))
    return decoded


def random_box(width: int, height: int, rng: np.random.Generator) -> Box:
    """A box (left, upper, right, lower) of 8 to 100% of the area and ratio 3/4 to 4/3.

    Inception's random crop (Szegedy et al., 2015, arXiv:1409.4842) as torchvision samples it: ten
    tries, then the largest central box whose ratio fits.
    """
    low, high = math.log(3 / 4), math.log(4 / 3)
    for _ in range(10):
        area = width * height * rng.uniform(0.08, 1.0)
        ratio = math.exp(rng.uniform(low, high))
        w, h = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < w <= width and 0 < h <= height:
            left, top = int(rng.integers(width - w + 1)), int(rng.integers(height - h + 1))
            return left, top, left + w, top + h
    w, h = min(width, round(height * 4 / 3)), min(height, round(width * 4 / 3))
    left, top = (width - w) // 2, (height - h) // 2
    return left, top, left + w, top + h


def random_crop(image: Image.Image, size: int, rng: np.random.Generator) -> np.ndarray:
    """A random box of the image, resized (bicubic) and mirrored half of the time.

    Returns uint8 (size, size, 3).
    """
    crop = image.crop(random_box(*image.size, rng)).resize((size, size), Image.Resampling.BICUBIC)
    if rng.random() < 0.5:
        crop = crop.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return np.asarray(crop)


def random_crops(images: list[Image.Image], size: int, rng: np.random.Generator) -> torch.Tensor:
    """A batch of random crops: (N, size, size, 3) uint8."""
    return torch.from_numpy(np.stack([random_crop(image, size, rng) for image in images]))
