"""Checkpoints' accuracies by group of classes, side by side: by supercategory, by training images."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from textwrap import fill
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator

from ..eval.breakdown import SHOT_RULES, Group, Share, break_down, shots
from ..eval.breakdown import SHOTS as SHOT_NAMES
from ..eval.predictions import Predictions
from ..zoo.errors import UsageError
from .axes import TEXT, heading, legend, marker_of, new_figure, small, style
from .report_data import ReportLine, StoredReport
from .themes import LIGHT, Theme

SUPERCATEGORY, SHOTS = "supercategory", "shots"


@dataclass(frozen=True)
class CountBin(Share):
    """The share of the images of the classes with `low` to `high` training images each."""

    low: int
    high: int
    classes: int
    correct: int
    total: int


@dataclass(frozen=True)
class Grouped:
    """A checkpoint's accuracy on all images and by group.

    groups: `supercategory` or `shots` -> groups, in the report's order. bins: by training images
    of the class, from `count_bins`; empty where they aren't known.
    """

    name: str
    whole: Group
    groups: Mapping[str, Sequence[Group]] = field(default_factory=dict)
    bins: tuple[CountBin, ...] = ()


@dataclass(frozen=True)
class Frequencies:
    """Accuracy by how often a class was seen in training: many-, medium-, few-shot, and finer."""

    shots: tuple[Group, ...]
    bins: tuple[CountBin, ...]


def grouped(
    reports: Sequence[StoredReport],
    frequencies: Callable[[StoredReport, ReportLine], Frequencies] | None = None,
) -> list[Grouped]:
    """The heads that inference uses, of all reports, as far as they are broken down.

    A checkpoint in several reports is told apart by when it was evaluated. frequencies: makes what
    the reports don't hold, from predictions; None leaves it out.
    Raises UsageError if none has groups.
    """
    lines = [(report, line) for report in reports for line in report.default_lines()]
    names = [line.id for _, line in lines]
    found: list[Grouped] = []
    for report, line in lines:
        name = line.id if names.count(line.id) == 1 else f"{line.id} ({report.created})"
        groups = {
            key: tuple(Group(one.name, one.correct, one.total) for one in many)
            for key, many in line.breakdown.items()
        }
        extra = frequencies(report, line) if frequencies else Frequencies((), ())
        groups |= {SHOTS: extra.shots} if extra.shots else {}
        if groups:
            whole = Group("all images", line.correct, line.total)
            found.append(Grouped(name, whole, groups, extra.bins))
    if not found:
        raise UsageError(
            "Expected reports with accuracies by group, found none: neither the images' folders nor "
            "the annotations beside them told supercategories or training images. Evaluate with "
            "--data naming the folder that mixzoo data prepare filled."
        )
    return found


def count_frequencies(predictions: Predictions, training_images: Mapping[int, int]) -> Frequencies:
    """Accuracy by training images of the class, coarse and fine.

    training_images: of each class, as `LabelledImages.class_counts` of the training annotations
    gives them. Raises DataError if a label's class has none.
    """
    names = shots(predictions.labels.tolist(), training_images)
    return Frequencies(
        break_down(predictions, names, SHOT_NAMES), count_bins(predictions, training_images)
    )


def count_bins(
    predictions: Predictions, training_images: Mapping[int, int]
) -> tuple[CountBin, ...]:
    """Accuracy of the classes with 1, 2 to 3, 4 to 7, 8 to 15 ... training images.

    training_images: of each class among the labels, one or more.
    """
    classes, which = np.unique(predictions.labels, return_inverse=True)
    # Of a whole number, bit_length is exact, which the logarithm isn't.
    powers = np.array([training_images[int(label)].bit_length() - 1 for label in classes])
    return tuple(
        CountBin(
            low=2**power,
            high=2 ** (power + 1) - 1,
            classes=int((powers == power).sum()),
            correct=int(predictions.correct[powers[which] == power].sum()),
            total=int((powers[which] == power).sum()),
        )
        for power in np.unique(powers).tolist()
    )


def groups_words(checkpoints: Sequence[Grouped]) -> str:
    """All accuracies in sentences, for readers who don't see the figure."""
    return " ".join(
        f"{one.name}: {one.whole.accuracy:.2f} percent of all images, "
        + ", ".join(f"{g.name} {g.accuracy:.2f}" for many in one.groups.values() for g in many)
        + "."
        for one in checkpoints
    )


WIDTH = 9.6  # inches
NARROW = 4.8  # inches
CHART_HEIGHT = 2.6  # inches of the panel of training counts, at least
LETTERS = 11.5  # of a legend, per inch
NOTHING = "."  # what matplotlib calls a place without a panel
SPREAD = 0.7  # of a lane that several checkpoints share
GROUPS, FREQUENCY, COUNTS = (
    "by supercategory",
    "by class frequency",
    "by training images of the class",
)


