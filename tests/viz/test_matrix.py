"""The matrix says of each pair what the comparison found, from both sides."""

from collections.abc import Callable

import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from mixzoo.eval.compare import NamedPredictions, Pair, compare_rows
from mixzoo.eval.predictions import Predictions
from mixzoo.viz.matrix import comparison_plot, comparison_words
from mixzoo.viz.save import figure_bytes
from mixzoo.viz.themes import LIGHT
from mixzoo.zoo.errors import UsageError


@pytest.fixture
def rows(made_up: Callable[..., Predictions]) -> list[NamedPredictions]:
    """B misses what A does and 30 more; C misses as many as A, other ones; D is A."""
    misses = {"A": (60, 0), "B": (90, 0), "C": (60, 30), "D": (60, 0)}
    return [NamedPredictions(name, made_up(*miss)) for name, miss in misses.items()]


@pytest.fixture
def pairs(rows: list[NamedPredictions]) -> tuple[Pair, ...]:
    return compare_rows(rows)


def cells(figure: Figure) -> dict[tuple[int, int], str]:
    """Row and column -> what is written there."""
    found: dict[tuple[int, int], str] = {}
    for text in figure.axes[0].texts:
        x, y = text.get_position()
        place = (round(y), round(x))
        found[place] = f"{found[place]} | {text.get_text()}" if place in found else text.get_text()
    return found


def figure_patches(figure: Figure) -> dict[tuple[int, int], str]:
    """Row and column -> colour, of the filled cells."""
    return {
        (round(p.get_y() + 0.5), round(p.get_x() + 0.5)): to_hex(p.get_facecolor())
        for p in figure.axes[0].patches
    }


def test_below_the_diagonal_stands_the_difference(pairs: tuple[Pair, ...]) -> None:
    """Of the row minus the column, with its interval and the sign."""
    found = cells(comparison_plot(pairs))

    a_b = next(pair for pair in pairs if (pair.a, pair.b) == ("A", "B"))
    low, high = a_b.interval95
    assert a_b.difference == pytest.approx(10)
    assert found[1, 0] == f"▼ -10.00 | {-high:+.2f} to {-low:+.2f}"
    assert found[2, 1].startswith("▲ +10.00 | ")


def test_above_the_diagonal_stands_the_test(pairs: tuple[Pair, ...]) -> None:
    """Holm's p, and how many images only the row and only the column gets right."""
    found = cells(comparison_plot(pairs))

    a_c = next(pair for pair in pairs if (pair.a, pair.b) == ("A", "C"))
    assert found[0, 1] == "▲ p < 0.0001 | 30 : 0"
    assert found[0, 2] == f"≈ p = {a_c.p_holm:.2f} | 30 : 30"
    assert found[1, 2] == "▼ p < 0.0001 | 0 : 30"


def test_diagonal_has_the_accuracies(pairs: tuple[Pair, ...]) -> None:
    """Of each row."""
    found = cells(comparison_plot(pairs))

    assert [found[n, n].split(" | ")[0] for n in range(4)] == ["80.00", "70.00", "80.00", "80.00"]


def test_same_images_are_a_sign_of_their_own(pairs: tuple[Pair, ...]) -> None:
    """Equal isn't the same as not distinguishable; zero has no sign."""
    found = cells(comparison_plot(pairs))

    assert found[3, 0].startswith("= 0.00 | ")
    assert found[0, 3] == "= p = 1.00 | 0 : 0"


def test_only_what_is_told_apart_is_coloured(pairs: tuple[Pair, ...]) -> None:
    """Two colours, one for each direction, and the diagonal."""
    patches = figure_patches(comparison_plot(pairs))

    assert patches[1, 0] == patches[1, 2] == LIGHT.bad
    assert patches[0, 1] == patches[2, 1] == LIGHT.good
    assert not {(0, 2), (2, 0), (0, 3), (3, 0)} & patches.keys()


def test_rows_are_named_and_numbered(pairs: tuple[Pair, ...]) -> None:
    """Columns have the numbers alone; the caption explains the signs in use."""
    figure = comparison_plot(pairs[:1])

    axes = figure.axes[0]
    caption = " ".join(text.get_text() for text in figure.texts)
    assert [label.get_text() for label in axes.get_yticklabels()] == ["A  1", "B  2"]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["1", "2"]
    assert "▲ right more often, ▼ right less often (level 0.05)" in caption
    assert "another seed" in caption
    assert "≈" not in caption


def test_pairs_that_werent_asked_for_stay_empty(rows: list[NamedPredictions]) -> None:
    """As with one baseline: A and C were each held against B, not against one another."""
    found = cells(comparison_plot(compare_rows(rows, against="B")))

    assert found.keys() == {(n, n) for n in range(4)} | {
        place for n in (0, 2, 3) for place in ((n, 1), (1, n))
    }
    assert found[1, 2] == "▼ p < 0.0001 | 0 : 30"  # though C was held against B


def test_long_names_stay_on_the_page(made_up: Callable[..., Predictions]) -> None:
    """The first letter isn't cut off, a `$` is a letter."""
    names = ["x" * 60 + "$a$", "Müller's " * 8]
    rows = [NamedPredictions(name, made_up(n)) for n, name in enumerate(names)]

    figure = comparison_plot(compare_rows(rows))
    figure.draw_without_rendering()

    boxes = [label.get_window_extent() for label in figure.axes[0].get_yticklabels()]
    assert min(box.x0 for box in boxes) > 0
    assert b"x$a$" in figure_bytes(figure, "svg")


def test_words_are_the_findings(pairs: tuple[Pair, ...]) -> None:
    """For those who can't see the figure."""
    assert "A is better than B (paired, Holm-corrected p < 0.0001" in comparison_words(pairs)


def test_one_row_has_no_partner() -> None:
    """Two are needed."""
    with pytest.raises(UsageError, match="at least two rows"):
        comparison_plot([])
