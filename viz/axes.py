"""How the axes of all plots look: one rule below, a faint grid, muted text."""

from collections.abc import Sequence
from textwrap import fill
from typing import Any, Literal

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from .themes import LIGHT, Theme

TEXT = 9.5  # points
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "p")
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


def small(theme: Theme = LIGHT) -> dict[str, Any]:
    """Text of axis labels and remarks."""
    return {"color": theme.muted, "fontsize": TEXT - 0.5}


def title(figure: Figure, text: str, theme: Theme) -> None:
    """What the whole figure shows, above its left end; broken into lines where it is narrow."""
    text = fill(text, int(TITLE_LETTERS * figure.get_figwidth()))
    found = figure.suptitle(text, x=0.01, ha="left", fontsize=TEXT + 2, color=theme.ink)
    found.set_parse_math(False)


def heading(axes: Axes, text: str, theme: Theme) -> None:
    """A panel's title, above its left end; `$` and `_` in names stand for themselves."""
    found = axes.set_title(text, loc="left", fontsize=TEXT, color=theme.ink, fontweight="bold")
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
