"""A pen that puts unit shapes on a supersampled picture, and the colours it dips into.

Every coordinate and colour is rounded to an integer here, before Pillow sees it, so that the
last bit of a machine's sine can't decide a pixel.
"""

import colorsys
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from .shapes import Point, oval

Rng = np.random.Generator
Range = tuple[float, float]  # that a number is drawn from
Colour = tuple[int, int, int]
WHITE: Colour = (250, 248, 240)
BLACK: Colour = (24, 20, 20)


def hsv(hue: float, saturation: float, value: float) -> Colour:
    """Hue in degrees, saturation and value in [0, 1] (clipped), to 8-bit RGB."""
    clipped = min(max(saturation, 0.0), 1.0), min(max(value, 0.0), 1.0)
    red, green, blue = colorsys.hsv_to_rgb(hue % 360 / 360, *clipped)
    return round(red * 255), round(green * 255), round(blue * 255)


def blend(a: Colour, b: Colour, share: float) -> Colour:
    """`a` with a share in [0, 1] of `b`."""
    red, green, blue = (round(x + (y - x) * share) for x, y in zip(a, b, strict=True))
    return red, green, blue


def darker(colour: Colour, share: float = 0.35) -> Colour:
    """The colour in shade: some of it gives way to a cold near-black."""
    return blend(colour, (22, 20, 36), share)


def lighter(colour: Colour, share: float = 0.35) -> Colour:
    """The colour in light: some of it gives way to a warm white."""
    return blend(colour, (255, 250, 228), share)


@dataclass(frozen=True)
class Pose:
    """Where unit coordinates land: origin and unit length in pixels, turn in radians, mirroring."""

    x: float
    y: float
    unit: float
    angle: float = 0.0
    flip: bool = False


class Pen:
    """Draws in the unit coordinates of one organism onto `image` (RGB), in place."""

    def __init__(self, image: Image.Image, pose: Pose) -> None:
        self.pose = pose
        self._draw = ImageDraw.Draw(image)
        self._cos, self._sin = math.cos(pose.angle) * pose.unit, math.sin(pose.angle) * pose.unit

    def _pixels(self, points: Sequence[Point]) -> list[tuple[int, int]]:
        c, s, x0, y0 = self._cos, self._sin, self.pose.x, self.pose.y
        mirror = -1 if self.pose.flip else 1
        return [
            (round(x0 + (x * c - y * s) * mirror), round(y0 + x * s + y * c)) for x, y in points
        ]

    def flat(self, points: Sequence[Point], colour: Colour) -> None:
        """Fill a closed outline with one colour."""
        self._draw.polygon(self._pixels(points), fill=colour)

    def solid(self, points: Sequence[Point], colour: Colour, steps: int = 4) -> None:
        """Fill a closed outline as a rounded body, lit from the upper left of the picture."""
        pixels = self._pixels(points)
        xs, ys = [x for x, _ in pixels], [y for _, y in pixels]
        cx = (min(xs) + max(xs)) / 2 - (max(xs) - min(xs)) * 0.14
        cy = (min(ys) + max(ys)) / 2 - (max(ys) - min(ys)) * 0.18
        self._draw.polygon(pixels, fill=darker(colour, 0.45))
        for step in range(steps):
            keep = 0.955 - 0.72 * step / steps
            tone = darker(colour, 0.18) if step == 0 else lighter(colour, 0.34 * (step - 1) / steps)
            inner = [(round(cx + (x - cx) * keep), round(cy + (y - cy) * keep)) for x, y in pixels]
            self._draw.polygon(inner, fill=tone)

    def line(self, points: Sequence[Point], width: float, colour: Colour) -> None:
        """A line of the given width through the points, with round joints."""
        thick = max(round(width * self.pose.unit), 1)
        self._draw.line(self._pixels(points), fill=colour, width=thick, joint="curve")

    def dot(self, x: float, y: float, radius: float, colour: Colour) -> None:
        """A filled disc."""
        (px, py), r = self._pixels([(x, y)])[0], max(round(radius * self.pose.unit), 1)
        self._draw.ellipse((px - r, py - r, px + r, py + r), fill=colour)

    def ball(self, x: float, y: float, radius: float, colour: Colour) -> None:
        """A lit sphere."""
        self.solid(oval(x, y, radius, radius), colour, steps=3)

    def eye(self, x: float, y: float, radius: float, iris: Colour) -> None:
        """An eye with a dark rim, a pupil and a glint."""
        self.dot(x, y, radius, BLACK)
        self.dot(x, y, radius * 0.8, iris)
        self.dot(x, y, radius * 0.48, BLACK)
        self.dot(x - radius * 0.25, y - radius * 0.3, radius * 0.22, WHITE)
