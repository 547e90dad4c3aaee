"""Reads the training config that a checkpoint carries as Python text, without ever running it.

mmcv writes the config that a run used into the checkpoint (`meta["config"]`) as assignments of
literals: `optimizer = dict(type='SGD', lr=0.1)`. The text is whatever the file's author put there,
so it is parsed to a syntax tree and only literals are taken from it, within bounds.
"""

import ast
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from ..looks import printable

MAX_CHARACTERS = 1 << 18  # genuine configs have about 4,000
MAX_RANGE = 1 << 16
MAX_NOTES = 20
MAX_NUMBER = 1 << 64  # Python doesn't even print much larger ones


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


def in_text(value: Any) -> str:
    """A value of a config as text for people: `dict(type='SGD', lr=0.1)` is `SGD(lr=0.1)`."""
    if isinstance(value, Mapping):
        naming = next((key for key in ("type", "policy") if key in value), None)
        name = "" if naming is None else in_text(value[naming])
        rest = (f"{key}={in_text(one)}" for key, one in value.items() if key != naming)
        return f"{name}({', '.join(map(printable, rest))})"
    if isinstance(value, list | tuple):
        return f"({', '.join(map(in_text, value))})"
    return printable(f"{value:g}" if isinstance(value, float) else str(value)[:200])


def is_plain(value: Any) -> bool:
    """Whether a value is text, None, a truth value or a number of use."""
    if isinstance(value, int):
        return abs(value) <= MAX_NUMBER
    return isinstance(value, str | float | None)


def parse(text: str) -> TrainingConfig:
    """Read a config's assignments.

    text: as mmcv's `Config.pretty_text` writes it, or a recipe of mixzoo's: literals, `dict(a=1)`
    and `range(n)`. A statement with anything else in it (names, calls, arithmetic) is left out as a
    whole and named. Never raises: a text that isn't Python has no values, and the reason in
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
        try:
            match statement:
                case ast.Expr(value=ast.Constant()):
                    pass  # a docstring
                case ast.Assign(targets=[ast.Name(id=name)], value=node):
                    values[name] = ast.literal_eval(_InLiterals().visit(node))
                case _:
                    raise ValueError
        except (ValueError, TypeError, ArithmeticError, RecursionError, MemoryError):
            named = [inner.id for inner in ast.walk(statement) if isinstance(inner, ast.Name)]
            for name in named:  # it may have changed them
                values.pop(name, None)
            about = printable(named[0] if named else type(statement).__name__)[:100]
            notes.append(f"line {statement.lineno}: {about}: assigns no literals to a name")
    if len(notes) > MAX_NOTES:
        notes[MAX_NOTES:] = [f"and {len(notes) - MAX_NOTES} more"]
    return TrainingConfig(values, tuple(notes))


class _InLiterals(ast.NodeTransformer):
    """Respells what mmcv writes beside literals: tables as calls of dict, and ranges.

    Raises ValueError, TypeError or ArithmeticError for what has no such spelling.
    """

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        match node:
            case ast.Call(func=ast.Name(id="dict"), args=[], keywords=words) if all(
                word.arg for word in words
            ):
                keys: list[ast.expr | None] = [ast.Constant(word.arg) for word in words]
                return ast.Dict(keys, [word.value for word in words])
            case ast.Call(func=ast.Name(id="range"), args=bounds, keywords=[]):
                numbers = range(*map(ast.literal_eval, bounds))
                if len(numbers) <= MAX_RANGE:
                    return ast.List([ast.Constant(number) for number in numbers], ast.Load())
        raise ValueError

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        if not is_plain(node.value):
            raise ValueError
        return node
