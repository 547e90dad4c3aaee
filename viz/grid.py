"""Draws rows of labelled pictures: data in, Figure out."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest

from matplotlib.figure import Figure

from .canvas import Canvas, Floats, Pixels, fitted, line_height, text_width
from .themes import LIGHT, Theme

MARGIN = 0.12  # inches around all
GAP = 0.07  # between tiles
TITLE, TEXT = 8.5, 7.0  # points
PAGE = 7.2  # inches that a grid tries to keep to: a printed page's width
SMALLEST, LARGEST = 0.92, 1.7  # inches of a tile's side; below it, label weights don't fit under it
LABEL = 0.24  # inches of the column of row labels
CAPTION_LINES = 2
BETWEEN = 0.1  # inches more between rows than within one
BELOW = 0.02  # inches between a tile and its caption
TALLEST = 1.5  # a tile's height against its width; what is taller gets narrower
BAR = 0.9  # inches of a key's colours


@dataclass(frozen=True)
class Tile:
    """One picture of a grid.

    image: (H, W, 3) uint8. caption: below it, at most two lines. contour: (H, W), a mask whose line
    at one half is drawn on it. mark: a place that is framed: top, left, height, width as shares of
    the picture.
    """

    image: Pixels
    caption: str = ""
    contour: Floats | None = None
    mark: tuple[float, float, float, float] | None = None


@dataclass(frozen=True)
class Column:
    """Tiles one above the other, with a title above them."""

    tiles: tuple[Tile, ...]
    title: str = ""


@dataclass(frozen=True)
class Key:
    """What the two ends of the colours mean, and a note beside them."""

    low: str
    high: str
    note: str = ""


@dataclass(frozen=True)
class Row:
    """Columns side by side. label: written at their left. key: drawn once below all rows."""

    columns: tuple[Column, ...]
    label: str = ""
    key: Key | None = None


def draw_grid(
    rows: Sequence[Row], theme: Theme = LIGHT, *, title: str = "", tile: float | None = None
) -> Figure:
    """Draw rows of pictures, made for a printed page's width where their number allows.

    Titles that equal those of the row above aren't repeated. title: of the whole. tile: inches of
    a tile's side; None is what fits. Returns a figure that no window holds; save it with `savefig`.
    Raises ValueError without any row.
    """
    if not rows:
        raise ValueError("expected at least one row of pictures")
    columns = max(len(row.columns) for row in rows)
    left = MARGIN + (LABEL if any(row.label for row in rows) else 0)
    room = (PAGE - left - MARGIN + GAP) / columns - GAP
    side = tile or min(max(room, SMALLEST), LARGEST)
    width = left + columns * (side + GAP) - GAP + MARGIN
    heads = [_has_head(above, row) for above, row in zip([None, *rows[:-1]], rows, strict=True)]
    plans = [_Plan(row, side, head) for row, head in zip(rows, heads, strict=True)]
    heading = fitted(title, width - 2 * MARGIN, TITLE, 2)
    foot = _Foot(rows, width - left - MARGIN)
    top = MARGIN + len(heading) * line_height(TITLE) + (GAP if heading else 0)
    below = sum(plan.height for plan in plans) + (len(plans) - 1) * BETWEEN + foot.height
    height = top + below + MARGIN - GAP
    canvas = Canvas(width, height, theme)
    canvas.text(heading, width / 2, MARGIN, size=TITLE)
    for plan in plans:
        plan.draw(canvas, left, top)
        top += plan.height + BETWEEN
    foot.draw(canvas, left, top - BETWEEN)
    return canvas.figure


class _Plan:
    """Where a row's tiles go, from its upper edge. lines: tiles of one height, side by side."""

    def __init__(self, row: Row, side: float, head: bool) -> None:
        self.row, self.side = row, side
        self.head = line_height(TITLE) + 0.03 if head else 0.0
        lines = zip_longest(*(column.tiles for column in row.columns))
        self.lines = [_Line(tiles, side) for tiles in lines]
        self.height = self.head + sum(line.height for line in self.lines)

    def draw(self, canvas: Canvas, left: float, top: float) -> None:
        if self.row.label:
            middle = top + self.head + (self.height - self.head - GAP) / 2
            label = fitted(self.row.label, self.height - self.head, TITLE, 1)
            canvas.text(label, left - LABEL / 2, middle, size=TITLE, upright=True)
        step = self.side + GAP
        if self.head:
            for number, column in enumerate(self.row.columns):
                title = fitted(column.title, self.side, TITLE, 1)
                canvas.text(title, left + number * step + self.side / 2, top, size=TITLE)
        top += self.head
        for line in self.lines:
            line.draw(canvas, left, top, step)
            top += line.height


class _Line:
    """Tiles side by side with their captions; None where a column has none."""

    def __init__(self, tiles: Sequence[Tile | None], side: float) -> None:
        self.tiles, self.side = tiles, side
        tallest = max(one.image.shape[0] / one.image.shape[1] for one in tiles if one)
        self.box = side * min(tallest, TALLEST)
        self.captions = [
            fitted(one.caption, side, TEXT, CAPTION_LINES) if one else [] for one in tiles
        ]
        below = max(map(len, self.captions)) * line_height(TEXT)
        self.height = self.box + BELOW + below + GAP

    def draw(self, canvas: Canvas, left: float, top: float, step: float) -> None:
        for number, (tile, words) in enumerate(zip(self.tiles, self.captions, strict=True)):
            if tile is None:
                continue
            start = left + number * step
            x, y, width, height = canvas.picture(tile.image, start, top, self.side, self.box)
            if tile.contour is not None:
                canvas.contour(tile.contour, x, y, width, height)
            if tile.mark is not None:
                up, right, high, wide = tile.mark
                canvas.mark(x + right * width, y + up * height, wide * width, high * height)
            middle = start + self.side / 2
            canvas.text(words, middle, top + self.box + BELOW, size=TEXT, muted=True)


class _Foot:
    """The keys below all rows: what the colours mean."""

    def __init__(self, rows: Sequence[Row], width: float) -> None:
        keys = dict.fromkeys(row.key for row in rows if row.key)
        rooms = {key: width - text_width(key.low + key.high, TEXT) - BAR - 4 * GAP for key in keys}
        self.notes = {key: fitted(key.note, room, TEXT, 7) for key, room in rooms.items()}
        self.heights = [max(len(n), 1) * line_height(TEXT) + GAP for n in self.notes.values()]
        self.height = sum(self.heights)

    def draw(self, canvas: Canvas, left: float, top: float) -> None:
        look = {"size": TEXT, "muted": True, "align": "left"}
        for (key, note), height in zip(self.notes.items(), self.heights, strict=True):
            canvas.text([key.low], left, top, **look)
            x = left + text_width(key.low, TEXT) + GAP
            canvas.scale_bar(x, top + 0.01, BAR, line_height(TEXT) - 0.03)
            canvas.text([key.high], x + BAR + GAP, top, **look)
            canvas.text(note, x + BAR + text_width(key.high, TEXT) + 3 * GAP, top, **look)
            top += height


def _has_head(above: Row | None, row: Row) -> bool:
    """Whether a row's titles are written: not where they repeat those above."""
    titles = [column.title for column in row.columns]
    return any(titles) and (above is None or titles != [one.title for one in above.columns])
