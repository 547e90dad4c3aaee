"""Every two rows compared on the same images, as a matrix."""

from collections.abc import Iterator, Sequence
from textwrap import wrap
from typing import Any

import msgspec
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from ..eval.compare import (
    BETTER,
    IDENTICAL,
    LEVEL,
    NOT_DISTINGUISHABLE,
    SCOPE,
    WORSE,
    Pair,
    p_text,
)
from ..zoo.errors import UsageError
from ..zoo.looks import counted, signed
from .axes import TEXT, new_figure
from .canvas import with_glyphs
from .themes import LIGHT, Theme

CELL = (1.12, 0.56)  # inches
LETTER = 0.083  # inches, of a name
MARGIN = 0.12  # inches
LINE = 0.18  # inches, of the caption
LETTERS = 14  # of the caption, per inch
LEAST_WIDTH = 5.0  # inches
# word -> sign, role of the colour that fills the cell, what it says of the row
LOOKS: dict[str, tuple[str, str | None, str]] = {
    BETTER: ("▲", "good", "right more often"),
    WORSE: ("▼", "bad", "right less often"),
    NOT_DISTINGUISHABLE: ("≈", None, "not distinguishable on these images"),
    IDENTICAL: ("=", None, "right on the same images"),
}
MIRRORED = {BETTER: WORSE, WORSE: BETTER}


def comparison_plot(pairs: Sequence[Pair], *, theme: Theme = LIGHT) -> Figure:
    """Row against column. Below the diagonal the difference of top-1 with its 95% interval, above
    it the p-value corrected for all pairs and how many images only one of both gets right.

    pairs: of `compare_rows`; what they don't hold stays empty. A sign tells in each cell whether
    the row is better, worse or not distinguishable. Raises UsageError for no pair.
    """
    if not pairs:
        raise UsageError("Expected at least two rows to compare, got none. Name them.")
    names = list(dict.fromkeys(name for pair in pairs for name in (pair.a, pair.b)))
    beside = LETTER * (max(map(len, names)) + 4)  # inches
    width = max(beside + CELL[0] * len(names) + MARGIN, LEAST_WIDTH)
    caption = [line for text in _caption(pairs) for line in wrap(text, int(LETTERS * width))]
    below = LINE * len(caption) + 2 * MARGIN
    height = below + CELL[1] * len(names) + 0.35
    figure = new_figure(width, height, theme, constrained=False)
    size = CELL[0] * len(names) / width, CELL[1] * len(names) / height
    axes = figure.add_axes((beside / width, below / height, *size))
    _frame(axes, names, theme)
    places = {name: place for place, name in enumerate(names)}
    accuracies: dict[str, float] = {}
    for pair in pairs:
        accuracies[pair.a] = 100 * (pair.both + pair.only_a) / pair.total
        accuracies[pair.b] = 100 * (pair.both + pair.only_b) / pair.total
        for one in (pair, _mirrored(pair)):
            sign, role, _ = LOOKS[one.word]
            row, column = places[one.a], places[one.b]
            text, under = _difference(one) if row > column else _test(one)
            fill = getattr(theme, role) if role else None
            _write(axes, row, column, f"{sign} {text}", under, fill, theme)
    for name, accuracy in accuracies.items():
        _write(axes, places[name], places[name], f"{accuracy:.2f}", "", theme.rule, theme)
    for nth, line in enumerate(caption):
        y = (below - MARGIN - LINE * (nth + 0.8)) / height
        figure.text(MARGIN / width, y, line, fontsize=TEXT - 1, color=theme.muted)
    return figure


def comparison_words(pairs: Sequence[Pair]) -> str:
    """Every finding in a sentence, for readers who don't see the figure."""
    return " ".join(pair.sentence for pair in pairs)


def _mirrored(pair: Pair) -> Pair:
    """The same pair seen from B."""
    low, high = pair.interval95
    return msgspec.structs.replace(
        pair,
        a=pair.b,
        b=pair.a,
        only_a=pair.only_b,
        only_b=pair.only_a,
        difference=-pair.difference,
        interval95=(-high, -low),
        word=MIRRORED.get(pair.word, pair.word),
    )


def _difference(pair: Pair) -> tuple[str, str]:
    interval = " to ".join(signed(end, 2) for end in pair.interval95)
    return signed(pair.difference, 2), interval


def _test(pair: Pair) -> tuple[str, str]:
    p = p_text(pair.p_holm)
    return f"p {p if p.startswith('<') else '= ' + p}", f"{pair.only_a:,} : {pair.only_b:,}"


def _write(
    axes: Axes, row: int, column: int, text: str, below: str, fill: str | None, theme: Theme
) -> None:
    """Fill a cell with a colour, if with any, and write into it."""
    if fill:
        corner = (column - 0.5, row - 0.5)
        axes.add_patch(Rectangle(corner, 1, 1, facecolor=fill, alpha=0.26, linewidth=0))
    middle: dict[str, Any] = {"ha": "center", "va": "center", "color": theme.ink}
    weight = "bold" if fill and below else "normal"
    axes.text(column, row - 0.17 * bool(below), text, fontsize=TEXT, fontweight=weight, **middle)
    axes.text(column, row + 0.23, below, fontsize=TEXT - 2, **middle)


def _frame(axes: Axes, names: Sequence[str], theme: Theme) -> None:
    """Rows named and numbered, columns numbered, a line around each cell."""
    count = len(names)
    axes.set(xlim=(-0.5, count - 0.5), ylim=(count - 0.5, -0.5), facecolor="none")
    axes.set_yticks(
        range(count), [f"{with_glyphs(name)}  {nth}" for nth, name in enumerate(names, 1)]
    )
    axes.set_xticks(range(count), [str(nth) for nth in range(1, count + 1)])
    axes.tick_params(
        length=0, labelsize=TEXT, labelcolor=theme.ink, labeltop=True, labelbottom=False
    )
    for label in axes.get_yticklabels():
        label.set_parse_math(False)
    edges = [place - 0.5 for place in range(count + 1)]
    axes.hlines(edges, -0.5, count - 0.5, color=theme.rule, linewidth=0.8, clip_on=False)
    axes.vlines(edges, -0.5, count - 0.5, color=theme.rule, linewidth=0.8, clip_on=False)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _caption(pairs: Sequence[Pair]) -> Iterator[str]:
    used = {word for pair in pairs for word in (pair.word, MIRRORED.get(pair.word, pair.word))}
    signs = [f"{sign} {says}" for word, (sign, _, says) in LOOKS.items() if word in used]
    total = pairs[0].total
    yield "The row, against the column: " + ", ".join(signs) + f" (level {LEVEL})."
    yield (
        "Below the diagonal: difference of top-1 in points, 95% interval of the pair alone. "
        f"Above: McNemar's p, Holm-corrected for {counted(len(pairs), 'comparison')}; "
        "images that only the row : only the column gets right. Diagonal: top-1, percent. "
        f"{total:,} images."
    )
    yield SCOPE
