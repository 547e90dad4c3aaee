"""Training pixels: a random resized crop and a flip, with every draw from a given generator."""

import math

import numpy as np

from ..eval.pixels import Pixels
from ..eval.resample import resize_crop

Box = tuple[int, int, int, int]


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


def random_crop(pixels: Pixels, size: int, rng: np.random.Generator) -> Pixels:
    """A random box of an image, resized (bicubic, Pillow's) and mirrored half of the time.

    pixels: (H, W, 3) uint8. Returns uint8 (size, size, 3), perhaps not contiguous.
    """
    height, width, _ = pixels.shape
    left, top, right, bottom = random_box(width, height, rng)
    box = pixels[top:bottom, left:right]  # nothing outside of it is seen
    crop = resize_crop(box, (size, size), (0, 0), size, "bicubic")
    return crop[:, ::-1] if rng.random() < 0.5 else crop
