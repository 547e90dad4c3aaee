"""Draws figures into the demo's pages, in the page's own colours and font."""

import threading
from collections.abc import Mapping

from markupsafe import Markup
from matplotlib.figure import Figure

from ...viz.save import inline_svg
from . import markup

_ALONE = threading.Lock()  # matplotlib's settings, which inline_svg changes, are the process's


def plot(caption: str, figure: Figure, name: str, words: str, *, scrolls: bool = False) -> Markup:
    """A figure with its caption.

    figure: drawn in the light theme. name: unique on the page. words: for readers who don't see it.
    scrolls: keep its size, and scroll sideways where the page is narrower.
    """
    with _ALONE:
        return markup.figure(caption, inline_svg(figure, name, words), scrolls=scrolls)


def plot_for(caption: str, figures: Mapping[bool, Figure], name: str, words: str) -> Markup:
    """A figure in two shapes, of which the page shows the one that fits: for wide screens or not."""
    with _ALONE:
        shapes = [
            Markup('<div class="{}">{}</div>').format(
                shape := "wide" if wide else "narrow",
                Markup(inline_svg(figure, f"{name}-{shape}", words)),
            )
            for wide, figure in figures.items()
        ]
    return markup.figure(caption, markup.join(shapes))
