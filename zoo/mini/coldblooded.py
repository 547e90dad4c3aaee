"""Fish, frogs, lizards and snails."""

import math

from .pen import BLACK, Colour, Pen, Range, Rng, darker, hsv, lighter
from .shapes import Point, Strip, mirrored, oval, shrunk, smooth, tapered


def fish(
    pen: Pen, rng: Rng, *, hue: Range, depth: Range, bars: int = 0, mark: str = "none"
) -> None:
    """A fish facing positive x: `depth` is its half-height; barred, lined or spotted."""
    skin = hsv(rng.uniform(*hue), rng.uniform(0.5, 0.85), rng.uniform(0.65, 0.95))
    accent = darker(hsv(rng.uniform(*hue) + 170, 0.5, 0.35), 0.3)
    tall = rng.uniform(*depth)
    curve = rng.uniform(-0.08, 0.08)
    spine: list[Point] = [(-0.62 + 1.5 * i / 24, curve * math.cos(i / 8)) for i in range(25)]
    shape = [max(math.sin(math.pi * (0.1 + 0.9 * (i / 24) ** 0.9)), 0.0) ** 0.75 for i in range(25)]
    body = Strip(spine, [tall * s for s in shape], [tall * 0.92 * s for s in shape])
    _fins(pen, skin, tall, curve)
    pen.solid(body.outline(), skin, 5)
    pen.flat(body.patch(0.05, 0.97, -0.92, -0.45), lighter(skin, 0.5))
    for i in range(bars):
        start = 0.2 + 0.5 * i / max(bars - 1, 1) + rng.uniform(-0.03, 0.03)
        pen.flat(body.patch(start - 0.02, start + 0.1, -0.97, 0.97), lighter(skin, 0.75))
        pen.flat(body.patch(start, start + 0.08, -0.96, 0.96), accent)
    if mark == "line":
        pen.flat(body.patch(0.02, 0.78, -0.18, 0.16), accent)
        pen.flat(body.patch(0.02, 0.78, 0.2, 0.38), lighter(skin, 0.6))
    if mark == "spots":
        for i in range(9):
            x, y = body.at(0.12 + 0.07 * i, 0.45 * math.sin(i * 2.1) + 0.1)
            pen.dot(x, y, rng.uniform(0.035, 0.06), accent)
    paddle: list[Point] = [
        (0.3, tall * 0.1), (0.0, tall * 0.2), (-0.08, tall * 0.62), (0.2, tall * 0.4),
    ]  # fmt: skip
    pen.flat(smooth(paddle), darker(skin, 0.45))
    pen.flat(smooth(shrunk(paddle, 0.88, to=(0.17, tall * 0.33))), lighter(skin, 0.2))
    gill = smooth([body.at(0.74, 0.75), body.at(0.71, 0), body.at(0.74, -0.75)], closed=False)
    pen.line(gill, 0.022, darker(skin, 0.4))
    pen.eye(*body.at(0.85, 0.3), 0.072, (226, 206, 130))
    pen.line([body.at(0.97, -0.5), body.at(0.92, -0.4)], 0.022, darker(skin, 0.6))


def _fins(pen: Pen, skin: Colour, tall: float, curve: float) -> None:
    fin, ray = darker(skin, 0.22), darker(skin, 0.5)
    tail: list[Point] = [
        (-0.5, curve - 0.08), (-1.05, curve - 0.42), (-0.92, curve), (-1.05, curve + 0.42),
        (-0.5, curve + 0.08),
    ]  # fmt: skip
    back: list[Point] = [
        (0.45, -tall * 0.75), (0.2, -tall - 0.24), (-0.3, -tall - 0.14), (-0.5, -tall * 0.45),
    ]  # fmt: skip
    anal: list[Point] = [
        (0.1, tall * 0.85), (-0.12, tall + 0.22), (-0.42, tall * 0.9), (-0.45, tall * 0.4),
    ]  # fmt: skip
    for points in (tail, back, anal):
        middle = (sum(x for x, _ in points) / len(points), sum(y for _, y in points) / len(points))
        pen.flat(smooth(points), ray)
        pen.flat(shrunk(smooth(points), 0.9, to=middle), fin)
    for y in (-0.28, -0.14, 0.0, 0.14, 0.28):
        pen.line([(-0.58, curve + y * 0.3), (-0.94, curve + y)], 0.014, ray)
    for x in (-0.3, -0.1, 0.1):
        pen.line([(x, -tall * 0.8), (x - 0.08, -tall - 0.13)], 0.014, ray)


