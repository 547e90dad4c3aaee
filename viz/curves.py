"""Training curves from logs: validation top-1 with the window that the table takes, loss, rate."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import ceil
from textwrap import fill
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import (
    CARETLEFT,  # type: ignore[attr-defined]
    Line2D,
)
from matplotlib.ticker import MaxNLocator

from ..eval.logs import MEDIAN, LogAudit
from ..eval.logs.lines import Iteration
from ..zoo.errors import UsageError
from ..zoo.looks import told_apart
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
from .themes import LIGHT, Theme

CLOSE_UP = 12  # last epochs that the close-up shows, at least twice the window
MOST_MARKED = 25  # values of a curve that have markers
WHOLE, CLOSE = "validation top-1, percent", "the last epochs"
LOSS, RATE = "training loss", "learning rate"
PUBLISHED: dict[str, Any] = {"marker": CARETLEFT, "markersize": 6}  # at the right edge
DASHES: tuple[Any, ...] = ("solid", (0, (5, 1.6)), (0, (1.2, 1.4)), (0, (6, 1.5, 1.2, 1.5)))

Points = list[
    tuple[float, float]
]  # epoch with its fraction (1.5 is the middle of the second), value


@dataclass(frozen=True)
class Run:
    """A training run as its audited log tells it."""

    audit: LogAudit

    @property
    def heads(self) -> list[str]:
        """Heads with a top-1 accuracy, that of inference first."""
        return sorted(self.audit.log.heads, key=lambda head: head != "one_k")

    @cached_property
    def training(self) -> list[tuple[float, Iteration]]:
        """Epochs and training lines in order: what a restart does again replaces what was."""
        kept: list[Iteration] = []
        for line in self.audit.log.training:
            while kept and (kept[-1].epoch, kept[-1].iteration) >= (line.epoch, line.iteration):
                kept.pop()
            kept.append(line)
        per_epoch = max((line.iterations or line.iteration for line in kept), default=1) or 1
        return [(line.epoch - 1 + min(1.0, line.iteration / per_epoch), line) for line in kept]

    @property
    def losses(self) -> Points:
        """Training losses, as far as the log has any; one may be NaN."""
        return [(epoch, line.loss) for epoch, line in self.training if line.loss is not None]

    @property
    def rates(self) -> Points:
        """Learning rates of the training lines; without these, those of the validations."""
        named = self.training or [(line.epoch, line) for line in self.audit.log.validations]
        return [(epoch, float(line.lr)) for epoch, line in named if line.lr is not None]

    @property
    def restarts(self) -> list[int]:
        """The epochs that a resumed log's later pieces begin with."""
        log = self.audit.log
        first: dict[int, int] = {}
        for line in (*log.training, *log.replaced, *log.validations):
            first[line.piece] = min(line.epoch, first.get(line.piece, line.epoch))
        return [first[piece] for piece in sorted(first) if piece > 0]

    @property
    def window(self) -> tuple[int, int]:
        """First and last of the epochs that are summed up."""
        end = self.audit.horizon.epochs
        return max(1, end - self.audit.claim.last + 1), end


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
        """What its lines look like."""
        return {"color": self.colour, "linestyle": self.dashes, "linewidth": 1.5}

    @cached_property
    def values(self) -> dict[int, float]:
        """Epoch -> validation top-1, percent."""
        return self.run.audit.log.floats(f"{self.head}_top1")

    @property
    def replaced(self) -> Points:
        """Validations that a restart did again."""
        name = f"{self.head}_top1"
        lines = self.run.audit.log.replaced
        return [(v.epoch, float(v.accuracies[name])) for v in lines if name in v.accuracies]

    @property
    def first_of_close_up(self) -> int:
        """The epoch that a close-up begins with."""
        return max(self.values) - max(CLOSE_UP, 2 * self.run.audit.claim.last) + 1

    @property
    def numbers(self) -> str:
        """`median 64.730, published 64.73`."""
        claim = self.run.audit.claim
        parts = []
        for rule in dict.fromkeys((claim.rule, MEDIAN)):
            found = self.run.audit.summary(self.head, rule)
            text = f"{found.value:.{claim.decimals + 1}f}" if found else "not complete"
            parts.append(f"{rule} {text}")
        if claim.top1 is not None:
            parts.append(f"published {claim.top1:.{claim.decimals}f}")
        return ", ".join(parts)


