"""Outlines as lists of points, in the unit coordinates of one organism (x right, y down)."""

import math
from collections.abc import Sequence

Point = tuple[float, float]
_CIRCLE = tuple((math.cos(i * math.pi / 12), math.sin(i * math.pi / 12)) for i in range(24))


def oval(x: float, y: float, rx: float, ry: float, tilt: float = 0.0) -> list[Point]:
    """Ellipse of 24 points around (x, y); `tilt` in radians turns it clockwise on the screen."""
    c, s = math.cos(tilt), math.sin(tilt)
    return [(x + rx * u * c - ry * v * s, y + rx * u * s + ry * v * c) for u, v in _CIRCLE]


def smooth(anchors: Sequence[Point], *, closed: bool = True, steps: int = 4) -> list[Point]:
    """Catmull-Rom curve through the anchors, with `steps` points from each anchor to the next."""
    n = len(anchors)
    at = [anchors[i % n] if closed else anchors[min(max(i, 0), n - 1)] for i in range(-1, n + 2)]
    curve: list[Point] = []
    for (ax, ay), (bx, by), (cx, cy), (dx, dy) in zip(at, at[1:], at[2:], at[3:], strict=False):
        for step in range(steps):
            t = step / steps
            p, q = 0.5 * t * (t * (2 - t) - 1), 0.5 * (t * t * (3 * t - 5) + 2)
            r, s = 0.5 * t * (t * (4 - 3 * t) + 1), 0.5 * t * t * (t - 1)
            curve.append((p * ax + q * bx + r * cx + s * dx, p * ay + q * by + r * cy + s * dy))
    # An open curve ends at its last anchor; the segment that the padding adds after it is dropped.
    return curve if closed else [*curve[: (n - 1) * steps], anchors[-1]]


def mirrored(half: Sequence[Point]) -> list[Point]:
    """A closed outline from its right half, given from top to bottom."""
    return [*half, *((-x, y) for x, y in reversed(half))]


def turned(points: Sequence[Point], angle: float, squash: float = 1.0) -> list[Point]:
    """The points turned by `angle` radians around the origin, then flattened along y."""
    c, s = math.cos(angle), math.sin(angle)
    return [(x * c - y * s, (x * s + y * c) * squash) for x, y in points]


def shrunk(
    points: Sequence[Point], keep: float, keep_y: float | None = None, *, to: Point = (0.0, 0.0)
) -> list[Point]:
    """The points drawn towards `to`, keeping a share of their distance (along y another one)."""
    (x0, y0), share_y = to, keep if keep_y is None else keep_y
    return [(x0 + (x - x0) * keep, y0 + (y - y0) * share_y) for x, y in points]


class Strip:
    """A long body: a spine with a width on each side, on which bands and stripes can be laid.

    `left` and `right` are half-widths at each point of the spine, measured across it.
    """

    def __init__(
        self, spine: Sequence[Point], left: Sequence[float], right: Sequence[float] | None = None
    ) -> None:
        self.spine, self.left, self.right = list(spine), left, right or left
        self._normals: list[Point] = []
        for (ax, ay), (bx, by) in zip([spine[0], *spine], [*spine[1:], spine[-1]], strict=False):
            length = math.hypot(bx - ax, by - ay) or 1.0
            self._normals.append(((by - ay) / length, (ax - bx) / length))

    def at(self, along: float, across: float) -> Point:
        """The point at `along` in [0, 1] of the spine and `across` in [-1, 1] of its width."""
        i = min(max(round(along * (len(self.spine) - 1)), 0), len(self.spine) - 1)
        (x, y), (nx, ny) = self.spine[i], self._normals[i]
        reach = across * (self.left[i] if across > 0 else self.right[i])
        return x + nx * reach, y + ny * reach

    def outline(self) -> list[Point]:
        """The whole strip as a closed outline."""
        return self.patch(0.0, 1.0, -1.0, 1.0)

    def patch(self, start: float, end: float, low: float, high: float) -> list[Point]:
        """The part of the strip with `along` in [start, end] and `across` in [low, high]."""
        n = max(round((end - start) * (len(self.spine) - 1)), 1)
        along = [start + (end - start) * i / n for i in range(n + 1)]
        return [*(self.at(t, high) for t in along), *(self.at(t, low) for t in reversed(along))]


def tapered(start: Point, end: Point, wide: float, thin: float, bend: float = 0.0) -> list[Point]:
    """A stalk, tail or blade from `start` to `end`, whose half-width goes from `wide` to `thin`."""
    (ax, ay), (bx, by) = start, end
    spine = [
        (
            ax + (bx - ax) * t - (by - ay) * bend * math.sin(math.pi * t),
            ay + (by - ay) * t + (bx - ax) * bend * math.sin(math.pi * t),
        )
        for t in (i / 8 for i in range(9))
    ]
    return Strip(spine, [wide + (thin - wide) * i / 8 for i in range(9)]).outline()
