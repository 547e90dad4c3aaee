"""Butterflies, beetles and spiders, seen from above with the head towards negative y."""

import math
from itertools import product

from .pen import BLACK, WHITE, Colour, Pen, Range, Rng, blend, darker, hsv, lighter
from .shapes import Point, Strip, mirrored, oval, shrunk, smooth

_FOREWING: list[Point] = [
    (0.04, -0.22), (0.3, -0.72), (0.72, -1.0), (1.0, -0.98), (0.98, -0.62), (0.78, -0.22),
    (0.5, 0.04), (0.04, 0.06),
]  # fmt: skip
_HINDWING: list[Point] = [
    (0.04, -0.02), (0.45, 0.0), (0.76, 0.16), (0.8, 0.5), (0.6, 0.78), (0.34, 0.76), (0.04, 0.3),
]  # fmt: skip
_TAILED: list[Point] = [
    (0.04, -0.02), (0.45, 0.0), (0.74, 0.14), (0.76, 0.48), (0.62, 0.7), (0.6, 1.08), (0.5, 1.1),
    (0.46, 0.78), (0.3, 0.74), (0.04, 0.3),
]  # fmt: skip


def butterfly(pen: Pen, rng: Rng, *, hue: Range, mark: str, tailed: bool = False) -> None:
    """Four open wings with a dark margin: banded, eyed or plain, the hind wings tailed or not."""
    ground = hsv(rng.uniform(*hue), rng.uniform(0.6, 0.9), rng.uniform(0.7, 0.98))
    margin = darker(hsv(rng.uniform(*hue) - 15, 0.7, rng.uniform(0.2, 0.4)), 0.2)
    pale = lighter(ground, rng.uniform(0.45, 0.75))
    hind = _TAILED if tailed else _HINDWING
    for side in (-1, 1):
        openness = rng.uniform(0.78, 1.0) * side
        for wing, tone in ((hind, darker(ground, 0.1)), (_FOREWING, ground)):
            full = [(x * openness, y) for x, y in smooth(wing, steps=3)]
            _wing(pen, full, openness, (tone, margin, pale), mark)
        if mark == "eyes":
            for x, y, size in ((0.74, -0.72, 0.12), (0.56, 0.46, 0.13)):
                pen.dot(x * openness, y, size, lighter(pale, 0.3))
                pen.dot(x * openness, y, size * 0.78, margin)
                pen.dot(x * openness, y, size * 0.45, hsv(rng.uniform(195, 225), 0.7, 0.85))
                pen.dot(x * openness - 0.02, y - 0.03, size * 0.16, WHITE)
    for side in (-1, 1):
        feeler = smooth(
            [(0.02 * side, -0.4), (0.12 * side, -0.7), (0.3 * side, -0.92)], closed=False
        )
        pen.line(feeler, 0.018, BLACK)
        pen.dot(0.3 * side, -0.92, 0.03, BLACK)
    spine: list[Point] = [(0, -0.38 + i * 0.1) for i in range(10)]
    body = Strip(spine, [0.05, 0.085, 0.095, 0.075, 0.07, 0.075, 0.07, 0.06, 0.045, 0.02])
    pen.solid(body.outline(), blend(margin, ground, 0.2), 3)
    pen.ball(0, -0.4, 0.075, margin)


def _wing(
    pen: Pen, full: list[Point], openness: float, tones: tuple[Colour, Colour, Colour], mark: str
) -> None:
    ground, margin, pale = tones
    cx, cy = 0.4 * openness, sum(y for _, y in full) / len(full)
    pen.flat(full, margin)
    for keep, tone in ((0.84, darker(ground, 0.15)), (0.7, ground), (0.45, lighter(ground, 0.15))):
        pen.flat(shrunk(full, keep, to=(cx, cy)), tone)
    if mark == "band":
        rim = full[4:-4]
        pen.flat([*shrunk(rim, 0.78), *reversed(shrunk(rim, 0.6))], pale)
    for x, y in full[5:-5:3]:
        pen.line([(0.05 * openness, 0.0), (x * 0.88, y * 0.88)], 0.012, blend(ground, margin, 0.6))
    for x, y in shrunk(full[5:-4:2], 0.92, to=(cx, cy)):
        pen.dot(x, y, 0.024, pale)


