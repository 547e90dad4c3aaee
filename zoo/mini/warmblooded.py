"""Songbirds, owls and foxes, upright and facing positive x or the viewer."""

from .pen import BLACK, WHITE, Colour, Pen, Range, Rng, blend, darker, hsv, lighter
from .shapes import Point, mirrored, oval, shrunk, smooth, tapered


def _branch(pen: Pen, rng: Rng, y: float) -> None:
    bark = hsv(rng.uniform(18, 34), rng.uniform(0.3, 0.5), rng.uniform(0.3, 0.5))
    slope = rng.uniform(-0.15, 0.15)
    pen.flat(tapered((-3, y - slope), (3, y + slope), 0.12, 0.07, 0.02), darker(bark, 0.4))
    pen.flat(tapered((-3, y - slope - 0.03), (3, y + slope - 0.03), 0.07, 0.03, 0.02), bark)
    for x in (-1.0, 1.05):
        tip = (x + rng.uniform(0.1, 0.4), y - rng.uniform(0.3, 0.6))
        green = hsv(rng.uniform(80, 130), 0.5, rng.uniform(0.35, 0.6))
        pen.flat(smooth([(x, y), (x + 0.02, y - 0.3), tip, (x + 0.28, y - 0.12)]), green)


def songbird(pen: Pen, rng: Rng, *, hue: Range, mark: str) -> None:
    """A perched songbird with a breast band, a dark cap, or pale wing bars."""
    _branch(pen, rng, 0.84)
    back = hsv(rng.uniform(*hue), rng.uniform(0.4, 0.7), rng.uniform(0.45, 0.75))
    belly = hsv(rng.uniform(20, 52), rng.uniform(0.15, 0.7), rng.uniform(0.82, 0.98))
    dark = darker(back, rng.uniform(0.3, 0.65))
    droop = rng.uniform(-0.1, 0.25)
    pen.flat(tapered((-0.45, 0.16), (-1.2, 0.42 + droop), 0.12, 0.1, 0.04), darker(back, 0.55))
    pen.flat(tapered((-0.45, 0.12), (-1.15, 0.38 + droop), 0.06, 0.05, 0.04), darker(back, 0.3))
    for x in (0.02, 0.2):
        pen.line([(x - 0.08, 0.45), (x, 0.8), (x + 0.14, 0.82)], 0.045, (92, 62, 48))
    outline: list[Point] = [
        (0.68, -0.5), (0.56, -0.78), (0.3, -0.82), (0.1, -0.58), (-0.2, -0.32), (-0.62, 0.08),
        (-0.55, 0.34), (-0.15, 0.58), (0.3, 0.5), (0.58, 0.12), (0.6, -0.25),
    ]  # fmt: skip
    pen.solid(smooth(outline), back, 4)
    breast: list[Point] = [
        (0.62, -0.36), (0.44, -0.3), (0.24, 0.1), (-0.3, 0.4), (-0.12, 0.54), (0.28, 0.46),
        (0.54, 0.12), (0.58, -0.2),
    ]  # fmt: skip
    pen.flat(smooth(breast), belly)
    pen.flat(smooth(shrunk(breast, 0.8, 0.7, to=(0.45, 0.1))), lighter(belly, 0.35))
    if mark == "bib":
        pen.flat(smooth([(0.6, -0.24), (0.38, -0.18), (0.3, 0.02), (0.5, 0.0), (0.6, -0.1)]), dark)
    if mark == "cap":
        cap: list[Point] = [(0.68, -0.55), (0.57, -0.79), (0.3, -0.83), (0.1, -0.58), (0.35, -0.6)]
        pen.flat(smooth(cap), dark)
    pen.flat([(0.64, -0.6), (0.96, -0.47), (0.64, -0.43)], (74, 62, 52))
    pen.line([(0.64, -0.5), (0.92, -0.47)], 0.02, (180, 150, 96))
    pen.eye(0.48, -0.58, 0.075, (110, 66, 32))
    pale = lighter(back, rng.uniform(0.45, 0.9))
    _folded_wing(pen, back, pale if mark == "bars" else None)


