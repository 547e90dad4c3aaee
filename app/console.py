"""Prints results: tables for people, JSON for programs."""

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

COLOURS = {
    "ok": "green",
    "reproduced": "green",
    "close": "green",
    "here": "green",
    "corrupt": "red",
    "not reproduced": "red",
    "missing": "yellow",
    "not locked": "yellow",
    "differs, within sampling error": "yellow",
    "not comparable": "yellow",
}
PIPE_WIDTH = 200  # columns where stdout isn't a terminal: tables must not wrap in a file


def console() -> Console:
    """A console on today's stdout."""
    return Console(width=None if sys.stdout.isatty() else PIPE_WIDTH, highlight=False)


def print_json(content: Any) -> None:
    """Print plain data as indented JSON."""
    sys.stdout.write(json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def print_table(
    columns: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    title: str | None = None,
    right: Sequence[str] = (),
) -> None:
    """Print aligned columns; those named in `right` are aligned right, known words coloured."""
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        table.add_column(column, justify="right" if column in right else "left", no_wrap=True)
    for row in rows:
        table.add_row(*(Text(cell, style=COLOURS.get(cell, "")) for cell in row))
    console().print(table)


def say(text: str = "", *, style: str | None = None) -> None:
    """Print text as it is, wrapped at the terminal's width."""
    console().print(Text(text), style=style)
