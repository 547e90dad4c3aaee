"""Curves show what the log says, with the window, its median and the published number."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from mixzoo.eval.logs import LogAudit
from mixzoo.viz.curves import CLOSE, LOSS, RATE, WHOLE, curves_plot
from mixzoo.viz.runs import Run, read_run
from mixzoo.viz.save import figure_bytes, inline_svg
from mixzoo.viz.themes import DARK, LIGHT, Theme
from mixzoo.zoo.errors import UsageError


@pytest.fixture
def automix(audit: Callable[..., LogAudit], automix_log: Path) -> Run:
    return read_run(audit(automix_log, top1=17.7, decimals=1))


@pytest.fixture
def cutmix(audit: Callable[..., LogAudit], cutmix_log: Path) -> Run:
    return read_run(audit(cutmix_log))


@pytest.fixture
def long(audit: Callable[..., LogAudit]) -> Run:
    """A run of 60 epochs, from the package's own benchmark."""
    package = Path(__file__).parents[2] / "zoo/mini/assets/resnet18_w6.vanilla_mini.log.json"
    return read_run(audit(package, top1=75.3, decimals=1))


def panels(figure: Figure) -> dict[str, Axes]:
    return {axes.get_title("left"): axes for axes in figure.axes}


def drawn(axes: Axes) -> list[dict[float, float]]:
    """The curves of a panel: x -> y."""
    return [dict(zip(*line.get_data(), strict=True)) for line in axes.lines]


def labels(figure: Figure) -> list[str]:
    (legend,) = figure.legends
    return [text.get_text() for text in legend.get_texts()]


def test_every_head_of_one_run(automix: Run) -> None:
    """Its values by epoch; the legend has the medians."""
    figure = curves_plot([automix])

    curves = drawn(panels(figure)[WHOLE])
    assert curves[:4] == [automix.top1(head) for head in automix.heads]
    assert labels(figure)[0] == "one_k: median 11.67, published 17.7"


def test_window_and_median_are_marked(automix: Run) -> None:
    """The last five epochs, each head's median across them, the number as a line."""
    axes = panels(curves_plot([automix]))[WHOLE]

    span = axes.patches[0].get_window_extent().transformed(axes.transData.inverted())
    medians = [c.get_segments()[0] for c in axes.collections]
    published = axes.lines[4]
    assert (span.x0, span.x1) == pytest.approx((3.5, 8.5))
    assert [m[0][1] for m in medians] == [automix.value(h, "median") for h in automix.heads]
    assert set(published.get_ydata()) == {17.7}


def test_last_epochs_have_a_panel_of_their_own(long: Run) -> None:
    """Where a run is longer than the panel, which shows as many as needed."""
    figure = curves_plot([long])

    near = panels(figure)[CLOSE]
    assert list(drawn(near)[0]) == list(range(29, 41))
    assert near.get_xlim() == pytest.approx((28.4, 40.6))
    assert list(drawn(panels(figure)[WHOLE])[0]) == list(range(1, 41))


def test_short_run_needs_no_close_up(automix: Run) -> None:
    """It would show the same again."""
    assert set(panels(curves_plot([automix]))) == {WHOLE, LOSS, RATE}


def test_losses_and_rates(cutmix: Run) -> None:
    """All lines of the log, the mean of each epoch over them, the learning rate."""
    found = panels(curves_plot([cutmix]))

    raw, means = drawn(found[LOSS])
    assert raw == {p.epoch: p.loss for p in cutmix.training}
    assert means[0.5] == pytest.approx((2.71724 + 3.42181) / 2)
    assert len(means) == 8
    assert drawn(found[RATE]) == [{p.epoch: p.lr for p in cutmix.training}]


def test_panels_without_content_are_left_out(
    audit: Callable[..., LogAudit], cutmix_log: Path, tmp_path: Path
) -> None:
    """A log of validations has no loss."""
    path = tmp_path / "val.log.json"
    path.write_text("\n".join(x for x in cutmix_log.read_text().split("\n") if '"val"' in x) + "\n")

    assert set(panels(curves_plot([read_run(audit(path))]))) == {WHOLE, RATE}


