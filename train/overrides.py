"""Settings given as `key=value` text, typed by the fields of a recipe."""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, fields, is_dataclass, replace
from typing import Any, Literal, get_args, get_origin, get_type_hints

from ..zoo.errors import UsageError
from .recipe import Recipe

NONE = "none"
_WORDS = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}


def overridden(recipe: Recipe, settings: Sequence[str]) -> Recipe:
    """The recipe with other values.

    settings: each `key=value`; a key is a field of `Recipe`, or of `Automix` with `automix.` before
    it. Lists are separated by commas (`alpha=0.8,1`; brackets and quotes as in OpenMixup's configs
    may stand around them), `none` is no value.
    Raises UsageError for a key that doesn't exist, stands twice, or that the recipe makes no use of;
    for a value of another type or out of range; and for values that don't fit together.
    """
    hints = field_types()
    given: dict[str, Any] = {}
    for setting in settings:
        key, equals, text = (part.strip() for part in setting.partition("="))
        if not equals:
            raise UsageError(f"--set {setting}: expected key=value, such as epochs=300.")
        if key not in hints:
            raise UsageError(_unknown(key, hints))
        if key in given:
            raise UsageError(f"--set {setting}: {key} is set twice; expected it once.")
        given[key] = _typed(key, text, hints[key])
    changed = _replaced(recipe, given)
    for key in given.keys() - _flat(changed.to_dict()).keys():
        raise UsageError(
            f"--set {key}: has no effect on {changed.method}, which makes no use of it; leave it out."
        )
    return changed


def differences(recipe: Recipe, other: Recipe) -> tuple[str, ...]:
    """The settings that turn `recipe` into `other`, so `overridden(recipe, ...)` equals it.

    recipe: of one method, as those of rows are. What `other` makes no use of is left out.
    """
    before, after = _flat(asdict(recipe)), _flat(other.to_dict())
    return tuple(f"{key}={_spelled(v)}" for key, v in after.items() if v != before[key])


def field_types() -> dict[str, Any]:
    """Every key that can be set and its type, in the recipe's order."""
    return dict(_types_of(Recipe, ""))


def _types_of(kind: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    hints = get_type_hints(kind)
    for field in fields(kind):
        hint = hints[field.name]
        if is_dataclass(hint):
            yield from _types_of(hint, f"{prefix}{field.name}.")
        else:
            yield f"{prefix}{field.name}", hint


def _typed(key: str, text: str, hint: Any) -> Any:
    optional = type(None) in get_args(hint)
    if optional and text.lower() == NONE:
        return None
    kind = get_args(hint)[0] if optional else hint
    try:
        if get_origin(kind) is tuple:
            return tuple(_parsed(item, get_args(kind)[0]) for item in _items(text))
        return _parsed(_bare(text), kind)
    except ValueError:
        or_none = f", or {NONE}" if optional else ""
        raise UsageError(
            f"--set {key}={text}: expected {_in_words(kind)}{or_none}, got {text!r}."
        ) from None


def _parsed(text: str, kind: Any) -> Any:
    """Text as an int, a float, a bool, a str or one of a Literal. Raises ValueError."""
    if get_origin(kind) is Literal:
        return get_args(kind)[get_args(kind).index(text)]
    if kind is bool:
        return ("false", "true").index(text.lower()) == 1
    return kind(text)


def _items(text: str) -> list[str]:
    """`a,b`, or as configs write it: `["a", "b"]`, `('a',)`."""
    inner = text.strip()
    if inner[:1] + inner[-1:] in ("[]", "()"):
        inner = inner[1:-1].strip().removesuffix(",")
    return [_bare(item) for item in inner.split(",")] if inner else []


def _bare(text: str) -> str:
    text = text.strip()
    quoted = len(text) > 1 and text[0] == text[-1] and text[0] in "'\""
    return text[1:-1] if quoted else text


def _in_words(kind: Any) -> str:
    if get_origin(kind) is tuple:
        return f"{_WORDS[get_args(kind)[0]]}, or several separated by commas"
    if kind in _WORDS:
        return _WORDS[kind]
    return f"one of {', '.join(map(str, get_args(kind)))}"


def _replaced(recipe: Recipe, given: Mapping[str, Any]) -> Recipe:
    own = {key: value for key, value in given.items() if "." not in key}
    for part in dict.fromkeys(key.partition(".")[0] for key in given if "." in key):
        inner = {k.partition(".")[2]: v for k, v in given.items() if k.startswith(f"{part}.")}
        own[part] = replace(getattr(recipe, part), **inner)
    return replace(recipe, **own)


def _flat(values: Mapping[str, Any]) -> dict[str, Any]:
    """`{"automix": {"momentum": 0.999}}` as `{"automix.momentum": 0.999}`."""
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            flat |= {f"{name}.{key}": inner for key, inner in value.items()}
        else:
            flat[name] = value
    return flat


def _spelled(value: Any) -> str:
    if isinstance(value, tuple):
        return ",".join(map(_spelled, value))
    if value is None:
        return NONE
    return str(value).lower() if isinstance(value, bool) else str(value)


def _unknown(key: str, known: Mapping[str, Any]) -> str:
    """OpenMixup's keys have sections before them (`runner.max_epochs`), which may be in the way."""
    last = key.rpartition(".")[2]
    nested = [name for name in known if name.rpartition(".")[2] == last]
    near = nested or [
        name for text in (key, last) for name in difflib.get_close_matches(text, known, n=1)
    ]
    hint = f"Did you mean {near[0]!r}?" if near else f"There are: {', '.join(known)}."
    return f"--set {key}: no such setting. {hint}"
