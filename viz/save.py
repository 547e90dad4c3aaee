"""Figures as files and inside pages: whole or absent, text as text, the same bytes each time."""

import html
import io
import re
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.figure import Figure

from ..eval.pixels import Pixels
from ..zoo.errors import UsageError
from ..zoo.files import write
from ..zoo.looks import printable
from .themes import LIGHT

DOTS_PER_INCH = 160
FORMATS = ("png", "svg", "pdf", "jpg")
# Text stays text in vector files, so that it can be searched, read out and edited.
_VECTOR_TEXT: dict[Any, Any] = {
    "svg.fonttype": "none",
    "pdf.fonttype": 42,
    "svg.hashsalt": "mixzoo",
}
_ALONE = threading.Lock()  # the settings are the process's, and the demo draws in several threads
_UNDATED: dict[str, dict[str, Any]] = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}


def named_format(path: Path, known: Sequence[str] = FORMATS) -> str:
    """The format that a file's name asks for. Raises UsageError for one that isn't known."""
    found = path.suffix.lower().removeprefix(".").replace("jpeg", "jpg")
    if found not in known:
        expected = ", ".join(f".{name}" for name in known)
        raise UsageError(f"{path}: expected a name ending in one of {expected}. Rename it.")
    return found


def figure_bytes(
    figure: Figure,
    kind: str = "png",
    *,
    dpi: int = DOTS_PER_INCH,
    about: Mapping[str, str] | None = None,
) -> bytes:
    """A figure as a file's content. kind: one of FORMATS. dpi: of png and jpg. about: what a PNG
    says of itself, by keyword."""
    buffer, ground = io.BytesIO(), figure.get_facecolor()
    told = dict(about) if about else _UNDATED.get(kind)
    with _ALONE, rc_context(_VECTOR_TEXT):
        figure.savefig(buffer, format=kind, dpi=dpi, facecolor=ground, metadata=told)
    return buffer.getvalue()


def pixels_figure(pixels: Pixels, dpi: int) -> Figure:
    """A picture alone: saved as PNG with this dpi, the file holds exactly its pixels.

    pixels: (H, W, 3) uint8.
    """
    height, width = ((side + 0.01) / dpi for side in pixels.shape[:2])  # matplotlib rounds down
    figure = Figure(figsize=(width, height), dpi=dpi)
    figure.figimage(pixels)
    return figure


def save_figure(figure: Figure, path: Path, *, dpi: int = DOTS_PER_INCH) -> None:
    """Write a figure in the format that the name asks for, in one step.

    Missing folders are made. Raises UsageError for a name of another format (see `named_format`),
    OSError where the folder can't be written.
    """
    content = figure_bytes(figure, named_format(path), dpi=dpi)
    path.parent.mkdir(parents=True, exist_ok=True)
    write(path, content)


def inline_svg(figure: Figure, name: str, description: str) -> str:
    """The `<svg>` element of a figure; the same figure gives the same text.

    figure: drawn in the light theme. name: unique on the page, the prefix of all ids inside.
    description: read out in place of the picture. The page's CSS gives the variables of
    `themes.css_variables` and `--font`.
    """
    buffer = io.StringIO()
    with _ALONE, rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r"<!--.*?-->\s*", "", text, flags=re.DOTALL)
    text = _with_own_ids(text, name)
    text = re.sub(r"font-family: [^;\"]*", "font-family: var(--font)", text)
    for role, colour in LIGHT.roles().items():
        text = text.replace(colour, f"var(--{role})")
    label = html.escape(printable(description), quote=True)
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
