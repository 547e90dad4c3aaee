"""Draws rows of labelled pictures: data in, Figure out."""

from collections.abc import Sequence
from dataclasses import dataclass

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
    for number, line in enumerate(heading):
        canvas.text(line, width / 2, MARGIN + number * line_height(TITLE), size=TITLE)
    for plan in plans:
        plan.draw(canvas, left, top)
        top += plan.height + BETWEEN
    top -= BETWEEN
    foot.draw(canvas, left, top)
    return canvas.figure


class _Plan:
    """Where the tiles of one row go, from its upper edge."""

    def __init__(self, row: Row, side: float, head: bool) -> None:
        self.row, self.side = row, side
        self.head = line_height(TITLE) + 0.03 if head else 0.0
        depth = max(len(column.tiles) for column in row.columns)
        self.captions = [self._captions(place) for place in range(depth)]
        self.boxes = [self._box(place) for place in range(depth)]
        self.heights = [
            box + BELOW + max(map(len, captions)) * line_height(TEXT) + GAP
            for box, captions in zip(self.boxes, self.captions, strict=True)
        ]
        self.height = self.head + sum(self.heights)

    def _box(self, place: int) -> float:
        """Inches of height that the pictures of one place need at their width."""
        tiles = [one.tiles[place] for one in self.row.columns if place < len(one.tiles)]
        tallest = max(tile.image.shape[0] / tile.image.shape[1] for tile in tiles)
        return self.side * min(tallest, TALLEST)

    def _captions(self, place: int) -> list[list[str]]:
        """The lines under each column's tile of this place; none where it has no tile."""
        return [
            fitted(column.tiles[place].caption, self.side, TEXT, CAPTION_LINES)
            if place < len(column.tiles)
            else []
            for column in self.row.columns
        ]

    def draw(self, canvas: Canvas, left: float, top: float) -> None:
        if self.row.label:
            middle = top + self.head + (self.height - self.head - GAP) / 2
            for line in fitted(self.row.label, self.height - self.head, TITLE, 1):
                canvas.text(line, left - LABEL / 2, middle, size=TITLE, upright=True)
        for number, column in enumerate(self.row.columns):
            self._column(canvas, number, column, left + number * (self.side + GAP), top)

    def _column(self, canvas: Canvas, number: int, column: Column, x: float, y: float) -> None:
        middle = x + self.side / 2
        if self.head:
            for line in fitted(column.title, self.side, TITLE, 1):
                canvas.text(line, middle, y, size=TITLE)
        y += self.head
        for place, tile in enumerate(column.tiles):
            self._tile(canvas, tile, x, y, self.boxes[place])
            below = y + self.boxes[place] + BELOW
            for line, words in enumerate(self.captions[place][number]):
                canvas.text(words, middle, below + line * line_height(TEXT), size=TEXT, muted=True)
            y += self.heights[place]

    def _tile(self, canvas: Canvas, tile: Tile, x: float, y: float, height: float) -> None:
        left, top, width, height = canvas.picture(tile.image, x, y, self.side, height)
        if tile.contour is not None:
            canvas.contour(tile.contour, left, top, width, height)
        if tile.mark is not None:
            up, from_left, high, wide = tile.mark
            canvas.mark(left + from_left * width, top + up * height, wide * width, high * height)


class _Foot:
    """The keys below all rows: what the colours mean."""

    def __init__(self, rows: Sequence[Row], width: float) -> None:
        keys = list(dict.fromkeys(row.key for row in rows if row.key))
        self.lines = [(key, fitted(key.note, self._room(key, width), TEXT, 3)) for key in keys]
        self.heights = [max(len(note), 1) * line_height(TEXT) + GAP for _, note in self.lines]
        self.height = sum(self.heights)

    def _room(self, key: Key, width: float) -> float:
        """Inches that are left for the note."""
        return width - text_width(key.low + key.high, TEXT) - BAR - 4 * GAP

    def draw(self, canvas: Canvas, left: float, top: float) -> None:
        for (key, note), height in zip(self.lines, self.heights, strict=True):
            canvas.text(key.low, left, top, size=TEXT, muted=True, align="left")
            x = left + text_width(key.low, TEXT) + GAP
            canvas.scale_bar(x, top + 0.01, BAR, line_height(TEXT) - 0.03)
            x += BAR + GAP
            canvas.text(key.high, x, top, size=TEXT, muted=True, align="left")
            x += text_width(key.high, TEXT) + 2 * GAP
            for number, line in enumerate(note):
                y = top + number * line_height(TEXT)
                canvas.text(line, x, y, size=TEXT, muted=True, align="left")
            top += height


def _has_head(above: Row | None, row: Row) -> bool:
    """Whether a row's titles are written: not where they repeat those above."""
    titles = [column.title for column in row.columns]
    return any(titles) and (above is None or titles != [one.title for one in above.columns])
