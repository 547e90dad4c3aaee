"""Writes figures to files: whole or not at all, with text as text, the same bytes each time."""

import io
import os
import tempfile
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.figure import Figure

from ..zoo.errors import UsageError

DOTS_PER_INCH = 160
FORMATS = ("png", "svg", "pdf", "jpg")
# Text stays text in vector files, so that it can be searched, read out and edited.
_VECTOR_TEXT: dict[Any, Any] = {
    "svg.fonttype": "none",
    "pdf.fonttype": 42,
    "svg.hashsalt": "mixzoo",
}
_UNDATED: dict[str, dict[str, Any]] = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}


def figure_format(path: Path) -> str:
    """The format that a file's name asks for. Raises UsageError for one that isn't in FORMATS."""
    found = path.suffix.lower().removeprefix(".").replace("jpeg", "jpg")
    if found not in FORMATS:
        expected = ", ".join(f".{name}" for name in FORMATS)
        raise UsageError(f"{path}: expected a name ending in one of {expected}.")
    return found


def figure_bytes(figure: Figure, kind: str = "png", *, dpi: int = DOTS_PER_INCH) -> bytes:
    """A figure as a file's content. kind: one of FORMATS. dpi: of png and jpg."""
    buffer = io.BytesIO()
    with rc_context(_VECTOR_TEXT):
        figure.savefig(
            buffer,
            format=kind,
            dpi=dpi,
            facecolor=figure.get_facecolor(),
            metadata=_UNDATED.get(kind),
        )
    return buffer.getvalue()


def save_figure(figure: Figure, path: Path, *, dpi: int = DOTS_PER_INCH) -> None:
    """Write a figure in the format that the name asks for, in one step.

    Missing folders are made. Raises UsageError for a name of another format (see `figure_format`),
    OSError where the folder can't be written.
    """
    content = figure_bytes(figure, figure_format(path), dpi=dpi)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        Path(name).chmod(0o644)
        Path(name).replace(path)
    finally:
        Path(name).unlink(missing_ok=True)
