"""Figures of accuracies, one lane each: beside the published, by group, and how sure is how right.

Colours are those of the light theme's roles, which `save.inline_svg` turns into variables: a page
shows one figure on any ground.
"""

from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ..eval.judge import NEAR
from ..zoo import looks
from ..zoo.report import Bin, Group, Row
from .axes import TEXT, small, style
from .canvas import with_glyphs
from .themes import LIGHT, Theme

T = TypeVar("T")

WIDTH = 4.8  # inches; text stays readable when a phone shrinks the figure to its width
DASHED = (0, (4, 3))
# tone of a verdict -> marker: no verdict is told by colour alone
MARKERS = {"good": "o", "near": "s", "odd": "^", "bad": "X", "neutral": "D"}


def verdict_look(word: str, theme: Theme = LIGHT) -> tuple[str, str]:
    """The colour and marker of a verdict."""
    tone = looks.look(word).tone
    return getattr(theme, tone), MARKERS[tone]


def accuracy_plot(rows: Sequence[Row]) -> Figure:
    """Top-1 with its 95% interval beside the published number, and top-5, one lane a head.

    The head that carries a row's verdict has the verdict's look, its others are small grey
    diamonds.
    """
    lanes = [(row, head) for row in rows for head in row.heads]
    figure, (first, second) = _lanes([f"{row.id}, {head.head}" for row, head in lanes], (2.3, 1))
    for height, (row, head) in _from_top(lanes):
        carries = head is row.judged
        colour, marker = verdict_look(row.verdict if carries else "")
        mark: dict[str, Any] = {
            "color": colour,
            "marker": marker,
            "markersize": 6 if carries else 4,
        }
        first.plot(head.interval95, [height] * 2, color=colour, linewidth=2.5, alpha=0.45)
        first.plot(head.top1, height, **mark)
        if row.reported_top1 is not None:
            bar = {"markersize": 10, "markeredgewidth": 1.8, "zorder": 4}
            first.plot(row.reported_top1, height, "|", color=LIGHT.ink, **bar)
        second.plot(head.top5, height, **mark)
    first.set_xlabel("top-1, percent; bar: 95% interval; |: published", **small())
    second.set_xlabel("top-5, percent", **small())
    for axes in (first, second):
        axes.margins(x=0.08)
    return figure


def gap_plot(rows: Sequence[Row]) -> Figure:
    """Recomputed minus published top-1 in points, of the head that carries each row's verdict.

    Rows without a published number have no lane. Shaded is what is called close.
    """
    judged = [(row, gap) for row in rows if (gap := row.judged.gap_points) is not None]
    figure, (axes,) = _lanes([f"{row.id}, {row.head}" for row, _ in judged])
    axes.axvspan(-NEAR, NEAR, color=LIGHT.good, alpha=0.12, linewidth=0)
    axes.axvline(0, color=LIGHT.muted, linewidth=1)
    for height, (row, gap) in _from_top(judged):
        colour, marker = verdict_look(row.verdict)
        axes.plot([0, gap], [height, height], color=colour, linewidth=1.5, alpha=0.6)
        axes.plot(gap, height, marker, color=colour, markersize=6)
    widest = max([1.25 * NEAR, *(1.1 * abs(gap) for _, gap in judged)])
    axes.set_xlim(-widest, widest)
    axes.set_xlabel(f"recomputed minus published, points; shaded: within {NEAR:.2f}", **small())
    return figure


def group_plot(groups: Sequence[Group], overall: float) -> Figure:
    """Accuracy of groups of classes with 95% intervals; overall: the line to compare with."""
    figure, (axes,) = _lanes([f"{g.name}  ({g.correct} of {g.total})" for g in groups])
    axes.axvline(overall, color=LIGHT.muted, linewidth=1, linestyle=DASHED)
    for height, group in _from_top(groups):
        axes.plot(group.interval95, [height] * 2, color=LIGHT.good, linewidth=2.5, alpha=0.45)
        axes.plot(group.accuracy, height, "o", color=LIGHT.good, markersize=5.5)
    axes.margins(x=0.06)
    axes.set_xlabel("top-1, percent; bar: 95% interval; dashed: all images", **small())
    return figure


def reliability_plot(bins: Iterable[Bin]) -> Figure:
    """Accuracy against confidence (Guo et al., 2017, arXiv:1706.04599), with each bin's images.

    Empty bins are left out.
    """
    filled = [one for one in bins if one.count]
    figure = Figure(figsize=(WIDTH, 0.85 * WIDTH))
    figure.subplots_adjust(0.14, 0.12, 0.98, 0.98, hspace=0.12)
    upper, lower = figure.subplots(2, 1, sharex=True, gridspec_kw={"height_ratios": [3, 1]})
    upper.plot([0, 1], [0, 1], color=LIGHT.muted, linewidth=1, linestyle=DASHED)
    x, y = [one.confidence for one in filled], [one.accuracy for one in filled]
    upper.plot(x, y, "o-", color=LIGHT.good, markersize=4.5, linewidth=1.5)
    lower.bar(
        [one.low for one in filled],
        [one.count for one in filled],
        [one.high - one.low for one in filled],
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


def _lanes(labels: Sequence[str], widths: Sequence[float] = (1,)) -> tuple[Figure, list[Axes]]:
    """A figure of one lane a label, which stands above what is drawn, in each of several axes."""
    height = 0.46 * max(len(labels), 1) + 0.6
    # Margins by hand: the layout is known, and constrained layout would draw every figure twice.
    figure = Figure(figsize=(WIDTH, height))
    figure.subplots_adjust(0.01, 0.5 / height, 0.99, 1 - 0.03 / height, wspace=0.06)
    ratios = {"width_ratios": list(widths)}
    (axes,) = figure.subplots(1, len(widths), squeeze=False, gridspec_kw=ratios)
    for one in axes:
        one.set(yticks=[], ylim=(-0.5, max(len(labels), 1) - 0.3))
        one.xaxis.set_major_locator(MaxNLocator(6 if len(widths) == 1 else 3))
        style(one)
    where = axes[0].get_yaxis_transform()
    words: dict[str, Any] = {"color": LIGHT.ink, "fontsize": TEXT, "parse_math": False}
    for lane, label in _from_top(labels):
        for one in axes:
            one.axhline(lane, color=LIGHT.rule, linewidth=0.6, zorder=0)
        axes[0].text(
            0.004, lane + 0.25, with_glyphs(label), transform=where, clip_on=False, **words
        )
    return figure, list(axes)


def _from_top(items: Sequence[T]) -> list[tuple[int, T]]:
    return [(len(items) - 1 - place, item) for place, item in enumerate(items)]
