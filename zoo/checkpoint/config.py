"""Reads the training config that a checkpoint carries as Python text, without ever running it.

mmcv writes the config that a run used into the checkpoint (`meta["config"]`) as assignments of
literals: `optimizer = dict(type='SGD', lr=0.1)`. The text is whatever the file's author put there,
so it is parsed to a syntax tree and only literals are taken from it, within bounds.
"""

import ast
import operator
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

MAX_CHARACTERS = 1 << 18  # genuine configs have about 4,000
MAX_VALUES = 1 << 16  # in all, every use of a name counted with what it stands for
MAX_DEPTH = 64
MAX_NOTES = 20
MAX_NUMBER = 1 << 64

OPERATORS: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}
SIGNS: dict[type[ast.unaryop], Callable[[Any], Any]] = {
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
    ast.Not: operator.not_,
}


@dataclass(frozen=True)
class TrainingConfig:
    """What a config text says, as plain data."""

    values: dict[str, Any] = field(default_factory=dict)
    """Top-level names and their values: str, int, float, bool, None, and lists, tuples, dicts."""

    left_out: tuple[str, ...] = ()
    """What was not understood, each as `line N: name: why`; at most MAX_NOTES and a summary."""

    def get(self, *path: str) -> Any:
        """The value under nested keys, None where one is missing: `get("runner", "max_epochs")`."""
        value: Any = self.values
        for key in path:
            value = value.get(key) if isinstance(value, dict) else None
        return value


