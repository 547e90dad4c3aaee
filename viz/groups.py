"""Accuracies by group of classes, side by side: by supercategory, by training images."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from textwrap import fill
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator

from ..eval.breakdown import SHOT_RULES, break_down, by_training_images, group, shots
from ..eval.breakdown import SHOTS as SHOT_NAMES
from ..eval.store import Stored
from ..zoo.errors import UsageError
from ..zoo.report import Group, Report, Row
from .axes import (
    LETTERS,
    NARROW,
    WIDTH,
    at_right,
    heading,
    lanes,
    legend,
    marker_of,
    new_figure,
    small,
    style,
)
from .themes import LIGHT, Theme

SUPERCATEGORY, SHOTS = "supercategory", "shots"
CHART_HEIGHT = 2.6  # inches of the panel of training counts, at least
NOTHING = "."  # what matplotlib calls a place without a panel
SPREAD = 0.7  # of a lane that several checkpoints share
GROUPS, FREQUENCY, COUNTS = (
    "by supercategory",
    "by class frequency",
    "by training images of the class",
)


@dataclass(frozen=True)
class Grouped:
    """A checkpoint's accuracy on all images and by group.

    groups: `supercategory` or `shots` -> groups, in the report's order. bins: least number of
    training images of a class -> group, as `by_training_images` gives them; empty where they
    aren't known.
    """

    name: str
    whole: Group
    groups: Mapping[str, Sequence[Group]] = field(default_factory=dict)
    bins: Mapping[int, Group] = field(default_factory=dict)


def grouped(
    reports: Sequence[Report],
    training_images: Mapping[int, int] | None = None,
    kept: Callable[[Report, Row], Stored] | None = None,
) -> list[Grouped]:
    """The heads that inference uses, of all reports, as far as they are broken down.

    A checkpoint in several reports is told apart by when it was evaluated. training_images: of each
    class, as `LabelledImages.class_counts` of the training annotations gives them. kept: finds the
    predictions behind a row. From both comes what reports don't hold; None leaves it out.
    Raises UsageError if none has groups, DataError if a label's class has no training image.
    """
    rows = [(report, row) for report in reports for row in report.rows]
    names = [row.id for _, row in rows]
    found: list[Grouped] = []
    for report, row in rows:
        name = row.id if names.count(row.id) == 1 else f"{row.id} ({report.created})"
        groups, bins = dict(row.default.breakdown), {}
        if training_images and kept:
            known = kept(report, row).heads[row.default.head]
            kinds = shots(known.labels.tolist(), training_images)
            groups[SHOTS] = break_down(known, kinds, SHOT_NAMES)
            bins = by_training_images(known, training_images)
        if groups:
            whole = group("all images", row.default.correct, row.default.total)
            found.append(Grouped(name, whole, groups, bins))
    if not found:
        raise UsageError(
            "Expected reports with accuracies by group, found none: neither the images' folders "
            "nor the annotations beside them told supercategories or training images. "
            "Evaluate with --data naming the folder that mixzoo data prepare filled."
        )
    return found


def groups_words(checkpoints: Sequence[Grouped]) -> str:
    """All accuracies in sentences, for readers who don't see the figure."""
    return " ".join(
        f"{one.name}: {one.whole.accuracy:.2f} percent of all images, "
        + ", ".join(f"{g.name} {g.accuracy:.2f}" for many in one.groups.values() for g in many)
        + "."
        for one in checkpoints
    )


def groups_plot(
    checkpoints: Sequence[Grouped], *, theme: Theme = LIGHT, narrow: bool = False
) -> Figure:
    """A lane for each group with all checkpoints in it, each with its 95% interval.

    At the right of a lane stands how many images it has. Where training counts are known, another
    panel shows accuracy against them. narrow: all panels below one another. Raises UsageError for
    no checkpoint, or none with a group.
    """
    tables = {
        name: found
        for name, key in ((GROUPS, SUPERCATEGORY), (FREQUENCY, SHOTS))
        if (found := _by_group(checkpoints, key))
    }
    with_counts = any(one.bins for one in checkpoints)
    if not tables and not with_counts:
        raise UsageError(
            "Expected at least one checkpoint with accuracies by group, got none. Name its report."
        )
    step = max(0.3, (0.15 if len(checkpoints) < 5 else 0.11) * len(checkpoints) + 0.1)
    heights = {name: step * len(found) + 0.75 for name, found in tables.items()}
    if with_counts:
        heights[COUNTS] = CHART_HEIGHT
    shape, ratios = _shape(heights, narrow=narrow)
    width = NARROW if narrow else WIDTH
    handles = _handles(checkpoints, theme, int(LETTERS * width), shots=FREQUENCY in tables)
    lines = sum(str(handle.get_label()).count("\n") + 1 for handle in handles)
    figure = new_figure(width, sum(ratios) + 0.19 * lines + 0.1, theme)
    for name, axes in figure.subplot_mosaic(shape, height_ratios=ratios).items():
        heading(axes, name, theme)
        if name == COUNTS:
            _draw_counts(axes, checkpoints, theme)
        else:
            _draw_groups(axes, tables[name], theme)
    legend(figure, handles, theme, columns=1)
    return figure