def curves_plot(
    audits: Sequence[LogAudit],
    *,
    heads: Sequence[str] | None = None,
    theme: Theme = LIGHT,
    narrow: bool = False,
) -> Figure:
    """Validation top-1 by epoch, a close-up of the last epochs, training loss and learning rate.

    The last epochs (as many as the table sums up, else 5) are shaded, their median is a bar, the
    published number a wedge at the right edge; crosses are validations that a restart did again,
    triangles stand where it began. A log without losses or rates has no panel for them, a short one
    no close-up. heads: None for all heads of one run, the first one of several. narrow: all panels
    below one another. Raises UsageError for no run, or a head that no run has.
    """
    curves = _choose(audits, heads, theme)
    panels = _panels(curves)
    handles = list(_handles(curves, theme, int(LETTERS * (NARROW if narrow else WIDTH))))
    longest = max(len(str(handle.get_label())) for handle in handles)
    beside = 1 if narrow or 2 * longest > LETTERS * WIDTH else 2
    lines = sum(str(handle.get_label()).count("\n") + 1 for handle in handles)
    # Accuracies above, the rest below; a panel that has no neighbour takes the whole width.
    pairs = [[n for n in pair if n in panels] for pair in ((WHOLE, CLOSE), (LOSS, RATE))]
    shape: list[Any] = (
        [[n] for n in panels] if narrow else [row * (3 - len(row)) for row in pairs if row]
    )
    heights = [2.5 if narrow or row[0] in (WHOLE, CLOSE) else 1.7 for row in shape]
    width = NARROW if narrow else WIDTH
    figure = new_figure(width, sum(heights) + 0.4 + 0.19 * -(-lines // beside), theme)
    if len(audits) == 1:
        title(figure, told_apart([audits[0].name])[0], theme)
    for name, axes in figure.subplot_mosaic(shape, height_ratios=heights).items():
        style(axes, theme, grid="both")
        heading(axes, name, theme)
        axes.set_xlabel("epoch", **small(theme))
        panels[name](axes, curves, theme)
    legend(figure, handles, theme, columns=beside)
    return figure


def curves_words(audits: Sequence[LogAudit]) -> str:
    """What the curves end in, for readers who don't see the figure."""
    return " ".join(
        f"{audit.name} {head}: top-1 {values[max(values)]:.2f} percent after epoch {max(values)}."
        for audit in audits
        for head in Run(audit).heads
        if (values := audit.log.floats(f"{head}_top1"))
    )


def _choose(audits: Sequence[LogAudit], heads: Sequence[str] | None, theme: Theme) -> list[Curve]:
    """A curve for each head that is drawn: all of one run, the first of several, or those named.

    Of one run, heads differ in everything; of several, runs do, and heads in their dashes.
    """
    if not audits:
        raise UsageError("Expected at least one training log to draw, got none. Name one.")
    runs, alone = [Run(audit) for audit in audits], len(audits) == 1
    known = dict.fromkeys(head for run in runs for head in run.heads)
    if heads is not None and known.keys().isdisjoint(heads):
        raise UsageError(
            f"No log has the head {' or '.join(heads)}; expected one of {', '.join(known)}. Name "
            "one."
        )
    shown = [run.heads if alone else run.heads[:1] for run in runs]
    if heads is not None:
        shown = [[head for head in run.heads if head in heads] for run in runs]
    several_heads = any(len(one) > 1 for one in shown)
    names = told_apart([audit.name for audit in audits])
    found: list[Curve] = []
    for place, (run, name) in enumerate(zip(runs, names, strict=True)):
        for nth, head in enumerate(shown[place]):
            turn = nth if alone else place
            dashes = (nth if several_heads else place) + turn // len(theme.series)
            # A run's only head isn't worth a word, nor is the name of the only run.
            label = head if alone else f"{name} {head}" if len(run.heads) > 1 else name
            colour = theme.series[turn % len(theme.series)]
            look = (colour, DASHES[dashes % len(DASHES)], marker_of(turn))
            found.append(Curve(run, head, label, *look))
    return found


def _panels(
    curves: Sequence[Curve],
) -> dict[str, Callable[[Axes, Sequence[Curve], Theme], None]]:
    """Title -> what draws it, as far as the logs tell something."""
    close_up = any(curve.first_of_close_up > min(curve.values) for curve in curves)
    drawn = {
        WHOLE: (_draw_whole, True),
        CLOSE: (_draw_close_up, close_up),
        LOSS: (_draw_losses, any(curve.run.losses for curve in curves)),
        RATE: (_draw_rates, any(curve.run.rates for curve in curves)),
    }
    return {name: draw for name, (draw, told) in drawn.items() if told}


def _draw_whole(axes: Axes, curves: Sequence[Curve], theme: Theme) -> None:
    _draw_accuracies(axes, curves, theme)
    for curve in curves:
        for epoch, value in curve.replaced:
            axes.plot(epoch, value, "x", color=curve.colour, markersize=4, markeredgewidth=1)
    foot = axes.get_xaxis_transform()
    for run, look in _runs(curves):
        for epoch in run.restarts:
            axes.plot(epoch - 0.5, 0.03, "^", color=look["color"], markersize=5, transform=foot)


def _draw_close_up(axes: Axes, curves: Sequence[Curve], theme: Theme) -> None:
    first = min(curve.first_of_close_up for curve in curves)
    _draw_accuracies(axes, curves, theme, first)
    axes.set_xlim(first - 0.6, max(max(curve.values) for curve in curves) + 0.6)


def _draw_accuracies(axes: Axes, curves: Sequence[Curve], theme: Theme, first: int = 0) -> None:
    """Top-1 from epoch `first` on, with windows, medians and published numbers."""
    for low, high in dict.fromkeys(curve.run.window for curve in curves):
        axes.axvspan(low - 0.5, high + 0.5, color=theme.rule, alpha=0.55, linewidth=0, zorder=0)
    for curve in curves:
        values = {epoch: value for epoch, value in curve.values.items() if epoch >= first}
        marker = curve.marker if len(values) <= MOST_MARKED else ""
        axes.plot(list(values), list(values.values()), marker=marker, markersize=3.5, **curve.look)
        if median := curve.run.audit.summary(curve.head, MEDIAN):
            (low, high), bar = curve.run.window, {"linewidth": 4, "alpha": 0.45}
            axes.hlines(median.value, low - 0.4, high + 0.4, color=curve.colour, **bar)
    edge = axes.get_yaxis_transform()
    for curve in {c.run.audit.claim.top1: c for c in reversed(curves)}.values():
        if (top1 := curve.run.audit.claim.top1) is not None:
            axes.plot(1, top1, **PUBLISHED, color=curve.colour, transform=edge, clip_on=False)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))


