"""Figures of accuracies: published beside recomputed, by group of classes, and how sure is how right.

Data in, Figure out; rows are those of a report's JSON (docs/report.md). Colours are those of the
light theme's roles, which `inline_svg` turns into variables: a page shows one figure on any ground.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ..eval.judge import NEAR as CLOSE
from ..zoo.looks import look as look_of
from .axes import TEXT, small, style
from .themes import LIGHT, Theme

Row = Mapping[str, Any]

WIDTH = 4.8  # inches; text stays readable when a phone shrinks the figure to its width


# tone of a verdict -> marker: no verdict is told by colour alone
MARKERS = {"good": "o", "near": "s", "odd": "^", "bad": "X", "neutral": "D"}


def look(verdict: str, theme: Theme = LIGHT) -> tuple[str, str]:
    """The colour and marker of a verdict."""
    tone = look_of(verdict).tone
    return getattr(theme, tone), MARKERS[tone]


def accuracy_plot(rows: Sequence[Row]) -> Figure:
    """Top-1 with its 95% interval beside the published number, and top-5, one line a row."""
    figure, (first, second) = _lanes(rows, widths=(2.3, 1))
    for lane, row in _from_top(rows):
        colour, marker = look(row["verdict"])
        low, high = row["interval95"]
        first.plot([low, high], [lane, lane], color=colour, linewidth=2.5, alpha=0.45)
        first.plot(row["top1"], lane, marker, color=colour, markersize=6)
        if row.get("reported_top1") is not None:
            _published(first, row["reported_top1"], lane)
        second.plot(row["top5"], lane, marker, color=colour, markersize=6)
    first.set_xlabel("top-1, percent; bar: 95% interval; |: published", **small())
    second.set_xlabel("top-5, percent", **small())
    for axes in (first, second):
        axes.margins(x=0.08)
    return figure


def gap_plot(rows: Sequence[Row], *, close: float = CLOSE) -> Figure:
    """Recomputed minus published top-1 in points, one line a row that has a published number.

    close: half-width of the shaded band, the largest gap that is called close.
    """
    judged = [row for row in rows if row.get("gap_points") is not None]
    figure, (axes,) = _lanes(judged, widths=(1,))
    axes.axvspan(-close, close, color=LIGHT.good, alpha=0.12, linewidth=0)
    axes.axvline(0, color=LIGHT.muted, linewidth=1)
    for lane, row in _from_top(judged):
        colour, marker = look(row["verdict"])
        axes.plot([0, row["gap_points"]], [lane, lane], color=colour, linewidth=1.5, alpha=0.6)
        axes.plot(row["gap_points"], lane, marker, color=colour, markersize=6)
    widest = max([1.25 * close, *(1.1 * abs(row["gap_points"]) for row in judged)])
    axes.set_xlim(-widest, widest)
    axes.set_xlabel(f"recomputed minus published, points; shaded: within {close:.2f}", **small())
    return figure


def group_plot(groups: Sequence[Mapping[str, Any]], overall: float) -> Figure:
    """Accuracy of groups of classes with 95% intervals; overall: the line to compare with, percent."""
    labels = [f"{group['name']}  ({group['correct']} of {group['total']})" for group in groups]
    figure, (axes,) = _lanes([{"label": label} for label in labels], widths=(1,))
    axes.axvline(overall, color=LIGHT.muted, linewidth=1, linestyle=(0, (4, 3)))
    for lane, group in _from_top(groups):
        low, high = group["interval95"]
        axes.plot([low, high], [lane, lane], color=LIGHT.good, linewidth=2.5, alpha=0.45)
        axes.plot(group["accuracy"], lane, "o", color=LIGHT.good, markersize=5.5)
    axes.margins(x=0.06)
    axes.set_xlabel("top-1, percent; bar: 95% interval; dashed: all images", **small())
    return figure


def reliability_plot(bins: Sequence[Mapping[str, Any]]) -> Figure:
    """Accuracy against confidence (Guo et al., 2017, arXiv:1706.04599), with the images of each bin.

    bins: low, high, confidence and accuracy in [0, 1], count; empty bins are left out.
    """
    filled = [one for one in bins if one["count"]]
    figure = Figure(figsize=(WIDTH, 0.85 * WIDTH))
    figure.subplots_adjust(0.14, 0.12, 0.98, 0.98, hspace=0.12)
    upper, lower = figure.subplots(2, 1, sharex=True, gridspec_kw={"height_ratios": [3, 1]})
    upper.plot([0, 1], [0, 1], color=LIGHT.muted, linewidth=1, linestyle=(0, (4, 3)))
    x, y = [one["confidence"] for one in filled], [one["accuracy"] for one in filled]
    upper.plot(x, y, "o-", color=LIGHT.good, markersize=4.5, linewidth=1.5)
    lower.bar(
        [one["low"] for one in filled],
        [one["count"] for one in filled],
        [one["high"] - one["low"] for one in filled],
        align="edge",
        color=LIGHT.good,
        alpha=0.5,
        edgecolor=LIGHT.ground,
    )
    upper.set(xlim=(0, 1), ylim=(0, 1))
    upper.set_ylabel("accuracy", **small())
    lower.set_xlabel("confidence; dashed: confidence equals accuracy", **small())
    lower.set_ylabel("images", **small())
    lower.yaxis.set_major_locator(MaxNLocator(3, integer=True))
    for axes in (upper, lower):
        style(axes)
    return figure


def _lanes(rows: Sequence[Row], widths: Sequence[float]) -> tuple[Figure, list[Axes]]:
    """A figure of one lane a row, its label above what is drawn on it, in each of several axes."""
    height = 0.46 * max(len(rows), 1) + 0.6
    # Margins by hand: the layout is known, and constrained layout would draw every figure twice.
    figure = Figure(figsize=(WIDTH, height))
    figure.subplots_adjust(0.01, 0.5 / height, 0.99, 1 - 0.03 / height, wspace=0.06)
    grid = figure.subplots(
        1, len(widths), squeeze=False, gridspec_kw={"width_ratios": list(widths)}
    )
    axes = list(grid[0])
    for one in axes:
        one.set(yticks=[], ylim=(-0.5, max(len(rows), 1) - 0.3))
        one.xaxis.set_major_locator(MaxNLocator(6 if len(widths) == 1 else 3))
        style(one)
        for lane, _ in _from_top(rows):
            one.axhline(lane, color=LIGHT.rule, linewidth=0.6, zorder=0)
    for lane, row in _from_top(rows):
        axes[0].text(
            0.004,
            lane + 0.25,
            _label(row),
            transform=axes[0].get_yaxis_transform(),
            color=LIGHT.ink,
            fontsize=TEXT,
            clip_on=False,
            parse_math=False,
        )
    return figure, axes


def _label(row: Row) -> str:
    if "label" in row:
        return str(row["label"])
    return f"{row['id']}, {row['head']}"


def _from_top(rows: Sequence[Row]) -> list[tuple[int, Row]]:
    return [(len(rows) - 1 - place, row) for place, row in enumerate(rows)]


def _published(axes: Axes, value: float, lane: float) -> None:
    axes.plot(value, lane, "|", color=LIGHT.ink, markersize=10, markeredgewidth=1.8, zorder=4)