def _shape(heights: dict[str, float], *, narrow: bool) -> tuple[list[Any], list[float]]:
    """Where the panels stand, and the rows' heights: the first at the left, others beside it."""
    if narrow or len(heights) == 1:
        return [[name] for name in heights], list(heights.values())
    first, *others = heights
    rows = [heights[name] for name in others]
    left = max(0.0, heights[first] - sum(rows))
    if others[-1] == COUNTS:
        rows[-1] += left
    elif left:
        others, rows = [*others, NOTHING], [*rows, left]
    return [[first, name] for name in others], rows


def _by_group(checkpoints: Sequence[Grouped], key: str) -> dict[str, list[Group | None]]:
    """Group -> what each checkpoint has of it; all images first, then in the reports' order."""
    tables = [{group.name: group for group in one.groups.get(key, ())} for one in checkpoints]
    names = list(dict.fromkeys(name for table in tables for name in table))
    if not names:
        return {}
    if key == SHOTS:
        names.sort(key=lambda name: SHOT_NAMES.index(name) if name in SHOT_NAMES else len(names))
    whole: dict[str, list[Group | None]] = {"all images": [one.whole for one in checkpoints]}
    return whole | {name: [table.get(name) for table in tables] for name in names}


def _draw_groups(axes: Axes, table: dict[str, list[Group | None]], theme: Theme) -> None:
    lanes(axes, list(table), theme)
    axes.xaxis.set_major_locator(MaxNLocator(6))
    for lane, groups in enumerate(table.values()):
        for place, found in enumerate(groups):
            if found:
                height = lane + _offset(place, len(groups))
                colour, marker = _look(place, theme)
                axes.hlines(height, *found.interval95, color=colour, linewidth=2, alpha=0.45)
                axes.plot(found.accuracy, height, marker, color=colour, markersize=5)
        totals = sorted({found.total for found in groups if found})
        at_right(axes, lane, " / ".join(f"{total:,}" for total in totals), theme.muted)
    axes.margins(x=0.05)


def _draw_counts(axes: Axes, checkpoints: Sequence[Grouped], theme: Theme) -> None:
    style(axes, theme, grid="both")
    axes.set_xscale("log", base=2)
    for place, one in enumerate(checkpoints):
        colour, marker = _look(place, theme)
        # Beside one another, in steps of a fourteenth of a doubling, so that intervals can be seen.
        shift = 2 ** (_offset(place, len(checkpoints)) / 3)
        x = [shift * least * 2**0.5 for least in one.bins]
        lows, highs = zip(*(found.interval95 for found in one.bins.values()), strict=True)
        axes.vlines(x, lows, highs, color=colour, alpha=0.45, lw=2)
        y = [found.accuracy for found in one.bins.values()]
        axes.plot(x, y, marker=marker, color=colour, markersize=5, linewidth=1)
    edges = {edge for one in checkpoints for least in one.bins for edge in (least, 2 * least)}
    axes.set_xticks(sorted(edges))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel("training images, grouped between the ticks", **small(theme))
    axes.set_ylabel("top-1, percent", **small(theme))


def _offset(place: int, count: int) -> float:
    """Where a checkpoint stands in its lane, from -0.35 to 0.35."""
    return SPREAD * ((place + 0.5) / count - 0.5)


def _look(place: int, theme: Theme) -> tuple[str, str]:
    return theme.series[place % len(theme.series)], marker_of(place)


def _handles(
    checkpoints: Sequence[Grouped], theme: Theme, letters: int, *, shots: bool
) -> list[Line2D]:
    """The legend; letters: that fit into a line. shots: whether to say what few-shot means."""
    handles = []
    for place, one in enumerate(checkpoints):
        colour, marker = _look(place, theme)
        label = fill(f"{one.name}: {one.whole.accuracy:.2f}", letters)
        handles.append(Line2D([], [], color=colour, marker=marker, markersize=5, label=label))
    notes = ["bars: 95% intervals; figures at the right: images"]
    notes += [f"{name}: {rule}" for name, rule in SHOT_RULES.items()] * shots
    return handles + [Line2D([], [], linestyle="", label=fill(note, letters)) for note in notes]