def frog(pen: Pen, rng: Rng, *, hue: Range, mark: str) -> None:
    """A sitting frog from above: striped along the back, spotted, or with a dark saddle."""
    skin = hsv(rng.uniform(*hue), rng.uniform(0.5, 0.8), rng.uniform(0.45, 0.78))
    accent = darker(hsv(rng.uniform(*hue) - 40, 0.6, 0.4), 0.25)
    spread = rng.uniform(0.85, 1.1)
    for side in (-1, 1):
        _frog_limbs(pen, side, spread, skin)
    half: list[Point] = [
        (0, -0.86), (0.24, -0.78), (0.4, -0.5), (0.36, -0.2), (0.42, 0.2), (0.34, 0.58), (0, 0.74),
    ]  # fmt: skip
    pen.solid(smooth(mirrored(half)), skin)
    if mark == "saddle":
        saddle: list[Point] = [(0, -0.12), (0.32, -0.2), (0.38, 0.2), (0.3, 0.52), (0, 0.6)]
        cloth = smooth(mirrored(saddle))
        pen.flat(cloth, accent)
        pen.flat(shrunk(cloth, 0.6, to=(0.0, 0.2)), lighter(accent, 0.12))
    for side in (-1, 1):
        if mark == "stripes":
            stripe: list[Point] = [(side * 0.22, -0.55), (side * 0.24, -0.1), (side * 0.26, 0.5)]
            pen.line(smooth(stripe, closed=False), 0.07, lighter(skin, 0.65))
        pen.solid(oval(side * 0.3, -0.62, 0.145, 0.15), lighter(skin, 0.1), 3)
        pen.eye(side * 0.33, -0.64, 0.09, hsv(rng.uniform(38, 55), 0.8, 0.9))
        pen.dot(side * 0.07, -0.8, 0.018, darker(skin, 0.6))
    if mark == "spots":
        for i in range(8):
            x, y = 0.24 * math.sin(i * 2.4), -0.34 + i * 0.12
            size = rng.uniform(0.045, 0.085)
            pen.flat(oval(x, y, size * 1.15, size), accent)


def _frog_limbs(pen: Pen, side: int, spread: float, skin: Colour) -> None:
    knee, heel = (side * 0.86 * spread, 0.12), (side * 0.44, 0.66)
    toe = (side * 0.92 * spread, 0.9)
    shade = darker(skin, 0.18)
    pen.line([heel, toe], 0.09, darker(skin, 0.5))
    for dx, dy in ((0.1, -0.12), (0.16, 0.0), (0.1, 0.1)):
        pen.line([toe, (toe[0] + side * dx, toe[1] + dy)], 0.04, darker(skin, 0.4))
        pen.dot(toe[0] + side * dx, toe[1] + dy, 0.035, lighter(skin, 0.2))
    pen.solid(tapered(knee, heel, 0.13, 0.08), shade, 3)
    pen.ball(*heel, 0.085, shade)
    pen.solid(tapered((side * 0.24, 0.48), knee, 0.22, 0.13), skin, 3)
    pen.ball(*knee, 0.135, skin)
    elbow, hand = (side * 0.68, -0.16), (side * 0.66 * spread, -0.5)
    arm = smooth([(side * 0.3, -0.28), elbow, hand], closed=False)
    pen.line(arm, 0.16, darker(skin, 0.45))
    pen.line(arm, 0.11, skin)
    for dx in (-0.09, 0.0, 0.1):
        pen.line([hand, (hand[0] + dx, hand[1] - 0.13)], 0.04, skin)
        pen.dot(hand[0] + dx, hand[1] - 0.13, 0.035, lighter(skin, 0.25))


