"""Writes plain data as TOML, the way `tomllib` reads it back."""

import json
from collections.abc import Iterator, Mapping
from typing import Any


def to_toml(table: Mapping[str, Any]) -> str:
    """TOML of a table of str, bool, int, float, lists and tables. None is left out.

    A list of tables becomes `[[name]]` blocks. Raises TypeError for any other type.
    """
    return "\n".join(_lines(table, ())).strip("\n") + "\n"


def _lines(table: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[str]:
    """The table's own values first: what follows a header belongs to the header."""
    present = {name: value for name, value in table.items() if value is not None}
    nested = {name: value for name, value in present.items() if _is_nested(value)}
    for name, value in present.items():
        if name not in nested:
            yield f"{_key(name)} = {_value(value)}"
    for name, value in nested.items():
        inner = (*path, _key(name))
        if isinstance(value, Mapping):
            yield from ("", f"[{'.'.join(inner)}]", *_lines(value, inner))
        else:
            for entry in value:
                yield from ("", f"[[{'.'.join(inner)}]]", *_lines(entry, inner))


def _is_nested(value: Any) -> bool:
    if isinstance(value, list):
        return bool(value) and all(isinstance(entry, Mapping) for entry in value)
    return isinstance(value, Mapping)


def _key(name: str) -> str:
    bare = name.isascii() and name.replace("-", "_").replace("_", "a").isalnum()
    return name if bare else _value(name)


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, str):
        # JSON's escapes are TOML's; only DEL may stand bare in JSON but not in TOML.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_value, value))}]"
    raise TypeError(f"expected plain data for TOML, got {type(value).__name__}")
