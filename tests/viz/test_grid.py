"""Grids: every tile in its place, all text within the sheet, whatever its length."""

from collections.abc import Callable

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from mixzoo.viz.canvas import fitted, text_width
from mixzoo.viz.grid import Column, Key, Row, Tile, draw_grid
from mixzoo.viz.mix import Pairs, mix_rows
from mixzoo.viz.themes import DARK, LIGHT

KEY = Key("low", "high", "a note")


def texts(figure: Figure) -> list[str]:
    """All that is written, in the order in which it was."""
    return [text.get_text() for text in figure.axes[0].texts]


def extents(figure: Figure) -> list[tuple[float, float, float, float]]:
    """Where the pictures lie: left, right, bottom, top in inches from the upper left corner."""
    return [image.get_extent() for image in figure.axes[0].images]


def overflowing(figure: Figure) -> list[str]:
    """What is written beyond the sheet's edges."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    boxes = [(t.get_text(), t.get_window_extent()) for t in figure.axes[0].texts]
    width, height = canvas.get_width_height()
    return [t for t, box in boxes if box.x0 < 0 or box.y0 < 0 or box.x1 > width or box.y1 > height]


def test_tiles_stand_in_rows_and_columns(picture: Callable) -> None:
    """Columns share their left edges, rows their upper ones, and nothing overlaps."""
    column = Column((Tile(picture(0), "one"), Tile(picture(1), "two")), "title")

    figure = draw_grid([Row((column, column)), Row((column, column))])

    places = extents(figure)
    lefts, tops = {round(p[0], 6) for p in places}, {round(p[3], 6) for p in places}
    assert (len(places), len(lefts), len(tops)) == (8, 2, 4)
    assert min(abs(a - b) for a in tops for b in tops if a != b) > places[0][1] - places[0][0]
    assert np.array_equal(figure.axes[0].images[2].get_array(), picture(1))


def test_titles_are_not_repeated_below_each_other(picture: Callable) -> None:
    """A row under the same titles has none; one under others has its own."""
    first, other = (Column((Tile(picture(0)),), title) for title in ("mixup", "cutmix"))

    figure = draw_grid([Row((first,)), Row((first,)), Row((other,))])

    assert texts(figure) == ["mixup", "cutmix"]


@pytest.mark.parametrize("columns", [1, 3, 6, 12])
def test_tiles_fit_a_printed_page_while_label_weights_fit_tiles(
    columns: int, picture: Callable
) -> None:
    """A page's width is kept to as long as text of 7 points fits under a tile."""
    row = Row((Column((Tile(picture(0), "A 0.50 · B 0.50"),)),) * columns)

    figure = draw_grid([row])

    assert "A 0.50 · B 0.50" in texts(figure)
    assert figure.get_size_inches()[0] <= (7.2 + 1e-6 if columns <= 6 else 13)


@pytest.mark.parametrize("theme", [LIGHT, DARK])
@pytest.mark.parametrize(
    "name", ["short", "a_very_long_file_name_" * 6, "many words " * 20, "W" * 90]
)
def test_no_text_leaves_the_sheet(theme: object, name: str, picture: Callable) -> None:
    """Names of any length are broken or cut, also in titles, labels and the key's note."""
    rows = mix_rows(
        Pairs([(picture(0), picture(1))] * 2, [(name, name)] * 2), ["mixup"], [0.2, 0.7]
    )
    rows.append(
        Row((Column((Tile(picture(0), name),), name),), label=name, key=Key("a", "b", name))
    )

    figure = draw_grid(rows, theme, title=name)

    assert overflowing(figure) == []
    assert figure.get_facecolor()[:3] == pytest.approx(
        tuple(int(theme.ground[i : i + 2], 16) / 255 for i in (1, 3, 5))
    )


def test_a_key_stands_once_below_all(picture: Callable) -> None:
    """Equal keys of several rows are one, a different one stands beside it."""
    tile = Column((Tile(picture(0)),))
    keys = [KEY, Key("B", "A", "another"), KEY, None]

    figure = draw_grid([Row((tile, tile), key=key) for key in keys])

    assert texts(figure) == ["low", "high", "a note", "B", "A", "another"]
    assert [image.get_array().shape for image in figure.axes[0].images[8:]] == [(1, 256)] * 2


def test_a_masks_line_is_drawn_where_it_crosses_one_half(picture: Callable) -> None:
    """Between the two halves; an even mask has none, and says nothing of it."""
    mask = np.zeros((64, 64))
    mask[:, 16:] = 1
    halves = Tile(picture(0), contour=mask)
    even = Tile(picture(0), contour=np.full((64, 64), 0.3))

    figure = draw_grid([Row((Column((halves, even)),))], tile=1.0)

    (line,) = figure.axes[0].collections
    left = extents(figure)[0][0]
    x = np.concatenate([path.vertices for path in line.get_paths()])[:, 0]
    np.testing.assert_allclose(x, left + 0.25, atol=1e-6)


def test_a_marked_place_is_framed(picture: Callable) -> None:
    """Shares of the picture become inches of the sheet."""
    tile = Tile(picture(0), mark=(0.5, 0.25, 0.125, 0.25))

    figure = draw_grid([Row((Column((tile,)),))], tile=2.0)

    (frame,) = figure.axes[0].patches
    left, _, _, top = extents(figure)[0]
    assert frame.get_xy() == pytest.approx((left + 0.5, top + 1.0))
    assert (frame.get_width(), frame.get_height()) == pytest.approx((0.5, 0.25))


@pytest.mark.parametrize("shape", [(30, 60), (60, 30), (90, 30)])
def test_pictures_of_any_shape_keep_it(shape: tuple[int, int]) -> None:
    """Released pictures are no squares; a very tall one gets narrow rather than the sheet long."""
    image = np.zeros((*shape, 3), np.uint8)

    figure = draw_grid([Row((Column((Tile(image),)),))], tile=1.0)

    left, right, bottom, top = extents(figure)[0]
    assert (bottom - top) / (right - left) == pytest.approx(shape[0] / shape[1])
    assert bottom - top <= 1.5 + 1e-6
    assert right - left <= 1.0 + 1e-6


def test_an_empty_grid_is_refused() -> None:
    """There is nothing to draw."""
    with pytest.raises(ValueError, match="at least one row"):
        draw_grid([])


@pytest.mark.parametrize("text", ["", "one", "two words", "x" * 200, "mixed " * 40, "ends  double"])
def test_text_is_fitted_without_losing_its_begin(text: str) -> None:
    """Each line fits; all words stand there, or the last line ends in an ellipsis."""
    lines = fitted(text, 1.0, 7, 2)

    assert len(lines) <= 2
    assert all(text_width(line, 7) <= 1.0 for line in lines)
    joined = "".join(lines).replace(" ", "")
    whole = text.replace(" ", "")
    assert joined == whole or (joined.endswith("…") and whole.startswith(joined[:-1]))


def test_what_the_font_lacks_becomes_a_question_mark(picture: Callable) -> None:
    """A file's name in another script, a control character or a `$` breaks nothing."""
    figure = draw_grid([Row((Column((Tile(picture(0), "猫\x1b $x_1$ é"),)),))])

    assert texts(figure) == ["?? $x_1$ é"]
    assert overflowing(figure) == []