def beetle(pen: Pen, rng: Rng, *, hue: Range, spots: int = 0, stripes: bool = False) -> None:
    """A round-backed beetle with `spots` spots on each wing case, or pale lengthwise stripes."""
    shell = hsv(rng.uniform(*hue), rng.uniform(0.65, 0.92), rng.uniform(0.55, 0.92))
    wide, long = rng.uniform(0.52, 0.64), rng.uniform(0.72, 0.85)
    for side in (-1, 1):
        for y, reach in ((-0.3, -0.35), (0.02, 0.05), (0.35, 0.42)):
            knee: Point = (side * (wide + 0.24), y + reach * 0.4 + rng.uniform(-0.06, 0.06))
            foot: Point = (side * (wide + 0.38), y + reach + rng.uniform(-0.08, 0.12))
            pen.line([(side * wide * 0.6, y), knee, foot], 0.055, BLACK)
        feeler: list[Point] = [(side * 0.08, -0.72), (side * 0.3, -0.98), (side * 0.48, -1.0)]
        pen.line(smooth(feeler, closed=False), 0.035, BLACK)
    pen.ball(0, -0.68, 0.2, (46, 40, 44))
    neck: list[Point] = [(0, -0.72), (0.26, -0.66), (0.44, -0.44), (0.34, -0.28), (0, -0.24)]
    pen.solid(smooth(mirrored(neck)), (50, 44, 50), 3)
    for side in (-1, 1):
        pen.dot(side * 0.25, -0.52, 0.06, lighter(shell, 0.65))
    pen.solid(oval(0, 0.16, wide, long * 0.82), shell, 5)
    if stripes:
        for side in (-1, 1):
            for x in (0.3, 0.68):
                stripe = [
                    (side * wide * x * math.cos(t * 0.11), 0.16 + long * 0.7 * t / 10)
                    for t in range(-10, 11)
                ]
                pen.line(stripe, 0.07, blend(lighter(shell, 0.75), WHITE, 0.4))
    places = ((0.48, -0.3), (0.5, 0.42), (0.4, 0.06))[:spots]
    for side, (x, y) in product((-1, 1), places):
        size = rng.uniform(0.075, 0.12)
        pen.dot(side * wide * x, 0.16 + long * 0.8 * y + rng.uniform(-0.04, 0.04), size, BLACK)
    pen.line([(0, 0.16 - long * 0.8), (0, 0.16 + long * 0.8)], 0.025, darker(shell, 0.75))


def spider(pen: Pen, rng: Rng, *, hue: Range, mark: str) -> None:
    """A garden spider, often in its web, with a pale cross or a chain of lozenges on its back."""
    skin = hsv(rng.uniform(*hue), rng.uniform(0.35, 0.65), rng.uniform(0.4, 0.7))
    pale = lighter(skin, rng.uniform(0.6, 0.85))
    if rng.random() < 0.7:
        _web(pen, rng)
    for side in (-1, 1):
        for angle, reach in ((-1.15, 1.0), (-0.5, 0.82), (0.3, 0.8), (0.95, 1.0)):
            lean = angle + rng.uniform(-0.12, 0.12)
            knee = (side * (0.14 + 0.55 * math.cos(lean)), -0.3 + 0.62 * math.sin(lean) * reach)
            foot = (knee[0] + side * 0.26, knee[1] + math.copysign(0.42, angle) * reach)
            leg = smooth([(side * 0.12, -0.3), knee, foot], closed=False, steps=3)
            pen.line(leg, 0.062, darker(skin, 0.55))
            pen.line(leg[1:], 0.03, lighter(skin, 0.1))
    pen.solid(oval(0, -0.36, 0.2, 0.25), darker(skin, 0.25), 3)
    half: list[Point] = [(0, -0.2), (0.24, -0.1), (0.4, 0.2), (0.28, 0.58), (0, 0.72)]
    pen.solid(smooth(mirrored(half)), skin, 4)
    for x in (-0.07, 0.07):
        pen.dot(x, -0.52, 0.03, BLACK)
    if mark == "cross":
        for i in range(5):
            pen.flat(oval(0, 0.0 + i * 0.1, 0.04, 0.06), pale)
        for x in (-0.22, -0.12, 0.12, 0.22):
            pen.flat(oval(x, 0.13, 0.055, 0.04), pale)
    else:
        for i, size in enumerate((0.14, 0.17, 0.13)):
            y = -0.02 + i * 0.22
            pen.flat([(0, y - 0.11), (size, y), (0, y + 0.11), (-size, y)], pale)


def _web(pen: Pen, rng: Rng) -> None:
    turn, silk = rng.uniform(0, 1), (206, 208, 212)
    spokes = [turn + i * math.pi / 6 for i in range(12)]
    for a in spokes:
        pen.line([(0, 0), (2.6 * math.cos(a), 2.6 * math.sin(a))], 0.008, silk)
    for ring in range(1, 9):
        r = 0.28 * ring
        turns = [(r * math.cos(a), r * math.sin(a)) for a in spokes]
        pen.line([*turns, turns[0]], 0.008, silk)
