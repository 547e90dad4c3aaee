"""Reads the training config that a checkpoint carries as Python text, without ever running it.

mmcv writes the config that a run used into the checkpoint (`meta["config"]`) as assignments of
literals: `optimizer = dict(type='SGD', lr=0.1)`. The text is whatever the file's author put there,
so it is parsed to a syntax tree and only literals are taken from it, within bounds.
"""

import ast
import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

MAX_CHARACTERS = 1 << 18  # genuine configs have about 4,000
MAX_RANGE = 1 << 16
MAX_DEPTH = 64
MAX_NOTES = 20
MAX_NUMBER = 1 << 64
PLAIN = (str, int, float, bool, type(None))


@dataclass(frozen=True)
class TrainingConfig:
    """What a config text says, as plain data."""

    values: dict[str, Any] = field(default_factory=dict)
    """Top-level names and their values: str, int, float, bool, None, and lists, tuples, dicts."""

    left_out: tuple[str, ...] = ()
    """What was not understood, each as `line N: name: why`; at most MAX_NOTES and a summary."""

    def get(self, *path: str, kind: Any = Any) -> Any:
        """The value under nested keys, as `pick` gives it: `get("runner", "max_epochs")`."""
        return pick(self.values, *path, kind=kind)


def pick(values: Any, *path: str, kind: Any = Any) -> Any:
    """The value under nested keys of tables; None where one is missing or it isn't of `kind`.

    kind: a type that msgspec knows; a whole number is also a float, a truth value is no number.
    Text of kind `str` comes as one printable line of at most 200 characters, or as None.
    """
    for key in path:
        values = values.get(key) if isinstance(values, Mapping) else None
    try:
        found = msgspec.convert(values, kind)
    except msgspec.ValidationError:
        return None
    return printable(found[:200]).strip() or None if kind is str else found


def printable(text: str) -> str:
    """Text without what could steer a terminal."""
    return "".join(c if c.isprintable() else " " for c in text)


def plain(value: Any) -> str:
    """A value of a config as text for people."""
    if isinstance(value, list | tuple):
        return f"({', '.join(map(plain, value))})"
    return printable(f"{value:g}" if isinstance(value, float) else str(value)[:200])


def parse(text: str) -> TrainingConfig:
    """Read a config's assignments.

    text: as mmcv's `Config.pretty_text` writes it, or a recipe of mixzoo's: literals, `dict(a=1)`
    and `range(n)`. Anything else (names, calls, arithmetic, loops) is left out and named, with the
    key that it stands under: an entry of a dict by itself, a list as a whole, since its order means
    something. Never raises: a text that isn't Python at all has no values, and the reason in
    `left_out`.
    """
    if len(text) > MAX_CHARACTERS:
        return TrainingConfig(
            left_out=(f"the whole text: {len(text)} characters, at most {MAX_CHARACTERS} are read",)
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about the author's spelling, such as '\d'
            tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        line = f"line {error.lineno}" if isinstance(error, SyntaxError) and error.lineno else ""
        why = error.msg if isinstance(error, SyntaxError) else type(error).__name__
        return TrainingConfig(left_out=(f"the whole text: not Python: {line or why}",))
    values: dict[str, Any] = {}
    notes: list[str] = []
    for statement in tree.body:
        match statement:
            case ast.Expr(value=ast.Constant()):
                pass  # a docstring
            case ast.Assign(targets=[ast.Name(id=name)], value=node):
                values.pop(name, None)
                values |= _entries([(name, node)], (), notes)
            case _:
                notes.append(_about_statement(statement, values))
    return TrainingConfig(values, tuple(_shortened(notes)))


class _NotALiteralError(Exception):
    """Carries why; the nearest key that encloses it is left out."""


def _entries(
    items: Iterable[tuple[Any, ast.expr]], path: tuple[str, ...], notes: list[str]
) -> dict[Any, Any]:
    """Items by key, of which those that aren't literals are noted and left out by themselves."""
    found: dict[Any, Any] = {}
    for key, node in items:
        inner = (*path, str(key))
        try:
            found[key] = _value(node, inner, notes)
        except _NotALiteralError as error:
            notes.append(f"line {node.lineno}: {'.'.join(filter(None, inner))}: {error}")
            found.pop(key, None)
    return found


def _value(node: ast.expr, path: tuple[str, ...], notes: list[str]) -> Any:
    """What a syntax tree spells. Raises _NotALiteralError."""
    if len(path) > MAX_DEPTH:
        raise _NotALiteralError("too deeply nested")
    match node:
        case ast.List(elts=elements):
            return [_value(element, (*path, ""), notes) for element in elements]
        case ast.Tuple(elts=elements):
            return tuple(_value(element, (*path, ""), notes) for element in elements)
        case ast.Dict(keys=keys, values=values):
            return _entries(zip(map(_scalar, keys), values, strict=True), path, notes)
        case ast.Call(func=ast.Name(id="dict"), args=[], keywords=words) if all(
            word.arg for word in words
        ):
            return _entries([(word.arg, word.value) for word in words], path, notes)
        case ast.Call(func=ast.Name(id="range"), args=bounds, keywords=[]):
            return _range([_scalar(bound) for bound in bounds])
    return _scalar(node)


def _scalar(node: ast.expr | None) -> Any:
    try:
        value = ast.literal_eval(node) if node else ...
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        value = ...
    if not isinstance(value, PLAIN):
        raise _NotALiteralError(f"{type(node).__name__ if node else '**'} is no literal")
    if isinstance(value, int) and abs(value) > MAX_NUMBER:
        raise _NotALiteralError("a number of more than 64 bits")
    return value


def _range(bounds: list[Any]) -> list[int]:
    """The numbers of a range, as the launcher writes `gpu_ids = range(0, 4)`."""
    try:
        numbers = range(*bounds)
        if len(numbers) <= MAX_RANGE:
            return list(numbers)
    except (TypeError, ValueError, OverflowError):
        pass
    raise _NotALiteralError("no range of a few whole numbers")


def _about_statement(node: ast.stmt, values: dict[str, Any]) -> str:
    """A note on a statement; what it names, it may have changed, so that is forgotten."""
    names = {inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name)}
    changed = sorted(names & set(values))
    for name in changed:
        del values[name]
    about = ", ".join(changed) or type(node).__name__
    return f"line {node.lineno}: {about}: a statement that assigns no literal to a name"


def _shortened(notes: list[str]) -> Iterator[str]:
    yield from (printable(note)[:200] for note in notes[:MAX_NOTES])
    if len(notes) > MAX_NOTES:
        yield f"and {len(notes) - MAX_NOTES} more"