def parse(text: str) -> TrainingConfig:
    """Read a config's assignments.

    text: as mmcv's `Config.pretty_text` writes it; names of earlier assignments and arithmetic on
    numbers are understood too, and `_base_` is kept as the names that it holds. Anything else
    (calls, imports, loops, comprehensions) is left out and named, with the key that it stands
    under: an entry of a dict by itself, a list as a whole, since its order means something.
    Never raises: a text that isn't Python at all has no values, and the reason in `left_out`.
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
    reader = _Reader()
    for statement in tree.body:
        reader.statement(statement)
    return TrainingConfig(reader.values, tuple(_shortened(reader.notes)))


class _NotUnderstoodError(Exception):
    """Carries why; the nearest key that encloses it is left out."""


class _Reader:
    """Walks a syntax tree and builds the values it spells."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        self.sizes: dict[str, int] = {}  # values that a name stands for
        self.notes: list[str] = []
        self.spent = 0

    def statement(self, node: ast.stmt) -> None:
        """Take in one assignment; note anything else."""
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            return  # a docstring
        if not isinstance(node, ast.Assign) or not all(
            isinstance(target, ast.Name) for target in node.targets
        ):
            self._unread(node)
            return
        names = [target.id for target in node.targets if isinstance(target, ast.Name)]
        before = self.spent
        try:
            value = self._value(node.value, (names[0],))
        except _NotUnderstoodError as error:
            self._note(node, names[0], str(error))
            for name in names:
                self.values.pop(name, None)  # an earlier value is no longer this name's
            return
        for name in names:
            self.values[name] = value
            self.sizes[name] = self.spent - before

    def _unread(self, node: ast.stmt) -> None:
        """Note a statement; what it names, it may have changed, so that is forgotten."""
        names = {inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name)}
        changed = sorted(names & set(self.values))
        for name in changed:
            del self.values[name]
        about = ", ".join(changed) or type(node).__name__
        self._note(node, about, "a statement that assigns no literal to a name")

    def _value(self, node: ast.expr, path: tuple[str, ...]) -> Any:
        self._spend(1, path)
        match node:
            case ast.Constant(value=str() | int() | float() | None as literal):
                value = _bounded(literal)
            case ast.List(elts=elements):
                value = [self._value(element, (*path, "")) for element in elements]
            case ast.Tuple(elts=elements):
                value = tuple(self._value(element, (*path, "")) for element in elements)
            case ast.Dict(keys=keys, values=values):
                known = [self._key(key, path) for key in keys]
                value = self._dict(list(zip(known, values, strict=True)), path)
            case ast.Call(func=ast.Name(id=function), args=arguments, keywords=words):
                value = self._call(function, arguments, words, path)
            case ast.Name(id=name):
                value = self._named(name, path)
            case ast.UnaryOp(op=sign, operand=operand):
                value = self._signed(sign, operand, path)
            case ast.BinOp(left=left, op=op, right=right):
                value = self._arithmetic(left, op, right, path)
            case _:
                raise _NotUnderstoodError(f"{type(node).__name__} is not read")
        return value

    def _call(
        self,
        function: str,
        arguments: list[ast.expr],
        words: list[ast.keyword],
        path: tuple[str, ...],
    ) -> Any:
        """dict(a=1), list(...), tuple(...) and range(...), the only calls that spell a literal."""
        if function == "dict" and not arguments:
            return self._dict([(word.arg, word.value) for word in words], path)
        if function == "range" and not words:
            return self._range(arguments, path)
        if function in ("list", "tuple") and len(arguments) == 1 and not words:
            return self._sequence(function, arguments[0], path)
        raise _NotUnderstoodError(f"a call of {_quoted(function)} is not read")

    def _dict(self, items: list[tuple[Any, ast.expr]], path: tuple[str, ...]) -> dict[Any, Any]:
        """Items by key; a key of None is `**other`. What isn't understood is left out by itself."""
        found: dict[Any, Any] = {}
        for key, node in items:
            inner = (*path, "**" if key is None else str(key))
            try:
                value = self._value(node, inner)
                if key is None and not isinstance(value, dict):
                    raise _NotUnderstoodError("only a dict can be spread")
            except _NotUnderstoodError as error:
                self._note(node, ".".join(filter(None, inner)), str(error))
                found.pop(key, None)
                continue
            found.update(value if key is None else {key: value})
        return found

    def _key(self, node: ast.expr | None, path: tuple[str, ...]) -> Any:
        key = None if node is None else self._value(node, path)
        if node is not None and not isinstance(key, str | int | float):
            raise _NotUnderstoodError("a key that is neither text nor number")
        return key

    def _sequence(
        self, kind: str, node: ast.expr, path: tuple[str, ...]
    ) -> list[Any] | tuple[Any, ...]:
        value = self._value(node, path)
        if not isinstance(value, list | tuple):
            raise _NotUnderstoodError(f"{kind}() of something else than a list or tuple")
        return list(value) if kind == "list" else tuple(value)

    def _range(self, bounds: list[ast.expr], path: tuple[str, ...]) -> list[int]:
        numbers = [self._value(bound, path) for bound in bounds]
        if not 1 <= len(numbers) <= 3 or not all(type(n) is int for n in numbers):
            raise _NotUnderstoodError("range() of something else than whole numbers")
        if len(numbers) == 3 and numbers[2] == 0:
            raise _NotUnderstoodError("range() with steps of 0")
        span = range(*numbers)
        # len() of a range overflows above the machine's word; its first and last element don't
        if max(map(abs, (span.start, span.stop))) > MAX_VALUES:
            raise _NotUnderstoodError("range() of very many numbers")
        self._spend(len(span), path)
        return list(span)

    def _named(self, name: str, path: tuple[str, ...]) -> Any:
        if name not in self.values:
            raise _NotUnderstoodError(f"{_quoted(name)} is not known")
        self._spend(self.sizes[name], path)
        return self.values[name]

    def _signed(self, sign: ast.unaryop, operand: ast.expr, path: tuple[str, ...]) -> Any:
        value = self._value(operand, (*path, ""))
        if type(sign) not in SIGNS or not isinstance(value, int | float):
            raise _NotUnderstoodError("a sign before something else than a number")
        return _bounded(SIGNS[type(sign)](value))

    def _arithmetic(
        self, left: ast.expr, op: ast.operator, right: ast.expr, path: tuple[str, ...]
    ) -> int | float:
        if type(op) not in OPERATORS:
            raise _NotUnderstoodError(f"the operator {type(op).__name__} is not read")
        numbers = [self._value(side, (*path, "")) for side in (left, right)]
        if not all(isinstance(number, int | float) for number in numbers):
            raise _NotUnderstoodError("arithmetic on something else than numbers")
        try:
            return _bounded(OPERATORS[type(op)](*numbers))
        except ArithmeticError as error:
            raise _NotUnderstoodError(str(error)) from None

    def _spend(self, values: int, path: tuple[str, ...]) -> None:
        self.spent += values
        if self.spent > MAX_VALUES or len(path) > MAX_DEPTH:
            raise _NotUnderstoodError("too many or too deeply nested values")

    def _note(self, node: ast.AST, name: str, why: str) -> None:
        self.notes.append(f"line {getattr(node, 'lineno', '?')}: {name}: {why}")


def _bounded(value: Any) -> Any:
    """A literal; refused if it is a number beyond all use, which is slow to work with."""
    if isinstance(value, int) and abs(value) > MAX_NUMBER:
        raise _NotUnderstoodError("a number of more than 64 bits")
    return value


def _quoted(name: str) -> str:
    return f"'{name[:40]}'"


def _shortened(notes: list[str]) -> Iterator[str]:
    yield from (note[:200] for note in notes[:MAX_NOTES])
    if len(notes) > MAX_NOTES:
        yield f"and {len(notes) - MAX_NOTES} more"
