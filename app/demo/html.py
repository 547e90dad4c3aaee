"""The tabs' pages as HTML, and figures in them in the page's own colours and font."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from markupsafe import Markup
from matplotlib.figure import Figure

from ...viz.pages import environment
from ...viz.save import inline_svg

_PAGES = environment(Path(__file__).parent / "templates")


def render(template: str, **facts: Any) -> str:
    """A page as the value of a `gr.HTML`: one of the folder's templates with its facts."""
    return _PAGES.get_template(template).render(facts)


def svg(figure: Figure, name: str, words: str) -> Markup:
    """A figure as a part of a page.

    figure: drawn in the light theme. name: unique on the page. words: for readers who don't see it.
    """
    return Markup(inline_svg(figure, name, words))


def as_sentences(texts: Iterable[str]) -> list[str]:
    """Texts of a terminal's list, which begin small and end without a full stop, as sentences."""
    return [f"{text[:1].upper()}{text[1:]}." for text in texts]


def as_cell(text: str) -> str:
    """A cell of a terminal's table as one of a page, where "" says that nothing is known."""
    return "" if text.strip() == "-" else text.strip()


def number(value: float | None, decimals: int) -> str:
    """A number as a cell of a table; "" if there is none."""
    return "" if value is None else f"{value:.{decimals}f}"
