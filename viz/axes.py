"""How the axes of all plots look: one rule below, a faint grid, muted text."""

from collections.abc import Sequence
from textwrap import fill
from typing import Any, Literal

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from .canvas import with_glyphs
from .themes import LIGHT, Theme

WIDTH, NARROW = 9.6, 4.8  # inches of a figure, and of one for a column or a phone
LETTERS = 11.5  # of a legend, per inch
TEXT = 9.5  # points
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "p", "<", "*")
TITLE_LETTERS = 10  # per inch


def marker_of(place: int) -> str:
    """The marker of a checkpoint or run; where colours begin again, markers are others."""
    return MARKERS[(place + place // len(MARKERS)) % len(MARKERS)]


def new_figure(width: float, height: float, theme: Theme, *, constrained: bool = True) -> Figure:
    """An empty figure of these inches on the theme's ground, held by no window."""
    layout = "constrained" if constrained else None
    return Figure(figsize=(width, height), layout=layout, facecolor=theme.ground)


def style(axes: Axes, theme: Theme = LIGHT, *, grid: Literal["x", "y", "both"] = "x") -> None:
    """Give axes the common look."""
    axes.set_facecolor("none")
    axes.tick_params(colors=theme.muted, labelsize=TEXT - 0.5, length=3)
    for name, spine in axes.spines.items():
        spine.set_visible(name == "bottom")
        spine.set_color(theme.rule)
    axes.grid(axis=grid, color=theme.rule, linewidth=0.6)
    axes.set_axisbelow(True)


def lanes(axes: Axes, names: Sequence[str], theme: Theme) -> None:
    """Named lanes from above, every other one shaded, for accuracies from left to right."""
    style(axes, theme)
    axes.set(ylim=(len(names) - 0.5, -0.5))
    axes.set_yticks(range(len(names)), names)
    axes.tick_params(axis="y", length=0, labelsize=TEXT, labelcolor=theme.ink)
    axes.set_xlabel("top-1, percent", **small(theme))
    for lane in range(0, len(names), 2):
        axes.axhspan(lane - 0.5, lane + 0.5, color=theme.rule, alpha=0.28, linewidth=0)


def at_right(axes: Axes, height: float, text: str, colour: str) -> None:
    """A number at the right end of a lane."""
    where = axes.get_yaxis_transform()
    axes.text(1.015, height, text, transform=where, va="center", fontsize=TEXT - 1.5, color=colour)


def small(theme: Theme = LIGHT) -> dict[str, Any]:
    """Text of axis labels and remarks."""
    return {"color": theme.muted, "fontsize": TEXT - 0.5}


def title(figure: Figure, text: str, theme: Theme) -> None:
    """What the whole figure shows, above its left end; broken into lines where it is narrow."""
    text = fill(with_glyphs(text), int(TITLE_LETTERS * figure.get_figwidth()))
    found = figure.suptitle(text, x=0.01, ha="left", fontsize=TEXT + 2, color=theme.ink)
    found.set_parse_math(False)


def heading(axes: Axes, text: str, theme: Theme) -> None:
    """A panel's title, above its left end; `$` and `_` in names stand for themselves."""
    found = axes.set_title(
        with_glyphs(text), loc="left", fontsize=TEXT, color=theme.ink, fontweight="bold"
    )
    found.set_parse_math(False)


def legend(figure: Figure, handles: Sequence[Line2D], theme: Theme, *, columns: int) -> None:
    """Handles with labels in one line or several below all panels."""
    found = figure.legend(
        handles=list(handles),
        loc="outside lower left",
        ncols=columns,
        frameon=False,
        fontsize=TEXT - 0.5,
        labelcolor=theme.ink,
        handlelength=2.2,
        columnspacing=1.6,
    )
    for text in found.get_texts():
        text.set_parse_math(False)
        text.set_text("\n".join(map(with_glyphs, text.get_text().split("\n"))))