def _draw_losses(axes: Axes, curves: Sequence[Curve], _: Theme) -> None:
    """Each line of the log, pale, and the mean of each epoch in its middle."""
    for run, look in _runs(curves):
        of: defaultdict[int, list[float]] = defaultdict(list)
        for epoch, loss in run.losses:
            of[max(0, ceil(epoch) - 1)].append(loss)  # a line stands at the end of what it tells
        means = [(epoch + 0.5, sum(values) / len(values)) for epoch, values in of.items()]
        _draw_points(axes, run.losses, color=look["color"], linewidth=0.7, alpha=0.35)
        _draw_points(axes, means, **look)


def _draw_rates(axes: Axes, curves: Sequence[Curve], _: Theme) -> None:
    runs = _runs(curves)
    for place, (run, look) in enumerate(runs):
        # Runs of one recipe have the same rates: the first ones look out on both sides.
        _draw_points(axes, run.rates, **look | {"linewidth": 4 - 2.5 * (place + 1) / len(runs)})
    axes.set_ylim(bottom=0)


def _draw_points(axes: Axes, points: Points, **look: Any) -> None:
    axes.plot([x for x, _ in points], [y for _, y in points], **look)


def _runs(curves: Sequence[Curve]) -> list[tuple[Run, dict[str, Any]]]:
    """Each run with the look of its first curve: a run has one loss, whatever its heads."""
    firsts = {id(curve.run): curve for curve in reversed(curves)}
    return [(curve.run, curve.look) for curve in curves if firsts[id(curve.run)] is curve]


def _handles(curves: Sequence[Curve], theme: Theme, letters: int) -> Iterator[Line2D]:
    """The legend; letters: that fit into a line."""
    for curve in curves:
        label = fill(f"{curve.label}: {curve.numbers}", letters)
        yield Line2D([], [], label=label, marker=curve.marker, markersize=3.5, **curve.look)
    plain = {"color": theme.muted, "linestyle": "", "markersize": 5}
    lasts = " or ".join(dict.fromkeys(str(curve.run.audit.claim.last) for curve in curves))
    label = f"shaded: last {lasts} epochs; bar: their median"
    yield Line2D([], [], label=fill(label, letters), **plain)
    if any(curve.run.audit.claim.top1 is not None for curve in curves):
        yield Line2D([], [], label="published", **PUBLISHED, color=theme.muted, linestyle="")
    if any(curve.replaced for curve in curves):
        label = fill("validated again after a restart; the later one counts", letters)
        yield Line2D([], [], marker="x", label=label, **plain)
    if any(curve.run.restarts for curve in curves):
        yield Line2D([], [], marker="^", label="restart", **plain)
