"""Reads a list of images with labels, one a line, in whichever spelling a program wrote it.

A line is `path,label`; for the comma may stand a semicolon, a tab or blanks, and the last of them
parts. Both may be quoted, the label may stand first (where the path then ends as a picture's), and
the first line may name the columns. What has one meaning is read and said; what could have two, or
none, is refused with its line: no spelling makes another list of it.
"""

import re
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import NamedTuple

from ..errors import DataError
from ..images import SUFFIXES

_SEPARATORS = re.compile(r"[,;\t]")
_LINE_ENDS = re.compile(r"\r\n|\r|\n")  # splitlines would also part a path at rarer characters
_COLUMN = re.compile(r"[^\W\d](?:[^\W\d]|[ -])*")  # its name: letters, so no path and no label
_WHOLE = re.compile(r"[0-9]{1,9}(\.0{1,9})?")
_QUOTES = "\"'"
_SHOWN = 80  # characters of a line in a message


class Line(NamedTuple):
    """An image and its label as they are written. first: whether the label stands before."""

    file: str
    label: str
    first: bool


def whole(value: object) -> int | None:
    """The label or category that a text or a JSON value is: 0 to 999,999,999, None for all else.

    3, "3", "3.0" and 3.0 are 3, as programs write whole numbers of a column with gaps; 3.5, true,
    "-1" and "3e0" are none.
    """
    if isinstance(value, str):
        return int(value.partition(".")[0]) if _WHOLE.fullmatch(value) else None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if type(value) is int and 0 <= value < 10**9 else None


def read_lines(text: str, source: object) -> tuple[list[tuple[str, int]], list[str]]:
    """The (path, label) pairs of a list, and what was unusual about how it is written.

    source: for messages. Raises DataError naming the first line that isn't one.
    """
    found: list[Line] = []
    header, comments = "", []
    for number, line in _lines(text):
        one = _parse(line)
        if line.startswith("#"):
            if one and _is_picture(one.file):
                raise DataError(
                    f"{source}, line {number}: {line[:_SHOWN]!r} may be a comment, or an image "
                    "whose name begins with '#'. Remove the line, or write ./ before the path."
                )
            comments.append(line)
        elif (
            one is None
            and not found
            and not header
            and _is_header(line, f"{source}, line {number}")
        ):
            header = line
        elif one is None or (found and one.first != found[0].first):
            order = "" if one is None else ", in the order of the lines before"
            raise DataError(
                f"{source}, line {number}: expected 'path,label' or 'path label' with an integer "
                f"label{order}, got {line[:_SHOWN]!r}. Correct the line."
            )
        else:
            found.append(one)
    if not found:
        raise DataError(
            f"{source}: expected lines 'path,label', got an empty file. Write a line for each "
            "image."
        )
    unusual = {
        f"a line of column names ({header[:_SHOWN]!r})": header,
        f"comments left out ({len(comments)}, first {comments and comments[0][:_SHOWN]!r})": comments,
        "labels before paths": found[0].first,
        "labels like 3.0": any("." in one.label for one in found),
    }
    pairs = [(one.file, whole(one.label) or 0) for one in found]
    return pairs, [words for words, present in unusual.items() if present]


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """Lines with something on them, counted from 1. Files that were joined have marks in between."""
    for number, line in enumerate(_LINE_ENDS.split(text), start=1):
        if stripped := line.strip().lstrip("\ufeff").lstrip():
            yield number, stripped


def _parse(line: str) -> Line | None:
    """What a line says, None if it isn't one."""
    if line[0] in _QUOTES and line[-1] == line[0] and line.count(line[0]) == 2:
        line = line[1:-1].strip()  # quoted whole
    flat = _SEPARATORS.sub(" ", line)
    start, end = flat.find(" "), flat.rfind(" ")
    before, after = line[: end + 1].rstrip(), line[max(start, 0) :]
    ways = [
        (before[:-1].rstrip() if before.endswith((",", ";")) else before, line[end + 1 :], False)
    ]
    if not after.lstrip().startswith((",", ";")) or after.startswith((",", ";")):
        ways.append((after[1:].lstrip(), line[: max(start, 0)], True))
    # else, of "3 ,a.jpg", the comma may part, or begin the name
    for file, label, first in ways:
        plain, number = _unquoted(file), _unquoted(label)
        if not plain or number is None or whole(number) is None:
            continue
        # Without a picture's ending the order can't be told, or the number is of a third column.
        if _is_picture(plain) or not (first or any(map(_is_picture, _parts(plain)))):
            return Line(plain, number, first)
    return None


def _parts(text: str) -> list[str]:
    return [part.strip(_QUOTES) for part in _SEPARATORS.sub(" ", text).split()]


def _unquoted(field: str) -> str | None:
    """A field without its quotes, doubled ones inside as one; None if they don't match."""
    if not field or (field[0] not in _QUOTES and field[-1] not in _QUOTES):
        return field
    quote, inner = field[0], field[1:-1]
    if len(field) < 2 or field[-1] != quote or quote in inner.replace(quote * 2, ""):
        return None
    return inner.replace(quote * 2, quote)


def _is_header(line: str, where: str) -> bool:
    """Whether a line names columns. Raises DataError if they aren't two."""
    parts = _SEPARATORS.split(line) if _SEPARATORS.search(line) else line.split()
    names = [part.strip().strip(_QUOTES).strip() for part in parts]
    if len(names) < 2 or not all(_COLUMN.fullmatch(name) for name in names if name):
        return False
    if len(names) > 2:
        raise DataError(
            f"{where}: expected two columns, a path and a label, got {len(names)} "
            f"({line[:_SHOWN]}). Keep the path and the label alone."
        )
    return True


def _is_picture(file: str) -> bool:
    return PurePosixPath(file.replace("\\", "/")).suffix.lower() in SUFFIXES
