"""Training curves from logs: validation top-1 with the window that the table sums up, loss, rate."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import ceil
from textwrap import fill
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from ..eval.logs.summaries import MEDIAN
from ..zoo.errors import UsageError
from .axes import (
    LETTERS,
    NARROW,
    WIDTH,
    heading,
    legend,
    marker_of,
    new_figure,
    small,
    style,
    title,
)
from .runs import Run, short_names
from .themes import LIGHT, Theme

CLOSE_UP = 12  # last epochs that the close-up shows, at least twice the window
MOST_MARKED = 25  # values of a curve that have markers
WHOLE, CLOSE = "validation top-1, percent", "the last epochs"
LOSS, RATE = "training loss", "learning rate"
DASHES: tuple[Any, ...] = ("solid", (0, (5, 1.6)), (0, (1.2, 1.4)), (0, (6, 1.5, 1.2, 1.5)))


@dataclass(frozen=True)
class Curve:
    """One head of one run and how it looks."""

    run: Run
    head: str
    label: str
    colour: str
    dashes: Any
    marker: str

    @property
    def look(self) -> dict[str, Any]:
        """Of its lines."""
        return {"color": self.colour, "linestyle": self.dashes, "linewidth": 1.5}

    @cached_property
    def values(self) -> dict[int, float]:
        """Epoch -> top-1, percent."""
        return self.run.top1(self.head)

    @property
    def numbers(self) -> str:
        """`median 64.730, published 64.73`."""
        claim = self.run.audit.claim
        parts = []
        for rule in dict.fromkeys((claim.rule, MEDIAN)):
            value = self.run.value(self.head, rule)
            text = "not complete" if value is None else f"{value:.{claim.decimals + 1}f}"
            parts.append(f"{rule} {text}")
        if claim.top1 is not None:
            parts.append(f"published {claim.top1:.{claim.decimals}f}")
        return ", ".join(parts)


def choose_curves(runs: Sequence[Run], heads: Sequence[str] | None, theme: Theme) -> list[Curve]:
    """A curve for each head that is drawn: all of one run, the first of several, or those named.

    Of one run, heads differ in everything; of several, runs do, and heads in their dashes.
    Raises UsageError for no run, or a head that no run has.
    """
    if not runs:
        raise UsageError("Expected at least one training log to draw, got none.")
    names = short_names([run.audit.name for run in runs])
    shown = [_shown(run, heads, alone=len(runs) == 1) for run in runs]
    if not any(shown):
        known = dict.fromkeys(head for run in runs for head in run.heads)
        raise UsageError(
            f"No log has the head {' or '.join(heads or ())}; expected one of {', '.join(known)}."
        )
    several_heads = any(len(one) > 1 for one in shown)
    found: list[Curve] = []
    for place, (run, name) in enumerate(zip(runs, names, strict=True)):
        for nth, head in enumerate(shown[place]):
            turn = nth if len(runs) == 1 else place
            dashes = nth if several_heads else place
            found.append(
                Curve(
                    run,
                    head,
                    _label(run, name, head, alone=len(runs) == 1),
                    theme.series[turn % len(theme.series)],
                    DASHES[(dashes + turn // len(theme.series)) % len(DASHES)],
                    marker_of(turn),
                )
            )
    return found


def _label(run: Run, name: str, head: str, *, alone: bool) -> str:
    """A run's only head isn't worth a word, nor is the name of the only run."""
    if alone:
        return head
    return f"{name} {head}" if len(run.heads) > 1 else name


def _shown(run: Run, heads: Sequence[str] | None, *, alone: bool) -> tuple[str, ...]:
    """The heads of a run that are drawn."""
    if heads is not None:
        return tuple(head for head in run.heads if head in heads)
    return run.heads if alone else run.heads[:1]


Draw = Callable[[Axes, Sequence[Curve], Theme], None]


def curves_plot(
    runs: Sequence[Run],
    *,
    heads: Sequence[str] | None = None,
    theme: Theme = LIGHT,
    narrow: bool = False,
) -> Figure:
    """Validation top-1 by epoch, a close-up of the last epochs, training loss and learning rate.

    The last epochs (as many as the table sums up, else 5) are shaded, their median is a bar, the
    published number a dotted line; crosses are validations that a restart did again, triangles
    stand where it began. A log without losses or rates has no panel for them, a short one no
    close-up. heads: None for all heads of one run, the first one of several. narrow: all panels
    below one another. Raises UsageError for no run, or a head that no run has.
    """
    curves = choose_curves(runs, heads, theme)
    panels = _panels(curves)
    handles = list(_handles(curves, theme, int(LETTERS * (NARROW if narrow else WIDTH))))
    longest = max(len(str(handle.get_label())) for handle in handles)
    beside = 1 if narrow or 2 * longest > LETTERS * WIDTH else 2
    lines = sum(str(handle.get_label()).count("\n") + 1 for handle in handles)
    shape = _narrow(panels) if narrow else _wide(panels)
    heights = [2.5 if narrow or row[0] in (WHOLE, CLOSE) else 1.7 for row in shape]
    width = NARROW if narrow else WIDTH
    figure = new_figure(width, sum(heights) + 0.4 + 0.19 * -(-lines // beside), theme)
    if len(runs) == 1:
        title(figure, short_names([runs[0].audit.name])[0], theme)
    for name, axes in figure.subplot_mosaic(shape, height_ratios=heights).items():
        style(axes, theme, grid="both")
        heading(axes, name, theme)
        axes.set_xlabel("epoch", **small(theme))
        panels[name](axes, curves, theme)
    legend(figure, handles, theme, columns=beside)
    return figure


def _panels(curves: Sequence[Curve]) -> dict[str, Draw]:
    """Title -> what draws it, as far as the logs tell something."""
    panels: dict[str, Draw] = {WHOLE: _whole}
    if any(_first_of_close_up(curve) > min(curve.values) for curve in curves):
        panels[CLOSE] = _close_up
    if any(curve.run.losses for curve in curves):
        panels[LOSS] = _loss
    if any(curve.run.rates for curve in curves):
        panels[RATE] = _rate
    return panels


def _narrow(panels: Iterable[str]) -> list[Any]:
    return [[name] for name in panels]


def _wide(panels: Iterable[str]) -> list[Any]:
    """Accuracies above, the rest below; a panel that has no neighbour takes the whole width."""
    rows = [[n for n in panels if n in (WHOLE, CLOSE)], [n for n in panels if n in (LOSS, RATE)]]
    return [row * (3 - len(row)) for row in rows if row]


def _whole(axes: Axes, curves: Sequence[Curve], theme: Theme) -> None:
    _accuracies(axes, curves, theme)
    for curve in curves:
        for epoch, value in curve.run.replaced(curve.head):
            axes.plot(epoch, value, "x", color=curve.colour, markersize=4, markeredgewidth=1)
    foot = axes.get_xaxis_transform()
    for run, look in _runs(curves):
        for epoch in run.restarts():
            axes.plot(epoch - 0.5, 0.03, "^", color=look["color"], markersize=5, transform=foot)


def _close_up(axes: Axes, curves: Sequence[Curve], theme: Theme) -> None:
    first = min(_first_of_close_up(curve) for curve in curves)
    _accuracies(axes, curves, theme, first)
    axes.set_xlim(first - 0.6, max(max(curve.values) for curve in curves) + 0.6)


def _accuracies(axes: Axes, curves: Sequence[Curve], theme: Theme, first: int = 0) -> None:
    """Top-1 from epoch `first` on, with windows, medians and published numbers."""
    for low, high in dict.fromkeys(_window(curve.run) for curve in curves):
        axes.axvspan(low - 0.5, high + 0.5, color=theme.rule, alpha=0.55, linewidth=0, zorder=0)
    for curve in curves:
        values = {epoch: value for epoch, value in curve.values.items() if epoch >= first}
        marker = curve.marker if len(values) <= MOST_MARKED else ""
        axes.plot(list(values), list(values.values()), marker=marker, markersize=3.5, **curve.look)
        low, high = _window(curve.run)
        median = curve.run.value(curve.head, MEDIAN)
        if median is not None:
            bar: dict[str, Any] = {"color": curve.colour, "linewidth": 4, "alpha": 0.45}
            axes.hlines(median, low - 0.4, high + 0.4, **bar)
    published = {c.run.audit.claim.top1: c.colour for c in curves}
    for top1, colour in published.items():
        if top1 is not None:
            ink = theme.ink if len(published) == 1 else colour
            axes.axhline(top1, color=ink, linestyle=(0, (1, 2)), linewidth=1.2)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))


def _window(run: Run) -> tuple[int, int]:
    """First and last of the run's epochs that are summed up."""
    end = run.audit.horizon.epochs
    return max(1, end - run.audit.claim.last + 1), end


