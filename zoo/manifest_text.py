"""Writes manifests: a whole one as text, or one more row into text that a person wrote."""

from typing import Any

import msgspec

from .manifest import Manifest, Row


def manifest_text(manifest: Manifest) -> str:
    """The TOML of a manifest, its rows last, without what says nothing: absent means the same."""
    import tomlkit

    facts = _stated(msgspec.to_builtins(manifest))
    return tomlkit.dumps(facts | {"rows": facts.pop("rows")})


def with_row(text: str, row: Row) -> str:
    """A manifest's text with a row added after its rows, or put in the place of the row of this id.

    text: valid. All else stays as it stands, comments too.
    """
    import tomlkit
    from tomlkit.items import AoT

    document, facts = tomlkit.parse(text), _stated(msgspec.to_builtins(row))
    rows: Any = document.setdefault("rows", tomlkit.aot())
    table = next((one for one in rows if one["id"] == row.id), None)
    if table is None:
        rows.append(facts)
        if isinstance(rows, AoT):
            rows[-1].trivia.indent = "\n"  # a blank line before its header
        return document.as_string()
    body, after = table.value.body, []
    while body and body[-1][0] is None:  # comments and blank lines before the next header
        after.append(body.pop())
    for name in set(table) - set(facts):
        del table[name]
    table.update(facts)
    body.extend(reversed(after))
    return document.as_string()


def _stated(value: Any) -> Any:
    """Plain data without the fields that are empty."""
    if isinstance(value, list):
        return [_stated(one) for one in value]
    if not isinstance(value, dict):
        return value
    inner = {name: _stated(one) for name, one in value.items()}
    return {name: one for name, one in inner.items() if one not in (None, "", [], {})}
