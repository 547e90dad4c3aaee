"""Accuracies by group: from reports and predictions, each group a lane, each checkpoint in it."""

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from mixzoo.eval.breakdown import by_training_images
from mixzoo.eval.predictions import Predictions
from mixzoo.viz.groups import (
    COUNTS,
    FREQUENCY,
    GROUPS,
    SHOTS,
    SUPERCATEGORY,
    Grouped,
    grouped,
    groups_plot,
    groups_words,
)
from mixzoo.zoo.errors import UsageError
from mixzoo.zoo.report import Report, parse_report

MadeUp = Callable[..., Predictions]


@pytest.fixture
def checkpoints(report: Report) -> list[Grouped]:
    return grouped([report])[:3]


@pytest.fixture
def with_bins(checkpoints: list[Grouped], made_up: MadeUp) -> list[Grouped]:
    """Training counts known, too."""
    counts = {label: 2**label for label in range(7)}
    return [
        replace(one, bins=by_training_images(made_up(30 * (n + 1)), counts))
        for n, one in enumerate(checkpoints)
    ]


def panels(figure: Figure) -> dict[str, Axes]:
    return {axes.get_title("left"): axes for axes in figure.axes}


def lanes(axes: Axes) -> list[str]:
    return [label.get_text() for label in axes.get_yticklabels()]


def test_heads_of_inference_with_all_their_groups(report: Report) -> None:
    """One entry a checkpoint, groups as the report has them, summing to the whole."""
    found = grouped([report])

    assert [one.name for one in found] == [row.id for row in report.rows]
    assert [one.whole.correct for one in found] == [row.default.correct for row in report.rows]
    groups = found[0].groups[SUPERCATEGORY]
    assert groups == report.rows[0].default.breakdown[SUPERCATEGORY]
    assert sum(group.total for group in groups) == found[0].whole.total


def test_checkpoint_in_two_reports_is_told_apart(content: dict[str, Any]) -> None:
    """By when it was evaluated."""
    one = parse_report(content | {"created": "2026-01-01"}, "one")
    two = parse_report(content | {"created": "2026-02-02"}, "two")

    names = [entry.name for entry in grouped([one, two])]

    assert len(set(names)) == 10
    assert names[0] == "resnet50.vanilla_inat2018 (2026-01-01)"


def test_reports_without_groups(report: Report) -> None:
    """What would make some."""
    row = report.rows[0]
    bare = msgspec.structs.replace(row.default, breakdown={})
    rows = (msgspec.structs.replace(row, heads=(bare,)),)

    with pytest.raises(UsageError, match=r"found none.*--data naming the folder"):
        grouped([msgspec.structs.replace(report, rows=rows)])


def test_predictions_tell_what_a_report_lacks(report: Report, made_up: MadeUp) -> None:
    """Asked for row by row; the shots of a report are replaced by what they give."""
    known, counts, asked = made_up(30), dict.fromkeys(range(7), 50), []

    def kept(of: Report, row: Any) -> Any:
        asked.append((of, row))
        return SimpleNamespace(heads={row.default.head: known})

    found = grouped([report], counts, kept)

    assert asked == [(report, row) for row in report.rows]
    assert [(g.name, g.total) for g in found[0].groups[SHOTS]] == [("medium-shot", 300)]
    assert found[0].bins == by_training_images(known, counts)
    assert SUPERCATEGORY in found[0].groups


def test_words_name_every_group(report: Report) -> None:
    """For those who can't see the figure."""
    words = groups_words(grouped([report]))

    row = report.rows[0]
    group = row.default.breakdown[SUPERCATEGORY][0]
    assert f"{row.id}: {row.default.top1:.2f} percent of all images, " in words
    assert f"{group.name} {group.accuracy:.2f}" in words


def test_lane_for_each_group(checkpoints: list[Grouped]) -> None:
    """All images first, then the report's order; images at the right."""
    axes = panels(groups_plot(checkpoints))[GROUPS]

    groups = checkpoints[0].groups[SUPERCATEGORY]
    assert lanes(axes) == ["all images", *(group.name for group in groups)]
    assert [t.get_text() for t in axes.texts] == [
        f"{total:,}" for total in (24426, *(group.total for group in groups))
    ]


def test_every_accuracy_has_its_dot_and_interval(checkpoints: list[Grouped]) -> None:
    """Of each checkpoint, in its group's lane, at a height, marker and colour of its own."""
    axes = panels(groups_plot(checkpoints))[GROUPS]

    dots = {(float(x[0]), round(float(y[0]))) for x, y in (line.get_data() for line in axes.lines)}
    bars = {tuple(c.get_segments()[0][:, 0]) for c in axes.collections}
    for one in checkpoints:
        for lane, group in enumerate((one.whole, *one.groups[SUPERCATEGORY])):
            assert (group.accuracy, lane) in dots
            assert group.interval95 in bars
    first = [line for line in axes.lines if abs(line.get_ydata()[0]) < 0.5]
    looks = {(x.get_ydata()[0], x.get_marker(), x.get_color()) for x in first}
    assert [len(set(column)) for column in zip(*looks, strict=True)] == [3, 3, 3]


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
        groups={SUPERCATEGORY: checkpoints[0].groups[SUPERCATEGORY][1:]},
        whole=msgspec.structs.replace(checkpoints[0].whole, total=20_000),
    )

    axes = panels(groups_plot([few, checkpoints[1]]))[GROUPS]

    count = len(lanes(axes))
    last = [line for line in axes.lines if round(float(line.get_ydata()[0])) == count - 1]
    assert axes.texts[0].get_text() == "20,000 / 24,426"
    assert (count, len(last)) == (15, 1)


def test_accuracy_against_training_images(with_bins: list[Grouped]) -> None:
    """A point for each bin, between the ticks of its edges."""
    axes = panels(groups_plot(with_bins))[COUNTS]

    assert list(axes.get_xticks()) == [1, 2, 4, 8, 16, 32, 64, 128]
    for line, one in zip(axes.lines, with_bins, strict=True):
        assert list(line.get_ydata()) == [found.accuracy for found in one.bins.values()]
        assert all(low < x < 2 * low for x, low in zip(line.get_xdata(), one.bins, strict=True))


def test_one_kind_of_groups(checkpoints: list[Grouped]) -> None:
    """One panel, over the whole width."""
    shots = [replace(one, groups={SHOTS: one.groups[SHOTS]}) for one in checkpoints]

    assert list(panels(groups_plot(shots))) == [FREQUENCY]


def test_narrow_stacks_the_panels(with_bins: list[Grouped]) -> None:
    """For a phone."""
    figure = groups_plot(with_bins, narrow=True)

    assert figure.get_figwidth() < 5
    assert {axes.get_subplotspec().colspan.stop for axes in figure.axes} == {1}


def test_nothing_to_draw(checkpoints: list[Grouped]) -> None:
    """No checkpoint, or none with groups."""
    for none in ([], [replace(checkpoints[0], groups={})]):
        with pytest.raises(UsageError, match="at least one checkpoint"):
            groups_plot(none)