def test_several_runs_differ_in_more_than_colour(automix: Run, cutmix: Run) -> None:
    """By default the first head of each, with names; dashes and markers of their own."""
    figure = curves_plot([automix, cutmix])

    first, second = panels(figure)[WHOLE].lines[:2]
    assert labels(figure)[0].startswith("20261122_154353.log.json one_k: median")
    assert labels(figure)[1].startswith("20261122_154252.log.json: median")
    assert first.get_linestyle() != second.get_linestyle()
    assert first.get_marker() != second.get_marker()
    assert first.get_color() != second.get_color()


def test_heads_can_be_chosen(automix: Run, cutmix: Run) -> None:
    """A run without them isn't drawn."""
    figure = curves_plot([automix, cutmix], heads=["one_q", "mix_q"])

    curves = drawn(panels(figure)[WHOLE])
    assert curves[:2] == [automix.top1("mix_q"), automix.top1("one_q")]
    assert len(drawn(panels(figure)[RATE])) == 1


def test_restart_is_marked(audit: Callable[..., LogAudit], resumed_log: Path) -> None:
    """Crosses where it validated again, a triangle where it began; the legend says so."""
    figure = curves_plot([read_run(audit(resumed_log))])

    marks = [(line.get_marker(), line.get_xdata()[0]) for line in panels(figure)[WHOLE].lines[1:]]
    assert marks == [("x", 4), ("x", 5), ("^", 3.5)]
    assert "restart" in labels(figure)


def test_unfinished_run(audit: Callable[..., LogAudit], cutmix_log: Path, tmp_path: Path) -> None:
    """The window lies ahead, and the median isn't made up."""
    path = tmp_path / "half.log.json"
    lines = cutmix_log.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:13]))

    figure = curves_plot([read_run(audit(path))])

    assert labels(figure)[0] == "head0: median not complete"
    assert panels(figure)[WHOLE].get_xlim()[1] > 8


def test_narrow_stacks_the_panels(long: Run) -> None:
    """For a phone, with lines of the legend that fit."""
    figure = curves_plot([long], narrow=True)

    assert figure.get_figwidth() < 5
    assert [axes.get_subplotspec().colspan.stop for axes in figure.axes] == [1] * 4
    assert max(len(line) for label in labels(figure) for line in label.split("\n")) < 60


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=lambda theme: theme.name)
def test_all_colours_are_the_theme_s(long: Run, automix: Run, theme: Theme) -> None:
    """So that a page can turn each into a variable."""
    svg = figure_bytes(curves_plot([long, automix], theme=theme), "svg").decode()

    assert set(re.findall("#[0-9a-f]{6}", svg)) <= set(theme.roles().values())


def test_page_can_show_it_in_either_theme(automix: Run) -> None:
    """Inline, no colour of its own is left."""
    svg = inline_svg(curves_plot([automix]), "curves", "words")

    assert not re.findall("#[0-9a-f]{6}", svg)
    assert "var(--series-1)" in svg


def test_diverged_run(audit: Callable[..., LogAudit], cutmix_log: Path, tmp_path: Path) -> None:
    """Losses that are no numbers leave gaps; nothing fails or warns."""
    path = tmp_path / "diverged.log.json"
    text = cutmix_log.read_text().replace('"loss": 2.71724', '"loss": NaN')
    path.write_text(text.replace('"loss": 3.42181', '"loss": Infinity'))

    assert figure_bytes(curves_plot([read_run(audit(path))]), "png")


def test_ten_runs_can_be_told_apart(cutmix: Run) -> None:
    """There are eight colours: the ninth has other dashes and another marker than the first."""
    figure = curves_plot([cutmix] * 10)

    lines = panels(figure)[WHOLE].lines[:10]
    assert lines[0].get_color() == lines[8].get_color()
    assert len({(x.get_color(), x.get_marker()) for x in lines}) == 10
    assert len({(x.get_color(), str(x._dash_pattern)) for x in lines}) == 10


def test_nothing_to_draw(automix: Run) -> None:
    """No run, or no such head: what there is."""
    with pytest.raises(UsageError, match="at least one training log"):
        curves_plot([])
    with pytest.raises(UsageError, match="No log has the head head7; expected one of one_k, mix_k"):
        curves_plot([automix], heads=["head7"])