def _first_of_close_up(curve: Curve) -> int:
    return max(curve.values) - max(CLOSE_UP, 2 * curve.run.audit.claim.last) + 1


def _loss(axes: Axes, curves: Sequence[Curve], _: Theme) -> None:
    """Each line of the log, pale, and the mean of each epoch."""
    for run, look in _runs(curves):
        axes.plot(*_columns(run.losses), color=look["color"], linewidth=0.7, alpha=0.35)
        axes.plot(*_columns(_epoch_means(run.losses)), **look)


def _rate(axes: Axes, curves: Sequence[Curve], _: Theme) -> None:
    runs = _runs(curves)
    for place, (run, look) in enumerate(runs):
        # Runs of one recipe have the same rates: the first ones look out on both sides.
        wide: dict[str, Any] = {"linewidth": 1.5 + 2.5 * (1 - (place + 1) / len(runs))}
        axes.plot(*_columns(run.rates), **look | wide)
    axes.set_ylim(bottom=0)


def _runs(curves: Sequence[Curve]) -> list[tuple[Run, dict[str, Any]]]:
    """Each run with the look of its first curve: a run has one loss, whatever its heads."""
    firsts = {id(curve.run): curve for curve in reversed(curves)}
    return [(curve.run, curve.look) for curve in curves if firsts[id(curve.run)] is curve]