def groups_plot(
    checkpoints: Sequence[Grouped], *, theme: Theme = LIGHT, narrow: bool = False
) -> Figure:
    """A lane for each group with all checkpoints in it, each with its 95% interval.

    At the right of a lane stands how many images it has. Where training counts are known, another
    panel shows accuracy against them. narrow: all panels below one another. Raises UsageError for
    no checkpoint, or none with a group.
    """
    lanes = {
        name: found
        for name, key in ((GROUPS, SUPERCATEGORY), (FREQUENCY, SHOTS))
        if (found := _lanes(checkpoints, key))
    }
    with_counts = any(one.bins for one in checkpoints)
    if not lanes and not with_counts:
        raise UsageError("Expected at least one checkpoint with accuracies by group, got none.")
    step = max(0.3, (0.15 if len(checkpoints) < 5 else 0.11) * len(checkpoints) + 0.1)
    heights = {name: step * len(found) + 0.75 for name, found in lanes.items()}
    if with_counts:
        heights[COUNTS] = CHART_HEIGHT
    shape, ratios = _shape(heights, narrow=narrow)
    width = NARROW if narrow else WIDTH
    handles = _handles(checkpoints, theme, int(LETTERS * width), shots=FREQUENCY in lanes)
    lines = sum(str(handle.get_label()).count("\n") + 1 for handle in handles)
    figure = new_figure(width, sum(ratios) + 0.19 * lines + 0.1, theme)
    for name, axes in figure.subplot_mosaic(shape, height_ratios=ratios).items():
        heading(axes, name, theme)
        if name == COUNTS:
            _counts(axes, checkpoints, theme)
        else:
            _groups(axes, checkpoints, lanes[name], theme)
    legend(figure, handles, theme, columns=1)
    return figure


def _shape(heights: dict[str, float], *, narrow: bool) -> tuple[list[Any], list[float]]:
    """Where the panels stand, and the rows' heights: the first at the left, the others beside it."""
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


def _lanes(checkpoints: Sequence[Grouped], key: str) -> dict[str, list[Group | None]]:
    """Group -> what each checkpoint has of it; all images first, then in the reports' order."""
    tables = [{group.name: group for group in one.groups.get(key, ())} for one in checkpoints]
    names = list(dict.fromkeys(name for table in tables for name in table))
    if not names:
        return {}
    if key == SHOTS:
        names.sort(key=lambda name: SHOT_NAMES.index(name) if name in SHOT_NAMES else len(names))
    whole: dict[str, list[Group | None]] = {"all images": [one.whole for one in checkpoints]}
    return whole | {name: [table.get(name) for table in tables] for name in names}


def _groups(
    axes: Axes, checkpoints: Sequence[Grouped], lanes: dict[str, list[Group | None]], theme: Theme
) -> None:
    style(axes, theme)
    axes.set(ylim=(len(lanes) - 0.5, -0.5))
    axes.set_yticks(range(len(lanes)), list(lanes))
    axes.tick_params(axis="y", length=0, labelsize=TEXT, labelcolor=theme.ink)
    axes.xaxis.set_major_locator(MaxNLocator(6))
    axes.set_xlabel("top-1, percent", **small(theme))
    for lane, (_, groups) in enumerate(lanes.items()):
        if lane % 2 == 0:
            axes.axhspan(lane - 0.5, lane + 0.5, color=theme.rule, alpha=0.28, linewidth=0)
        for place, group in enumerate(groups):
            if group:
                height = lane + _offset(place, len(checkpoints))
                low, high = group.interval
                colour, marker = _look_of(place, theme)
                axes.hlines(height, low, high, color=colour, linewidth=2, alpha=0.45)
                axes.plot(group.accuracy, height, marker, color=colour, markersize=5)
        totals = sorted({group.total for group in groups if group})
        axes.text(
            1.012,
            lane,
            " / ".join(f"{total:,}" for total in totals),
            transform=axes.get_yaxis_transform(),
            va="center",
            fontsize=TEXT - 1.5,
            color=theme.muted,
        )
    axes.margins(x=0.05)


def _counts(axes: Axes, checkpoints: Sequence[Grouped], theme: Theme) -> None:
    style(axes, theme, grid="both")
    axes.set_xscale("log", base=2)
    for place, one in enumerate(checkpoints):
        colour, marker = _look_of(place, theme)
        # Beside one another, in steps of a fourteenth of a doubling, so that intervals can be seen.
        shift = 2 ** (_offset(place, len(checkpoints)) / 3)
        x = [shift * (bin_.low * (bin_.high + 1)) ** 0.5 for bin_ in one.bins]
        y = [bin_.accuracy for bin_ in one.bins]
        ends = [bin_.interval for bin_ in one.bins]
        axes.vlines(
            x, [low for low, _ in ends], [high for _, high in ends], color=colour, alpha=0.45, lw=2
        )
        axes.plot(x, y, marker=marker, color=colour, markersize=5, linewidth=1)
    edges = sorted({e for one in checkpoints for b in one.bins for e in (b.low, b.high + 1)})
    axes.set_xticks(edges)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel("training images, grouped between the ticks", **small(theme))
    axes.set_ylabel("top-1, percent", **small(theme))


def _offset(place: int, count: int) -> float:
    """Where a checkpoint stands in its lane, from -0.35 to 0.35."""
    return SPREAD * ((place + 0.5) / count - 0.5)


def _look_of(place: int, theme: Theme) -> tuple[str, str]:
    return theme.series[place % len(theme.series)], marker_of(place)


def _handles(
    checkpoints: Sequence[Grouped], theme: Theme, letters: int, *, shots: bool
) -> list[Line2D]:
    """The legend; letters: that fit into a line. shots: whether to say what few-shot means."""
    handles = []
    for place, one in enumerate(checkpoints):
        colour, marker = _look_of(place, theme)
        label = fill(f"{one.name}: {one.whole.accuracy:.2f}", letters)
        handles.append(Line2D([], [], color=colour, marker=marker, markersize=5, label=label))
    notes = ["bars: 95% intervals; figures at the right: images"]
    notes += [f"{name}: {rule}" for name, rule in SHOT_RULES.items()] * shots
    return [
        *handles,
        *(Line2D([], [], linestyle="", label=fill(note, letters)) for note in notes),
    ]
