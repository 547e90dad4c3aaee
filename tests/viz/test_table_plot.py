"""The table's figure shows each number where it belongs, and no place for what isn't known."""

import re
from collections.abc import Callable

import pytest
from matplotlib.axes import Axes
from mixzoo.eval.logs import LogAudit
from mixzoo.viz.report_data import StoredReport
from mixzoo.viz.save import figure_bytes
from mixzoo.viz.table import Logged, ResultsTable, TableLine, results_table, table_plot
from mixzoo.viz.themes import DARK, LIGHT, Theme
from mixzoo.zoo.catalog import open_catalog


@pytest.fixture
def table(report: StoredReport) -> ResultsTable:
    return results_table(open_catalog().benchmark("inat2018").manifest, [report])


def bars(axes: Axes) -> list[float]:
    """Where the published numbers stand, from above."""
    found = [c.get_segments()[0] for c in axes.collections]
    upright = [s for s in found if s[0][0] == s[1][0]]
    return [s[0][0] for s in sorted(upright, key=lambda s: s[0][1])]


def dots(axes: Axes) -> set[tuple[float, str]]:
    """Top-1 and marker of what was logged or recomputed."""
    return {(float(line.get_xdata()[0]), str(line.get_marker())) for line in axes.lines}


def texts(axes: Axes) -> list[str]:
    return [text.get_text() for text in axes.texts]


def test_one_panel_a_backbone_one_bar_a_row(table: ResultsTable) -> None:
    """At the published numbers, in the table's order, with the numbers beside them."""
    first, second = table_plot(table).axes

    lines = table.of("resnext101_32x4d")
    assert [axes.get_title("left") for axes in (first, second)] == list(table.architectures)
    assert bars(second) == [line.reported for line in lines.values()]
    assert [label.get_text() for label in first.get_yticklabels()] == list(table.methods)
    assert {"64.73", "62.53"} <= set(texts(first))


def test_each_backbone_has_its_own_scale(table: ResultsTable) -> None:
    """Else differences within one would drown in those between them."""
    first, second = table_plot(table).axes

    assert first.get_xlim()[1] < second.get_xlim()[0] + 5
    assert first.get_xlim() != second.get_xlim()


def test_recomputed_numbers_have_markers_of_their_verdicts(
    table: ResultsTable, report: StoredReport
) -> None:
    """A circle reproduces, a square is close, a triangle differs, a cross is off."""
    markers = {"reproduced": "o", "close": "s", "differs": "^", "not reproduced": "X"}

    first, _ = table_plot(table).axes

    expected = {(r.top1, markers[r.verdict]) for r in report.rows if r.id.startswith("resnet50.")}
    assert dots(first) == expected


def test_interval_is_that_of_the_default_head(table: ResultsTable, report: StoredReport) -> None:
    """One bar a row, from its lower to its upper end."""
    _, second = table_plot(table).axes

    found = [c.get_segments()[0] for c in second.collections]
    level = [(s[0][0], s[1][0]) for s in found if s[0][1] == s[1][1]]
    samix = next(r for r in report.rows if r.id.startswith("resnext") and r.default_head)
    assert level == [samix.interval95]


def test_logged_numbers_are_diamonds(audit: Callable[..., LogAudit]) -> None:
    """The first head's, and its number."""
    line = TableLine("a.vanilla_x", "vanilla", "a", 62.5, (Logged("head0", 61.5),))
    table = ResultsTable("x", "X", "last epoch", 1, (line,))

    (axes,) = table_plot(table).axes

    assert dots(axes) == {(61.5, "D")}
    assert texts(axes) == ["62.5", "61.50"]


def test_what_isnt_known_has_no_place(table: ResultsTable) -> None:
    """The published table alone is half as high, and its legend has one line."""
    alone = results_table(open_catalog().benchmark("inat2018").manifest)

    figure = table_plot(alone)

    (legend,) = figure.legends
    assert figure.get_figheight() < 0.8 * table_plot(table).get_figheight()
    assert [t.get_text() for t in legend.get_texts()] == ["published (median of the last 5 epochs)"]
    assert not dots(figure.axes[0])


def test_row_without_a_published_number() -> None:
    """A dash, and no bar."""
    table = ResultsTable("x", "X", "last epoch", 1, (TableLine("a.m_x", "m", "a", None),))

    (axes,) = table_plot(table).axes

    assert texts(axes) == ["-"]
    assert bars(axes) == []


def test_narrow_stacks_the_backbones(table: ResultsTable) -> None:
    """For a phone or a column of text; each panel names its lanes then."""
    figure = table_plot(table, narrow=True)

    first, second = figure.axes
    assert figure.get_figheight() > 1.7 * table_plot(table).get_figheight()
    assert second.get_yticklabels()[0].get_text() == first.get_yticklabels()[0].get_text()


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=lambda theme: theme.name)
def test_all_colours_are_the_theme_s(table: ResultsTable, theme: Theme) -> None:
    """So that a page can turn each into a variable."""
    svg = figure_bytes(table_plot(table, theme=theme), "svg").decode()

    assert set(re.findall("#[0-9a-f]{6}", svg)) <= set(theme.roles().values())


def test_names_are_no_formulas() -> None:
    """A `$` in a title or a row is a letter, and marks nothing up."""
    line = TableLine("a$b$.m_x", "m$_", "a$b_$", 50.0)

    svg = figure_bytes(table_plot(ResultsTable("x", "T $x_", "last epoch", 1, (line,))), "svg")

    assert all(text in svg for text in (b"a$b_$", b"T $x_", b"m$_"))
