"""Prints results: tables for people, JSON for programs."""

import json
import sys
from collections.abc import Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ..zoo.looks import look, printable, printable_lines, shortened

PIPE_WIDTH = 100_000  # columns where stdout isn't a terminal: nothing is broken in a file
SHORTEST = 12  # columns that a cell is cut to at least


class _Pipe(Console):
    """A console that leaves it to the command's end what a reader means who went away."""

    def on_broken_pipe(self) -> None:
        raise  # noqa: PLE0704


def console() -> Console:
    """A console on today's stdout."""
    return _Pipe(width=None if sys.stdout.isatty() else PIPE_WIDTH, highlight=False)


def print_json(content: Any) -> None:
    """Print plain data as indented JSON."""
    text = json.dumps(content, indent=2, ensure_ascii=False)
    shown = (c if c.isprintable() or c == "\n" else json.dumps(c)[1:-1] for c in text)
    sys.stdout.write("".join(shown) + "\n")


def print_table(
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    right: Sequence[str] = (),
    whole: Sequence[str] = (),
    optional: Sequence[str] = (),
    cut: str | None = None,
) -> None:
    """Print aligned columns, known words coloured.

    right: columns aligned right, never broken. whole: others that aren't, where they have room.
    optional: columns that are left out, in this order, while the table is wider than the terminal.
    cut: a column whose cells lose their middle to fit into it. What is still too wide is broken
    into lines.
    """
    out = console()
    if cut is not None:
        place = columns.index(cut)
        widest = [max(map(len, cells)) + 2 for cells in zip(columns, *rows, strict=True)]
        room = max(SHORTEST, out.width - sum(widest) + widest[place] - 2)
        rows = [[*row[:place], shortened(row[place], room), *row[place + 1 :]] for row in rows]
    left_out = _left_out(columns, rows, optional, out.width)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    fixed = {name for name in (*whole, cut) if name and name not in left_out}
    sizes = dict(zip(columns, zip(*rows, strict=True), strict=True)) if rows else {}
    needed = sum(max(map(len, sizes.get(name, ("",)))) + 2 for name in fixed)
    if needed + SHORTEST * (len(columns) - len(left_out) - len(fixed)) > out.width:
        fixed = set()
    for column in columns:
        if column not in left_out:
            numeric = column in right
            justify = "right" if numeric else "left"
            no_wrap = numeric or column in fixed
            table.add_column(column, justify=justify, no_wrap=no_wrap, overflow="fold")
    for row in rows:
        cells = [cell for name, cell in zip(columns, row, strict=True) if name not in left_out]
        table.add_row(*(Text(printable(cell), style=look(cell).style) for cell in cells))
    out.print(table)
    if left_out:
        say(f"Left out at this width: {', '.join(left_out)}.", style="dim")


def _left_out(
    columns: Sequence[str], rows: Sequence[Sequence[str]], optional: Sequence[str], width: int
) -> list[str]:
    """The first of the optional columns that must go for the rest to fit into `width`."""
    needed = [max(map(len, cells)) + 2 for cells in zip(columns, *rows, strict=True)]
    sizes = dict(zip(columns, needed, strict=True))
    left_out: list[str] = []
    for name in optional:
        if sum(sizes.values()) <= width:
            break
        left_out.append(name)
        del sizes[name]
    return left_out


def say(text: str = "", *, style: str | None = None) -> None:
    """Print lines as they are, without what could steer a terminal.

    They are never broken, since people copy commands and paths from them.
    """
    console().print(Text(printable_lines(text)), style=style, soft_wrap=True)
