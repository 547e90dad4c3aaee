"""Turns a figure into SVG that can stand inside an HTML page: text as text, colours as CSS variables."""

import html
import io
import re

from matplotlib import rc_context
from matplotlib.figure import Figure

from .themes import LIGHT

VARIABLES = {colour: f"var(--{role})" for role, colour in LIGHT.roles().items()}
_FONT = re.compile(r"font-family: [^;\"]*")


def inline_svg(figure: Figure, name: str, description: str) -> str:
    """The `<svg>` element of a figure; the same figure gives the same text.

    figure: drawn in the light theme. name: unique on the page, the prefix of all ids inside.
    description: read out in place of the picture. The page's CSS gives the variables in VARIABLES
    (see `themes.css_variables`) and `--font`.
    """
    buffer = io.StringIO()
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r"<!--.*?-->\s*", "", text, flags=re.DOTALL)
    text = _with_own_ids(text, name)
    text = _FONT.sub("font-family: var(--font)", text)
    for colour, variable in VARIABLES.items():
        text = text.replace(colour, variable)
    label = html.escape(description, quote=True)
    return text.replace("<svg ", f'<svg role="img" aria-label="{label}" ', 1).strip()


def _with_own_ids(text: str, name: str) -> str:
    """Ids that no other picture of the page has; those that nothing refers to go."""
    used = set(re.findall(r"(?:url\(#|xlink:href=\"#)([^)\"]+)", text))
    text = re.sub(
        r' id="([^"]+)"',
        lambda match: f' id="{name}-{match[1]}"' if match[1] in used else "",
        text,
    )
    return re.sub(r"(url\(#|xlink:href=\"#)", rf"\g<1>{name}-", text)
