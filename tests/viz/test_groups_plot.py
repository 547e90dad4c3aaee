"""Each group has a lane, each checkpoint a place in it, with its interval."""

import re
from collections.abc import Callable
from dataclasses import replace

import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from mixzoo.eval.predictions import Predictions
from mixzoo.viz.groups import (
    COUNTS,
    FREQUENCY,
    GROUPS,
    SHOTS,
    Grouped,
    count_bins,
    grouped,
    groups_plot,
)
from mixzoo.viz.report_data import StoredReport
from mixzoo.viz.save import figure_bytes
from mixzoo.viz.themes import DARK, LIGHT, Theme
from mixzoo.zoo.errors import UsageError


@pytest.fixture
def checkpoints(report: StoredReport) -> list[Grouped]:
    return grouped([report])[:3]


@pytest.fixture
def with_bins(checkpoints: list[Grouped], made_up: Callable[..., Predictions]) -> list[Grouped]:
    """Training counts known, too."""
    counts = {label: 2**label for label in range(7)}
    return [
        replace(one, bins=count_bins(made_up(30 * (n + 1)), counts))
        for n, one in enumerate(checkpoints)
    ]


def panels(figure: Figure) -> dict[str, Axes]:
    return {axes.get_title("left"): axes for axes in figure.axes}


def lanes(axes: Axes) -> list[str]:
    return [label.get_text() for label in axes.get_yticklabels()]


def test_lane_for_each_group(checkpoints: list[Grouped]) -> None:
    """All images first, then the report's order; images at the right."""
    axes = panels(groups_plot(checkpoints))[GROUPS]

    groups = checkpoints[0].groups["supercategory"]
    assert lanes(axes) == ["all images", *(group.name for group in groups)]
    assert [t.get_text() for t in axes.texts] == [
        f"{total:,}" for total in (24426, *(group.total for group in groups))
    ]


def test_every_accuracy_has_its_dot_and_interval(checkpoints: list[Grouped]) -> None:
    """Of each checkpoint, in its group's lane."""
    axes = panels(groups_plot(checkpoints))[GROUPS]

    dots = {(float(x[0]), round(float(y[0]))) for x, y in (line.get_data() for line in axes.lines)}
    bars = {tuple(c.get_segments()[0][:, 0]) for c in axes.collections}
    for one in checkpoints:
        for lane, group in enumerate((one.whole, *one.groups["supercategory"])):
            assert (group.accuracy, lane) in dots
            assert group.interval in bars


def test_checkpoints_dont_hide_one_another(checkpoints: list[Grouped]) -> None:
    """Three heights in each lane, three markers, three colours."""
    axes = panels(groups_plot(checkpoints))[GROUPS]

    first = [line for line in axes.lines if abs(line.get_ydata()[0]) < 0.5]
    assert len({float(line.get_ydata()[0]) for line in first}) == 3
    assert len({line.get_marker() for line in first}) == 3
    assert len({line.get_color() for line in first}) == 3


def test_shots_are_explained(checkpoints: list[Grouped]) -> None:
    """Many, medium, few, with the rule in the legend."""
    figure = groups_plot(checkpoints)

    (legend,) = figure.legends
    shown = lanes(panels(figure)[FREQUENCY])
    assert [name.split("-")[0] for name in shown[1:]] == ["many", "medium", "few"]
    assert "few-shot: classes with fewer than 20 training images" in {
        text.get_text() for text in legend.get_texts()
    }


def test_group_that_one_lacks(checkpoints: list[Grouped]) -> None:
    """A lane with a gap, and both numbers of images where they differ."""
    few = replace(
        checkpoints[0],
        groups={"supercategory": checkpoints[0].groups["supercategory"][1:]},
        whole=replace(checkpoints[0].whole, total=20_000),
    )

    figure = groups_plot([few, checkpoints[1]])

    axes = panels(figure)[GROUPS]
    last = [
        line for line in axes.lines if round(float(line.get_ydata()[0])) == len(lanes(axes)) - 1
    ]
    assert axes.texts[0].get_text() == "20,000 / 24,426"
    assert len(lanes(axes)) == 15
    assert len(last) == 1


def test_accuracy_against_training_images(with_bins: list[Grouped]) -> None:
    """A point for each bin, between the ticks of its edges."""
    axes = panels(groups_plot(with_bins))[COUNTS]

    assert [list(line.get_ydata()) for line in axes.lines] == [
        [b.accuracy for b in one.bins] for one in with_bins
    ]
    assert list(axes.get_xticks()) == [1, 2, 4, 8, 16, 32, 64, 128]
    for line in axes.lines:
        for x, bin_ in zip(line.get_xdata(), with_bins[0].bins, strict=True):
            assert bin_.low < x < bin_.high + 1


def test_one_kind_of_groups(checkpoints: list[Grouped]) -> None:
    """One panel, over the whole width."""
    shots = [replace(one, groups={SHOTS: one.groups[SHOTS]}) for one in checkpoints]

    assert list(panels(groups_plot(shots))) == [FREQUENCY]


def test_narrow_stacks_the_panels(with_bins: list[Grouped]) -> None:
    """For a phone."""
    figure = groups_plot(with_bins, narrow=True)

    assert figure.get_figwidth() < 5
    assert {axes.get_subplotspec().colspan.stop for axes in figure.axes} == {1}


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=lambda theme: theme.name)
def test_all_colours_are_the_theme_s(with_bins: list[Grouped], theme: Theme) -> None:
    """So that a page can turn each into a variable."""
    svg = figure_bytes(groups_plot(with_bins, theme=theme), "svg").decode()

    assert set(re.findall("#[0-9a-f]{6}", svg)) <= set(theme.roles().values())


def test_nothing_to_draw(checkpoints: list[Grouped]) -> None:
    """No checkpoint, or none with groups."""
    with pytest.raises(UsageError, match="at least one checkpoint"):
        groups_plot([])
    with pytest.raises(UsageError, match="at least one checkpoint"):
        groups_plot([replace(checkpoints[0], groups={})])
