"""Flowers and mushrooms. An artist draws one individual in unit coordinates, x and y in [-1, 1]."""

import math

from .pen import Colour, Pen, Range, Rng, blend, darker, hsv, lighter
from .shapes import Point, Strip, oval, shrunk, smooth, tapered, turned


def _green(rng: Rng) -> Colour:
    return hsv(rng.uniform(85, 135), rng.uniform(0.45, 0.65), rng.uniform(0.35, 0.6))


def _leaf(pen: Pen, root: Point, tip: Point, width: float, colour: Colour) -> None:
    pen.flat(tapered(root, tip, width * 0.3, 0.01, 0.25), darker(colour, 0.3))
    (ax, ay), (bx, by) = root, tip
    spine = [(ax + (bx - ax) * i / 10, ay + (by - ay) * i / 10) for i in range(11)]
    blade = Strip(spine, [width * math.sin(math.pi * (i / 10) ** 0.8) for i in range(11)])
    pen.flat(blade.outline(), darker(colour, 0.2))
    pen.flat(blade.patch(0, 1, -0.85, 0.0), lighter(colour, 0.12))
    pen.line([root, tip], 0.015, lighter(colour, 0.4))


def daisy(pen: Pen, rng: Rng, *, petals: int, hue: Range, breadth: float) -> None:
    """An open flower seen a little from the side: `petals` petals of half-width `breadth`."""
    green, turn, squash = _green(rng), rng.uniform(0, 6.28), rng.uniform(0.68, 1.0)
    sway = rng.uniform(-0.5, 0.5)
    pen.flat(tapered((0, 0.1), (sway, 3.0), 0.045, 0.06, 0.04), darker(green, 0.15))
    side = 1 if rng.random() < 0.5 else -1
    _leaf(pen, (sway * 0.35, 1.15), (sway * 0.35 + side * 0.75, 0.7), 0.17, green)
    colour = hsv(rng.uniform(*hue), rng.uniform(0.08, 0.6), rng.uniform(0.82, 1.0))
    order = [*range(0, petals, 2), *range(1, petals, 2)]
    for i in order:
        angle = turn + 2 * math.pi * i / petals + rng.uniform(-0.06, 0.06)
        _petal(pen, angle, squash, (rng.uniform(0.88, 1.0), breadth), colour)
    heart = hsv(rng.uniform(32, 52), rng.uniform(0.65, 0.9), rng.uniform(0.6, 0.95))
    pen.solid(oval(0, 0, 0.25, 0.25 * squash), heart, 3)
    for i in range(10):
        x, y = turned([(0.19, 0)], turn + i * 0.628, squash)[0]
        pen.dot(x, y, 0.022, darker(heart, 0.4))
        pen.dot(x * 0.55, y * 0.55, 0.018, lighter(heart, 0.4))


def _petal(
    pen: Pen, angle: float, squash: float, form: tuple[float, float], colour: Colour
) -> None:
    reach, breadth = form
    half: list[Point] = [
        (0.12, 0.03), (0.45, breadth * 0.75), (0.78, breadth), (0.97, breadth * 0.5),
    ]  # fmt: skip
    rim = [*half, (0.96, 0.0), *((x, -y) for x, y in reversed(half))]
    full = smooth([(x * reach, y) for x, y in rim], steps=3)
    pen.flat(turned(full, angle, squash), darker(colour, 0.32))
    pen.flat(turned(shrunk(full, 0.94, 0.86, to=(0.7, 0)), angle, squash), colour)
    tip = shrunk(full, 0.6, 0.55, to=(0.85, 0))
    pen.flat(turned(tip, angle, squash), lighter(colour, 0.4))
    for y in (-0.3, 0.0, 0.3):
        vein: list[Point] = [(0.2, y * breadth * 0.5), (0.72 * reach, y * breadth * 1.4)]
        pen.line(turned(vein, angle, squash), 0.012, darker(colour, 0.22))


def tulip(pen: Pen, rng: Rng, *, hue: Range, mark: str) -> None:
    """A cup-shaped flower from the side, its petals plain, flamed along the middle, or edged."""
    green, sway = _green(rng), rng.uniform(-0.25, 0.25)
    pen.flat(tapered((0, 0.1), (sway, 2.6), 0.05, 0.06, 0.03), darker(green, 0.1))
    for side in (-1, 1):
        tip = (sway * 0.4 + side * rng.uniform(0.45, 0.85), rng.uniform(-0.25, 0.35))
        _leaf(pen, (sway * 0.6, 1.5), tip, rng.uniform(0.12, 0.18), green)
    colour = hsv(rng.uniform(*hue), rng.uniform(0.55, 0.85), rng.uniform(0.7, 0.98))
    yellow = hsv(rng.uniform(44, 58), rng.uniform(0.2, 0.6), rng.uniform(0.88, 1.0))
    accent = blend(colour, yellow, rng.uniform(0.3, 0.95))
    gape = rng.uniform(0.75, 1.2)
    for tip_x, wide in ((-0.28, 0.24), (0.28, 0.24)):
        _tepal(pen, (tip_x * gape, -0.92), (wide, 0.0), darker(colour, 0.38), accent, "plain")
    _tepal(pen, (-0.5 * gape, -0.8), (0.3, -0.2), darker(colour, 0.12), accent, mark)
    _tepal(pen, (0.5 * gape, -0.8), (0.3, 0.2), darker(colour, 0.2), accent, mark)
    _tepal(pen, (rng.uniform(-0.06, 0.06), -0.78), (0.4, 0.0), colour, accent, mark)


