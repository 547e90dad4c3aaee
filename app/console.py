"""Prints results: tables for people, JSON for programs."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ..zoo.looks import counted, look, printable, printable_lines, shortened

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
    """Print plain data, structs and paths as indented JSON."""
    plain = msgspec.to_builtins(content, enc_hook=str)
    text = json.dumps(plain, indent=2, ensure_ascii=False)
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
) -> list[str]:
    """Print aligned columns, known words coloured. Returns the columns that were left out.

    right: columns aligned right, never broken. whole: names, never broken either, as those of the
    first column. optional: columns that are left out, in this order, while the table is wider than
    the terminal. cut: a column whose cells lose their middle to fit into it. What is still too wide
    is broken into lines, and where that isn't enough, names lose their middle.
    """
    out, (widths, left_out) = console(), (_widths(columns, rows), [])
    for name in optional:
        if sum(widths.values()) <= out.width:
            break
        left_out.append(name)
        del widths[name]
    unbroken = {columns[0], *whole, *right, cut}
    least = {n: w if n in unbroken else min(w, SHORTEST + 2) for n, w in widths.items()}
    for name in dict.fromkeys((cut, columns[0], *whole)):
        too_wide = sum((widths if name == cut else least).values()) - out.width
        if name in widths and too_wide > 0:
            place, room = columns.index(name), max(SHORTEST, widths[name] - 2 - too_wide)
            rows = [[*row[:place], shortened(row[place], room), *row[place + 1 :]] for row in rows]
            widths[name] = least[name] = _widths(columns, rows)[name]
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for name in widths:
        justify = "right" if name in right else "left"
        table.add_column(name, justify=justify, no_wrap=name in unbroken, overflow="fold")
    for row in rows:
        cells = [cell for name, cell in zip(columns, row, strict=True) if name in widths]
        table.add_row(*(Text(printable(cell), style=look(cell).style) for cell in cells))
    out.print(table)
    if left_out:
        say(f"Left out at this width: {', '.join(left_out)}.", style="dim")
    return left_out


def _widths(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> dict[str, int]:
    """What the longest cell of each column takes, with the space around it."""
    every = zip(columns, *rows, strict=True)
    return {cells[0]: max(map(len, cells)) + 2 for cells in every}


def say(text: str = "", *, style: str | None = None) -> None:
    """Print lines as they are, without what could steer a terminal.

    They are never broken, since people copy commands and paths from them.
    """
    console().print(Text(printable_lines(text)), style=style, soft_wrap=True)


def say_submitted(numbers: Sequence[str], folder: Path) -> None:
    """Say which jobs were submitted, and where their output goes."""
    told = numbers[0] if len(numbers) == 1 else f"{numbers[0]} to {numbers[-1]}"
    say(f"{'Job' if len(numbers) == 1 else counted(len(numbers), 'job')}: {told}. Output: {folder}")
