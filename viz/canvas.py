"""A sheet on which pictures and text are placed by hand, in inches from its upper left corner.

One pair of axes holds all: hundreds of tiles then cost no more than their pixels, and no layout
engine moves, clips or resizes anything.
"""

import re
from bisect import bisect_right
from collections.abc import Sequence
from functools import cache

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.patches import Rectangle
from matplotlib.patheffects import AbstractPathEffect, withStroke
from matplotlib.textpath import text_to_path

from .themes import Theme

Pixels = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.floating]

MASK_COLOURS = "cividis"  # even in lightness, and the same for colour-blind readers
POINTS = 72.0  # an inch
LINE = 1.3  # height of a line of text against its size


class Canvas:
    """A figure of `width` times `height` inches. What is drawn is in `figure`."""

    def __init__(self, width: float, height: float, theme: Theme) -> None:
        self.width, self.height, self.theme = width, height, theme
        self.figure = Figure(figsize=(width, height), facecolor=theme.ground)
        self.figure.suppressComposite = True  # vector files keep each picture's own pixels
        self.axes = self.figure.add_axes((0, 0, 1, 1))
        self.axes.set_axis_off()
        self._hold()

    def picture(
        self, image: Pixels, left: float, top: float, width: float, height: float
    ) -> tuple[float, float, float, float]:
        """Draw (H, W, 3) uint8 in the middle of a box, as large as its shape allows.

        Returns what it covers: left, top, width, height.
        """
        scale = min(width / image.shape[1], height / image.shape[0])
        w, h = image.shape[1] * scale, image.shape[0] * scale
        left, top = left + (width - w) / 2, top + (height - h) / 2
        self.axes.imshow(image, extent=(left, left + w, top + h, top), aspect="auto")
        self._hold()
        return left, top, w, h

    def contour(self, mask: Floats, left: float, top: float, width: float, height: float) -> None:
        """Draw the line where a mask (H, W) crosses one half; nothing where it doesn't."""
        if not mask.min() < 0.5 < mask.max():
            return
        rows, columns = mask.shape
        x = left + (np.arange(columns) + 0.5) / columns * width
        y = top + (np.arange(rows) + 0.5) / rows * height
        halo: list[AbstractPathEffect] = [withStroke(linewidth=1.8, foreground="black")]
        lines = self.axes.contour(x, y, mask, levels=[0.5], colors="white", linewidths=0.9)
        lines.set_path_effects(halo)
        self._hold()

    def mark(self, left: float, top: float, width: float, height: float) -> None:
        """Draw a frame that is found on any photograph."""
        frame = Rectangle(
            (left, top), width, height, fill=False, edgecolor=self.theme.bad, linewidth=1.6
        )
        frame.set_path_effects([withStroke(linewidth=3, foreground="white")])
        self.axes.add_patch(frame)

    def text(
        self,
        lines: Sequence[str],
        x: float,
        y: float,
        *,
        size: float,
        muted: bool = False,
        align: str = "center",
        upright: bool = False,
    ) -> None:
        """Write lines below one another from y on; upright ones read from below, centred on y.

        size: points. align: what x is of the text: left, center or right.
        """
        for number, line in enumerate(lines):
            self.axes.text(
                x,
                y + number * line_height(size),
                with_glyphs(line),
                fontsize=size,
                color=self.theme.muted if muted else self.theme.ink,
                horizontalalignment=align,
                verticalalignment="center" if upright else "top",
                rotation=90 if upright else 0,
                parse_math=False,
            )

    def scale_bar(self, left: float, top: float, width: float, height: float) -> None:
        """Draw the colours of masks from 0 to 1."""
        ramp = np.linspace(0, 1, 256)[None]
        extent = (left, left + width, top + height, top)
        self.axes.imshow(ramp, extent=extent, aspect="auto", cmap=MASK_COLOURS)
        self._hold()

    def _hold(self) -> None:
        """Keep one unit an inch; what is drawn would move the limits."""
        self.axes.set(xlim=(0, self.width), ylim=(self.height, 0))


def line_height(size: float) -> float:
    """Inches of one line of text of this size in points."""
    return size * LINE / POINTS


def text_width(text: str, size: float) -> float:
    """Inches that a line of text is wide."""
    return (
        text_to_path.get_text_width_height_descent(with_glyphs(text), _font(size), False)[0]
        / POINTS
    )


def fitted(text: str, width: float, size: float, lines: int) -> list[str]:
    """Text in at most `lines` lines of at most `width` inches; what is too long ends in `…`.

    Breaks at spaces, underscores and hyphens where it can, else within a word.
    """
    out: list[str] = []
    rest = " ".join(text.split())
    while rest and len(out) < lines:
        if text_width(rest, size) <= width:
            return [*out, rest]
        if len(out) == lines - 1:
            kept = _longest(rest, width - text_width("…", size), size)
            return [*out, rest[:kept].rstrip() + "…"]
        room = _longest(rest, width, size)
        breaks = [match.end() for match in re.finditer("[ _-]", rest[: room + 1])]
        cut = next((at for at in reversed(breaks) if len(rest[:at].rstrip()) <= room), 0)
        # a break that leaves most of the line empty is worse than one within a word
        cut = cut if cut > room // 2 else room
        out.append(rest[:cut].rstrip())
        rest = rest[cut:].lstrip()
    return out


def _longest(text: str, width: float, size: float) -> int:
    """How many characters of a text fit into `width` inches, at least one."""
    lengths = range(1, len(text) + 1)
    return max(1, bisect_right(lengths, width, key=lambda n: text_width(text[:n], size)))


@cache
def _font(size: float) -> FontProperties:
    return FontProperties(size=size)


def with_glyphs(text: str) -> str:
    """Text with a question mark for each character that the font can't show."""
    font = get_font(findfont(_font(10)))
    return "".join(
        one if one.isprintable() and font.get_char_index(ord(one)) else "?" for one in text
    )
