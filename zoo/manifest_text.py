"""Writes manifests: a whole one as text, or one more row into text that a person wrote."""

import re
import tomllib
from typing import Any

import msgspec

from .errors import ManifestError
from .manifest import Manifest, Row
from .toml import to_toml

_HEADER = re.compile(r"\s*\[")
_ROW = re.compile(r"\s*\[\[\s*rows\s*\]\]")


def manifest_text(manifest: Manifest) -> str:
    """The TOML of a manifest, its rows last, without what says nothing: absent means the same."""
    facts = _stated(msgspec.to_builtins(manifest))
    return to_toml(facts | {"rows": facts.pop("rows")})


def with_row(text: str, row: Row, origin: str) -> str:
    """A manifest's text with a row added at its end, or put in the place of the row of this id.

    text: valid. All else stays as it stands, comments too. origin: file name for messages.
    Raises ManifestError where the rows are written in a way that can't be added to.
    """
    facts = _stated(msgspec.to_builtins(row))
    block = ["[[rows]]", *to_toml(facts).splitlines()]
    lines = text.splitlines()
    span = _span(lines, row.id)
    if span is None:
        lines += [*([""] if lines else []), *block]
    else:
        lines[slice(*span)] = block
    changed = "\n".join(lines) + "\n"
    if _parsed(changed) != _expected(tomllib.loads(text), facts):
        raise ManifestError(
            f"{origin}: row {row.id!r} can't be written into it; expected its rows as [[rows]] blocks. "
            f"Add by hand: {' '.join(block[1:])}"
        )
    return changed


def _span(lines: list[str], row_id: str) -> tuple[int, int] | None:
    """The lines of a row's block, without the blank lines and comments before the next header."""
    starts = [number for number, line in enumerate(lines) if _ROW.match(line)]
    for start in starts:
        after = (n for n, line in enumerate(lines) if n > start and _HEADER.match(line))
        stop = next(after, len(lines))
        while re.fullmatch(r"\s*(#.*)?", lines[stop - 1]):
            stop -= 1
        rows = _parsed("\n".join(lines[start:stop])).get("rows")
        if rows and rows[0].get("id") == row_id:
            return start, stop
    return None


def _parsed(text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return {}


def _expected(manifest: dict[str, Any], row: dict[str, Any]) -> dict[str, Any]:
    rows = manifest.get("rows", [])
    if any(other["id"] == row["id"] for other in rows):
        rows = [row if other["id"] == row["id"] else other for other in rows]
    else:
        rows = [*rows, row]
    return manifest | {"rows": rows}


def _stated(table: dict[str, Any]) -> dict[str, Any]:
    inner = {k: _stated(v) if isinstance(v, dict) else v for k, v in table.items()}
    return {name: value for name, value in inner.items() if value not in (None, "", [], {})}