def _epoch_means(losses: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """The middles of epochs and the mean losses in them."""
    of: defaultdict[int, list[float]] = defaultdict(list)
    for epoch, loss in losses:
        of[max(0, ceil(epoch) - 1)].append(loss)  # a line stands at the end of what it speaks of
    return [(epoch + 0.5, sum(values) / len(values)) for epoch, values in of.items()]


def _columns(points: Sequence[tuple[float, float]]) -> tuple[list[float], list[float]]:
    return [x for x, _ in points], [y for _, y in points]


def _handles(curves: Sequence[Curve], theme: Theme, letters: int) -> Iterator[Line2D]:
    """The legend; letters: that fit into a line."""
    for curve in curves:
        label = fill(f"{curve.label}: {curve.numbers}", letters)
        yield Line2D([], [], label=label, marker=curve.marker, markersize=3.5, **curve.look)
    plain = {"color": theme.muted, "linestyle": "", "markersize": 5}
    lasts = " or ".join(dict.fromkeys(str(curve.run.audit.claim.last) for curve in curves))
    label = f"shaded: last {lasts} epochs; bar: their median"
    if any(curve.run.audit.claim.top1 is not None for curve in curves):
        label += "; dotted: published"
    yield Line2D([], [], label=fill(label, letters), **plain)
    if any(curve.run.replaced(curve.head) for curve in curves):
        label = fill("validated again after a restart; the later one counts", letters)
        yield Line2D([], [], marker="x", label=label, **plain)
    if any(curve.run.restarts() for curve in curves):
        yield Line2D([], [], marker="^", label="restart", **plain)