def _folded_wing(pen: Pen, back: Colour, bars: Colour | None) -> None:
    wing: list[Point] = [
        (0.26, -0.28), (0.3, -0.05), (0.12, 0.2), (-0.3, 0.32), (-0.82, 0.36), (-0.5, 0.06),
        (-0.15, -0.26),
    ]  # fmt: skip
    pen.solid(smooth(wing), darker(back, 0.25), 3)
    for i in range(4):
        y = 0.04 + i * 0.075
        pen.line([(0.1 - i * 0.06, y), (-0.72 + i * 0.04, 0.34)], 0.022, darker(back, 0.6))
    if bars:
        for x in (0.14, -0.08):
            pen.line([(x - 0.06, -0.2), (x + 0.04, 0.0), (x - 0.04, 0.2)], 0.055, bars)


def owl(pen: Pen, rng: Rng, *, hue: Range, tufts: bool) -> None:
    """An owl facing the viewer, with ear tufts, or with a pale heart-shaped face instead."""
    _branch(pen, rng, 0.88)
    coat = hsv(rng.uniform(*hue), rng.uniform(0.3, 0.55), rng.uniform(0.4, 0.68))
    pale = lighter(coat, rng.uniform(0.5, 0.8))
    half: list[Point] = [
        (0, -0.92), (0.4, -0.82), (0.54, -0.5), (0.5, -0.2), (0.56, 0.3), (0.3, 0.85),
    ]  # fmt: skip
    if tufts:
        reach = rng.uniform(0.96, 1.16)
        for side in (-1, 1):
            ear: list[Point] = [(side * 0.14, -0.84), (side * 0.5, -reach), (side * 0.5, -0.62)]
            pen.flat(ear, darker(coat, 0.4))
            pen.flat(shrunk(ear, 0.9, 0.94), coat)
    pen.solid(smooth(mirrored(half)), coat, 4)
    pen.flat(oval(0, 0.3, 0.36, 0.52), pale)
    for row in range(5):
        for i in range(-2, 3):
            x, y = i * 0.13 + (row % 2) * 0.06, -0.02 + row * 0.15
            if abs(x) < 0.32 - row * 0.02:
                fleck: list[Point] = [(x - 0.05, y - 0.03), (x, y + 0.04), (x + 0.05, y - 0.03)]
                pen.line(fleck, 0.026, darker(coat, 0.3))
    for side in (-1, 1):
        fold: list[Point] = [
            (side * 0.5, -0.25), (side * 0.6, 0.25), (side * 0.4, 0.78), (side * 0.3, 0.2),
        ]  # fmt: skip
        pen.solid(smooth(fold), darker(coat, 0.25), 3)
    _owl_face(pen, rng, (coat, pale), tufts)
    for x in (-0.2, 0.2):
        for toe in (-0.06, 0.0, 0.06):
            pen.line([(x + toe, 0.8), (x + toe * 1.4, 0.92)], 0.045, (196, 160, 88))


def _owl_face(pen: Pen, rng: Rng, tones: tuple[Colour, Colour], tufts: bool) -> None:
    coat, pale = tones
    iris = hsv(rng.uniform(26, 54), 0.85, rng.uniform(0.3, 1.0))
    if tufts:
        for side in (-1, 1):
            pen.flat(oval(side * 0.22, -0.5, 0.25, 0.25), darker(coat, 0.4))
            pen.flat(oval(side * 0.22, -0.5, 0.22, 0.22), blend(coat, pale, 0.6))
    else:
        heart: list[Point] = [(0, -0.62), (0.2, -0.78), (0.42, -0.64), (0.36, -0.32), (0, -0.1)]
        disc = smooth(mirrored(heart))
        pen.flat(disc, darker(coat, 0.35))
        pen.flat(shrunk(disc, 0.9, to=(0.0, -0.46)), blend(coat, pale, 0.8))
    for side in (-1, 1):
        pen.eye(side * 0.21, -0.5, rng.uniform(0.11, 0.15), iris)
    pen.flat([(-0.06, -0.42), (0.06, -0.42), (0, -0.24)], (70, 58, 44))


