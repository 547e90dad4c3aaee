"""What surrounds an organism: soft habitats, blades in front of it, light and grain."""

import math

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from .pen import Colour, Pen, Pose, Rng, blend, darker, hsv, lighter
from .shapes import oval, tapered

# Habitat: (hue, saturation, value) ranges of its two main colours, and of its blurred shapes.
_PALETTES = {
    "meadow": ((70, 130), (0.35, 0.6), (0.35, 0.75)),
    "forest": ((85, 150), (0.3, 0.55), (0.18, 0.45)),
    "soil": ((18, 42), (0.25, 0.5), (0.3, 0.62)),
    "stone": ((20, 60), (0.04, 0.18), (0.42, 0.75)),
    "water": ((180, 222), (0.4, 0.7), (0.4, 0.78)),
    "sky": ((195, 220), (0.18, 0.45), (0.7, 0.95)),
    "leaf": ((80, 125), (0.45, 0.68), (0.4, 0.68)),
}


def _pick(habitat: str, rng: Rng) -> Colour:
    hue, saturation, value = _PALETTES[habitat]
    return hsv(rng.uniform(*hue), rng.uniform(*saturation), rng.uniform(*value))


def backdrop(habitat: str, size: tuple[int, int], rng: Rng) -> Image.Image:
    """An out-of-focus habitat of `size` pixels: drawn small and enlarged, which blurs it."""
    width, height = size[0] // 8, size[1] // 8
    top, bottom = _pick(habitat, rng), darker(_pick(habitat, rng), rng.uniform(0.0, 0.3))
    small = Image.new("RGB", (width, height))
    sketch = ImageDraw.Draw(small)
    for y in range(height):
        sketch.line((0, y, width, y), fill=blend(top, bottom, y / height))
    for _ in range(int(rng.integers(6, 15))):
        _blur_spot(sketch, habitat, (width, height), rng)
    soft = small.filter(ImageFilter.GaussianBlur(int(rng.integers(1, 3))))
    # Half the work: what is this soft needs no supersampling.
    half = soft.resize((size[0] // 2, size[1] // 2), Image.Resampling.BICUBIC)
    picture = half.resize(size, Image.Resampling.NEAREST)
    if habitat == "leaf":
        _leaf_veins(picture, top, rng)
    pen = Pen(picture, Pose(0, 0, 1))
    if habitat in ("soil", "stone"):  # pebbles
        for _ in range(int(rng.integers(5, 14))):
            x, y, r = rng.uniform(0, size[0]), rng.uniform(0, size[1]), rng.uniform(4, 20)
            stone = oval(x, y, r, r * rng.uniform(0.5, 0.9), rng.uniform(0, 3))
            pen.solid(stone, _pick(habitat, rng), 2)
    if habitat == "water":  # bubbles
        for _ in range(int(rng.integers(2, 9))):
            x, y, r = rng.uniform(0, size[0]), rng.uniform(0, size[1]), rng.uniform(3, 9)
            shade = _pick("water", rng)
            pen.dot(x, y, r, lighter(shade, 0.45))
            pen.dot(x + 1, y + 1, r * 0.75, lighter(shade, 0.12))
    return picture


def _blur_spot(sketch: ImageDraw.ImageDraw, habitat: str, size: tuple[int, int], rng: Rng) -> None:
    """One shape that the enlargement turns into foliage, stones, rays or clouds."""
    x, y = int(rng.integers(0, size[0])), int(rng.integers(0, size[1]))
    rx, ry = int(rng.integers(2, 9)), int(rng.integers(2, 7))
    colour = _pick("meadow" if habitat == "sky" and y > size[1] * 0.6 else habitat, rng)
    if habitat in ("meadow", "forest") and rng.random() < 0.6:
        lean = int(rng.integers(-8, 9))
        sketch.line((x, size[1], x + lean, y), fill=lighter(colour, 0.15), width=1 + rx // 4)
    elif habitat == "water":
        sketch.line((x, 0, x - 10, size[1]), fill=lighter(colour, 0.2), width=1 + rx // 3)
    else:
        sketch.ellipse((x - rx, y - ry, x + rx, y + ry), fill=colour)


def _leaf_veins(picture: Image.Image, colour: Colour, rng: Rng) -> None:
    """A midrib and its side veins across the whole picture."""
    width, height = picture.size
    pose = Pose(width / 2, height / 2, width / 2, rng.uniform(0, 2 * math.pi))
    pen, rib = Pen(picture, pose), lighter(colour, 0.3)
    side = rng.uniform(-0.3, 0.3)
    pen.line([(-2, side), (2, side)], 0.035, rib)
    for i in range(-6, 7):
        pen.line([(i * 0.3, side), (i * 0.3 + 0.6, side - 1.2)], 0.014, rib)
        pen.line([(i * 0.3, side), (i * 0.3 + 0.6, side + 1.2)], 0.014, rib)


def foreground(picture: Image.Image, habitat: str, rng: Rng) -> None:
    """A few sharp blades in front of the organism: the partial occlusion of field photographs."""
    width, height = picture.size
    pen = Pen(picture, Pose(0, 0, height))
    for _ in range(int(rng.integers(1, 4))):
        x, lean = rng.uniform(0, width / height), rng.uniform(-0.35, 0.35)
        top, wide = rng.uniform(0.1, 0.6), rng.uniform(0.015, 0.04)
        colour = hsv(rng.uniform(70, 140), rng.uniform(0.4, 0.65), rng.uniform(0.25, 0.6))
        if habitat in ("soil", "stone"):
            colour = hsv(rng.uniform(25, 48), rng.uniform(0.35, 0.55), rng.uniform(0.4, 0.7))
        bend = rng.uniform(-0.15, 0.15)
        pen.flat(tapered((x, 1.05), (x + lean, top), wide, 0.002, bend), darker(colour, 0.3))
        pen.flat(tapered((x, 1.05), (x + lean, top), wide * 0.5, 0.001, bend), colour)


def develop(picture: Image.Image, rng: Rng) -> Image.Image:
    """Add uneven light, a colour cast and sensor grain, in integers throughout."""
    width, height = picture.size
    cast = rng.integers(232, 256, 3)
    patches = rng.integers(204, 256, (3, 4, 1)) * cast // 255
    light = Image.fromarray(patches.astype(np.uint8))
    picture = ImageChops.multiply(picture, light.resize(picture.size, Image.Resampling.BICUBIC))
    depth = int(rng.integers(2, 8))
    grain = rng.integers(128 - depth, 129 + depth, (height // 2, width // 2), dtype=np.uint8)
    coarse = Image.fromarray(grain).resize(picture.size, Image.Resampling.BILINEAR)
    return ImageChops.add(picture, Image.merge("RGB", (coarse,) * 3), 1, -128)