def _tepal(
    pen: Pen, tip: Point, form: tuple[float, float], colour: Colour, accent: Colour, mark: str
) -> None:
    """One petal from the base of the cup to `tip`; `form` is its half-width and sideways bulge."""
    wide, bulge = form
    spine: list[Point] = [
        (tip[0] * t + bulge * math.sin(math.pi * t) * 0.9, 0.2 + (tip[1] - 0.2) * t)
        for t in (i / 12 for i in range(13))
    ]
    widths = [wide * math.sin(math.pi * min(0.12 + 0.88 * i / 12, 1.0)) ** 0.8 for i in range(13)]
    blade = Strip(spine, widths)
    pen.flat(blade.outline(), accent if mark == "edge" else darker(colour, 0.35))
    pen.flat(blade.patch(0, 0.9 if mark == "edge" else 0.97, -0.78, 0.78), colour)
    pen.flat(blade.patch(0.1, 0.85, -0.1, 0.55), lighter(colour, 0.16))
    pen.line(blade.patch(0.1, 0.8, -0.4, -0.4)[:9], 0.014, darker(colour, 0.25))
    if mark == "flame":
        pen.flat(blade.patch(0.12, 1.0, -0.22, 0.22), accent)
        pen.flat(blade.patch(0.35, 0.85, -0.42, 0.42)[::2], blend(colour, accent, 0.75))


def mushroom(
    pen: Pen, rng: Rng, *, height: Range, hue: Range, dots: bool = False, ring: bool = False
) -> None:
    """A stalk under a cap of the given `height` (low dome to tall cone), dotted or ringed."""
    cap = hsv(rng.uniform(*hue), rng.uniform(0.5, 0.85), rng.uniform(0.5, 0.9))
    flesh = hsv(rng.uniform(32, 50), rng.uniform(0.08, 0.28), rng.uniform(0.8, 0.97))
    tall, wide = rng.uniform(*height), rng.uniform(0.62, 0.88)
    lean, thick = rng.uniform(-0.14, 0.14), rng.uniform(0.12, 0.2)
    spine = [(lean * (1 - t / 10) ** 2, -0.15 + 1.2 * t / 10) for t in range(11)]
    stalk = Strip(spine, [thick * (0.8 + 0.75 * (t / 10) ** 3) for t in range(11)])
    pen.flat(oval(0.1, 1.05, 0.6, 0.12), darker(flesh, 0.75))
    pen.flat(stalk.outline(), darker(flesh, 0.4))
    pen.flat(stalk.patch(0, 1, -0.86, 0.86), darker(flesh, 0.12))
    pen.flat(stalk.patch(0, 1, 0.05, 0.65), lighter(flesh, 0.3))
    for across in (-0.45, -0.15, 0.3):
        pen.line(stalk.patch(0.35, 0.95, across, across)[:6], 0.012, darker(flesh, 0.22))
    if ring:
        skirt = [stalk.at(0.2, -1), stalk.at(0.2, 1), stalk.at(0.45, 1.75), stalk.at(0.45, -1.75)]
        pen.solid(smooth(skirt), lighter(flesh, 0.2), 2)
    _cap(pen, (lean, tall, wide), cap, flesh)
    if dots:
        _warts(pen, rng, (lean, tall, wide), flesh)


def _cap(pen: Pen, form: tuple[float, float, float], cap: Colour, flesh: Colour) -> None:
    x, tall, wide = form
    pen.flat(oval(x, -0.1, wide * 0.97, 0.15), darker(flesh, 0.5))
    pen.flat(oval(x, -0.08, wide * 0.9, 0.11), darker(flesh, 0.2))
    for i in range(-6, 7):
        gill: list[Point] = [(x + i * 0.02, -0.12), (x + i * wide * 0.14, -0.015 - 0.0022 * i * i)]
        pen.line(gill, 0.012, darker(flesh, 0.5))
    dome: list[Point] = [
        (x - wide, -0.08),
        (x - wide * 0.82, -0.1 - tall * 0.55),
        (x - wide * 0.35, -0.1 - tall * 0.93),
        (x + wide * 0.35, -0.1 - tall * 0.93),
        (x + wide * 0.82, -0.1 - tall * 0.55),
        (x + wide, -0.08),
        (x + wide * 0.5, -0.13),
        (x - wide * 0.5, -0.13),
    ]
    if tall > 0.75:  # a cone: the shoulders narrow
        for i, (px, py) in enumerate(dome[1:5], 1):
            dome[i] = (x + (px - x) * (0.72 if i in (1, 4) else 0.5), py)
    pen.solid(smooth(dome), cap, 5)


def _warts(pen: Pen, rng: Rng, form: tuple[float, float, float], flesh: Colour) -> None:
    x, tall, wide = form
    narrow = 0.62 if tall > 0.75 else 1.0
    for row, count in ((0.22, 4), (0.5, 3), (0.78, 2)):
        reach = wide * (1 - row * 0.55) * (narrow if row > 0.3 else 1.0) * 0.85
        for i in range(count):
            across = (i - (count - 1) / 2) / count * 2 + rng.uniform(-0.12, 0.12)
            size = rng.uniform(0.045, 0.085)
            spot = oval(x + across * reach, -0.13 - tall * row, size, size * 0.8)
            pen.flat(spot, darker(flesh, 0.2))
            pen.flat([(u - 0.01, v - 0.01) for u, v in spot], lighter(flesh, 0.3))