def fox(pen: Pen, rng: Rng, *, hue: Range, mark: str) -> None:
    """A sitting fox facing the viewer: plain, with a dark eye mask, or with a pale blaze."""
    coat = hsv(rng.uniform(*hue), rng.uniform(0.5, 0.78), rng.uniform(0.55, 0.88))
    dark, white = darker(coat, rng.uniform(0.3, 0.65)), blend(WHITE, coat, rng.uniform(0.02, 0.15))
    curl = rng.uniform(-0.1, 0.15)
    tail: list[Point] = [
        (0.25, 0.95), (0.8, 0.9), (1.05, 0.45), (0.85, curl), (0.66, 0.35), (0.4, 0.6),
    ]  # fmt: skip
    pen.solid(smooth(tail), coat, 3)
    pen.flat(smooth([(1.0, 0.28), (0.86, -0.02 + curl), (0.72, 0.22), (0.86, 0.3)]), white)
    torso: list[Point] = [(0, -0.1), (0.3, 0.0), (0.46, 0.5), (0.42, 1.0), (0, 1.04)]
    pen.solid(smooth(mirrored(torso)), coat, 4)
    pen.flat(smooth(mirrored([(0, 0.05), (0.22, 0.15), (0.24, 0.5), (0, 0.85)])), white)
    for side in (-1, 1):
        pen.flat(oval(side * 0.17, 1.0, 0.12, 0.1), dark)
    for side in (-1, 1):
        perk = rng.uniform(-0.06, 0.06)
        ear: list[Point] = [(side * 0.1, -0.72), (side * (0.46 + perk), -1.14), (side * 0.6, -0.52)]
        pen.flat(ear, dark)
        pen.flat(shrunk(ear, 0.93, 0.9, to=(side * 0.21, -0.5)), coat)
        pen.flat(shrunk(ear, 0.72, 0.74, to=(side * 0.29, -0.58)), blend(white, coat, 0.3))
    face: list[Point] = [
        (0, -0.78), (0.36, -0.7), (0.6, -0.34), (0.66, -0.12), (0.3, 0.1), (0, 0.26),
    ]  # fmt: skip
    pen.solid(smooth(mirrored(face)), coat, 4)
    _fox_face(pen, rng, (dark, white), mark)


def _fox_face(pen: Pen, rng: Rng, tones: tuple[Colour, Colour], mark: str) -> None:
    dark, white = tones
    for side in (-1, 1):
        cheek: list[Point] = [
            (side * 0.04, 0.2), (side * 0.1, -0.16), (side * 0.36, -0.2), (side * 0.64, -0.12),
            (side * 0.3, 0.09),
        ]  # fmt: skip
        pen.flat(smooth(cheek), white)
        if mark == "mask":
            pen.flat(oval(side * 0.27, -0.32, 0.19, 0.12, side * 0.5), dark)
    if mark == "blaze":
        wide = rng.uniform(0.05, 0.1)
        blaze: list[Point] = [(0, -0.76), (wide, -0.6), (wide * 0.8, -0.2), (0.04, 0.1)]
        pen.flat(smooth(mirrored(blaze)), white)
    for side in (-1, 1):
        pen.eye(side * 0.26, -0.32, 0.085, hsv(rng.uniform(28, 50), 0.8, 0.8))
    pen.flat(smooth([(-0.09, 0.1), (0.09, 0.1), (0.03, 0.21), (-0.03, 0.21)]), BLACK)
    pen.dot(-0.02, 0.125, 0.02, (150, 140, 140))
