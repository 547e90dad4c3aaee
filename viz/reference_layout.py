"""The layout of OpenMixup's own pictures of mixed samples: rows of A, B and the mix.

Its plotter (`PlotTensor`, called by the AutoMix classifier) puts the first four images of a batch
above their partners above the mixes, two pixels apart, under a title that tells lam; the releases'
zip files of visualisations hold such pictures.
"""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from .canvas import Canvas, fitted, line_height
from .grid import GAP, LABEL, MARGIN, TITLE
from .pairs import MixedPair, Pixels
from .themes import LIGHT, Theme

PADDING = 2  # pixels between pictures, as in torchvision's make_grid
GROUND = (124, 116, 104)  # between them: a normalised 0, which is ImageNet's mean colour
TILE = 1.1  # inches


def three_rows(sources: Sequence[tuple[Pixels, Pixels]], mixes: Sequence[MixedPair]) -> Pixels:
    """All A above all B above all mixes, as one picture.

    sources: pairs of (H, W, 3) uint8, of one shape, as many as mixes. Returns
    (3 (H + 2) + 2, N (W + 2) + 2, 3) uint8.
    """
    lines = [[a for a, _ in sources], [b for _, b in sources], [mixed.image for mixed in mixes]]
    h, w = lines[0][0].shape[:2]
    size = (3 * (h + PADDING) + PADDING, len(mixes) * (w + PADDING) + PADDING, 3)
    sheet = np.full(size, GROUND, np.uint8)
    for row, line in enumerate(lines):
        for column, image in enumerate(line):
            top, left = PADDING + row * (h + PADDING), PADDING + column * (w + PADDING)
            sheet[top : top + h, left : left + w] = image
    return sheet


def reference_figure(
    sources: Sequence[tuple[Pixels, Pixels]],
    mixes: Sequence[MixedPair],
    theme: Theme = LIGHT,
    *,
    title: str = "",
    beside: Pixels | None = None,
    beside_title: str = "",
) -> Figure:
    """Pairs and their mixes in the reference's three rows, a released picture at their right.

    beside: (H, W, 3) uint8 of any shape, drawn as high as ours without its plain margins. Each has
    its title above it.
    """
    sheet = three_rows(sources, mixes)
    beside = None if beside is None else _trimmed(beside)
    height = 3 * TILE
    widths = [height * one.shape[1] / one.shape[0] for one in (sheet, beside) if one is not None]
    left, top = MARGIN + LABEL, MARGIN + line_height(TITLE) + GAP
    canvas = Canvas(
        left + sum(widths) + (len(widths) - 1) * 3 * GAP + MARGIN, top + height + MARGIN, theme
    )
    for number, label in enumerate(("A", "B", "mixed")):
        middle = top + (number + 0.5) * TILE
        canvas.text(label, left - LABEL / 2, middle, size=TITLE, upright=True)
    for picture, words, width in zip((sheet, beside), (title, beside_title), widths, strict=False):
        assert picture is not None
        for line in fitted(words, width, TITLE, 1):
            canvas.text(line, left + width / 2, MARGIN, size=TITLE)
        canvas.picture(picture, left, top, width, height)
        left += width + 3 * GAP
    return canvas.figure


def _trimmed(image: Pixels) -> Pixels:
    """A picture without the lines at its edges that have the colour of its corner alone."""
    other = (image != image[0, 0]).any(axis=2)
    rows, columns = np.flatnonzero(other.any(axis=1)), np.flatnonzero(other.any(axis=0))
    if not len(rows):
        return image
    return image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