def lizard(pen: Pen, rng: Rng, *, hue: Range, mark: str) -> None:
    """A winding lizard from above: lined lengthwise, with ringed spots, or banded across."""
    skin = hsv(rng.uniform(*hue), rng.uniform(0.4, 0.7), rng.uniform(0.45, 0.75))
    pale, dark = lighter(skin, 0.6), darker(skin, 0.6)
    phase, swing = rng.uniform(0, 6.28), rng.uniform(0.12, 0.24)
    spine = [
        (swing * (0.3 + i / 48) * math.sin(phase + i * 0.13), -0.98 + 2.1 * i / 48)
        for i in range(49)
    ]
    widths = [_lizard_width(i / 48) for i in range(49)]
    body = Strip(spine, widths)
    for along, way in ((0.2, -0.3), (0.43, 0.28)):
        for side in (-1, 1):
            _lizard_leg(pen, body.at(along, 0), side, way + rng.uniform(-0.08, 0.08), skin)
    pen.flat(body.outline(), darker(skin, 0.5))
    pen.flat(body.patch(0, 1, -0.88, 0.88), darker(skin, 0.1))
    pen.flat(body.patch(0.01, 1, -0.1, 0.66), lighter(skin, 0.12))
    if mark == "lines":
        for low in (-0.72, -0.14, 0.44):
            pen.flat(body.patch(0.12, 0.85, low, low + 0.28), pale if low != -0.14 else dark)
    elif mark == "bands":
        for i in range(9):
            start = 0.16 + 0.08 * i
            pen.flat(body.patch(start, start + 0.035, -0.88, 0.88), dark)
    else:
        for i in range(12):
            x, y = body.at(0.16 + 0.032 * i, 0.45 if i % 2 else -0.45)
            pen.dot(x, y, 0.055, dark)
            pen.dot(x, y, 0.03, pale)
    for side in (-0.8, 0.8):
        pen.dot(*body.at(0.05, side), 0.035, BLACK)


def _lizard_width(along: float) -> float:
    """Half-width from snout (0) to tail tip (1)."""
    knots = (0.06, 0.16, 0.12, 0.18, 0.21, 0.2, 0.15, 0.1, 0.075, 0.055, 0.04, 0.025, 0.008)
    place = along * (len(knots) - 1)
    i = min(int(place), len(knots) - 2)
    return knots[i] + (knots[i + 1] - knots[i]) * (place - i)


def _lizard_leg(pen: Pen, hip: Point, side: int, way: float, skin: Colour) -> None:
    knee = (hip[0] + side * 0.34, hip[1] + way * 0.3)
    foot = (hip[0] + side * 0.46, hip[1] + way)
    pen.line([hip, knee, foot], 0.105, darker(skin, 0.5))
    pen.line([hip, knee, foot], 0.07, skin)
    for dx, dy in ((0.13, 0.3), (0.16, 0.75), (0.06, 1.1)):
        tip = (foot[0] + side * dx, foot[1] + math.copysign(dy, way) * 0.12)
        pen.line([foot, tip], 0.03, darker(skin, 0.3))


def snail(pen: Pen, rng: Rng, *, hue: Range, bands: int) -> None:
    """A snail facing positive x, its coiled shell with `bands` dark bands."""
    shell = hsv(rng.uniform(*hue), rng.uniform(0.35, 0.7), rng.uniform(0.65, 0.92))
    skin = hsv(rng.uniform(22, 48), rng.uniform(0.18, 0.35), rng.uniform(0.4, 0.68))
    dark = darker(shell, 0.62)
    stretch = rng.uniform(0.88, 1.1)
    foot: list[Point] = [
        (-1.05, 0.78), (-0.5, 0.52), (0.3, 0.5), (0.62 * stretch, 0.3), (0.78 * stretch, 0.02),
        (0.98 * stretch, 0.04), (1.0 * stretch, 0.32), (0.85 * stretch, 0.74), (0.0, 0.82),
    ]  # fmt: skip
    for x in (0.84, 0.95):
        tip = ((x + rng.uniform(0.0, 0.16)) * stretch, rng.uniform(-0.42, -0.25))
        pen.line([(x * stretch, 0.1), tip], 0.04, darker(skin, 0.2))
        pen.dot(*tip, 0.045, darker(skin, 0.5))
    pen.solid(smooth(foot), skin, 3)
    pen.line([(-0.9, 0.77), (0.0, 0.8), (0.8, 0.72)], 0.03, lighter(skin, 0.25))
    pen.solid(oval(0.3, 0.36, 0.26, 0.3, -0.5), dark, 3)
    pen.solid(oval(-0.14, 0.02, 0.64, 0.6), shell, 5)
    for level in (i - (bands - 1) / 2 for i in range(bands)):
        whorl = [_coil(i / 40, level) for i in range(38)]
        pen.line(whorl, 0.06, dark)
    pen.line([_coil(i / 40, 1.0) for i in range(14, 40)], 0.03, darker(shell, 0.5))
    pen.line([_coil(i / 40, 0.72) for i in range(22, 34)], 0.03, lighter(shell, 0.6))


def _coil(t: float, level: float) -> Point:
    """A point of the shell's tube at t in [0, 1], mouth to tip; `level` in [-1, 1] is across it."""
    angle = 0.6 - t * 4.6 * math.pi
    shrink = 0.12**t
    reach = (0.44 + 0.18 * level) * shrink
    return -0.14 + reach * math.cos(angle), 0.02 + reach * math.sin(angle)
