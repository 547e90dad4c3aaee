"""What the value of a setting or an argument may be: types with bounds, checked, and in words."""

from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import msgspec
from msgspec import Meta

from ..zoo.errors import UsageError, in_words

FINITE = (2 - 2**-23) * 2.0**127  # the largest that fp32 holds, in which a step computes
Count = Annotated[int, Meta(ge=1, le=1_000_000)]  # none of these bounds is met by an honest run
Pixels = Annotated[int, Meta(ge=1, le=8192)]  # as of a protocol
Amount = Annotated[float, Meta(ge=0, le=FINITE)]
Share = Annotated[float, Meta(ge=0, le=1)]
Part = Annotated[float, Meta(ge=0, lt=1)]
Number = Annotated[float, Meta(ge=-FINITE, le=FINITE)]
Seed = Annotated[int, Meta(ge=0, le=2**63 - 1)]  # what torch's and numpy's generators take


def argument(name: str, value: Any, kind: Any) -> Any:
    """What was given in Python, in its type; numpy's and torch's numbers count as Python's.

    kind: a type, such as one of this module. Raises UsageError.
    """
    return checked(name, _plain(value), kind)


def _plain(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return value.tolist() if hasattr(value, "tolist") else value


def checked(name: str, value: Any, kind: Any, strict: bool = True) -> Any:
    """The value in its type. Raises UsageError. strict: whether text is no number."""
    try:
        return msgspec.convert(value, kind, strict=strict)
    except msgspec.ValidationError:
        plain = value is None or isinstance(value, bool | list | tuple)
        shown = (plain and spelled(value)[:80]) or in_words(value)
        raise UsageError(
            f"expected {name} to be {_in_words(kind)}, got {shown}; correct the value."
        ) from None


def first_of(kind: Any) -> Any:
    """`T` of `T | None`."""
    return get_args(kind)[0] if get_origin(kind) in (Union, UnionType) else kind


def _in_words(kind: Any) -> str:
    """`a whole number of 1 or more`."""
    if get_origin(kind) in (Union, UnionType):
        return ", or ".join("none" if one is NoneType else _in_words(one) for one in get_args(kind))
    if get_origin(kind) is list:
        return f"a list, each {_in_words(get_args(kind)[0])}"
    if get_origin(kind) is tuple:
        return f"{_in_words(get_args(kind)[0])}, or several separated by commas"
    if get_origin(kind) is Literal:
        return f"one of {', '.join(get_args(kind))}"
    plain, *metas = get_args(kind) or (kind,)
    words = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}
    package = plain.__module__.partition(".")[0]
    words = words.get(plain, f"of {package}'s class {plain.__qualname__}")
    for meta in metas:
        high = meta.lt or meta.le
        most = f"{high:,}" if high < FINITE else f"{high:.2g}"
        words += f" of {meta.ge:.2g} to {most}"
        words += f", but less than {high:g}" if meta.lt else ""
    return words


def spelled(value: Any) -> str:
    """As a setting is written: `0.8,1`, `true`, `none`."""
    if isinstance(value, tuple | list):
        return ",".join(map(spelled, value))
    return str(value).lower() if value is None or isinstance(value, bool) else str(value)
