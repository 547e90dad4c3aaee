"""Values of a config as text that may stand in a terminal."""

from typing import Any


def plain(value: Any) -> str:
    """A value of a config as text."""
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, list | tuple):
        return " x ".join(map(plain, value)) if len(value) == 2 else ", ".join(map(plain, value))
    return str(value)[:200]


def printable(text: str) -> str:
    """Without what could steer a terminal."""
    return "".join(c if c.isprintable() else " " for c in text)
