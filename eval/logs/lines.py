"""What one line of a training log says, in mmcv's two formats: `.log.json` and text.

Golden data: tests/golden/runs. JSON lines are `{"mode": "val", "epoch": 8, "iter": 6, "lr": ...,
"head0_top1": 17.0}`, rounded to 5 decimals; text lines are `<time> - openmixup - INFO - Epoch(val)
[8][6]<tab>head0_top1: 17.0000, ...`, 4 decimals. Numbers are kept as they are written.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, Literal

Format = Literal["json", "text"]
DECIMALS: Mapping[Format, int] = {"json": 5, "text": 4}  # to which its writer rounds accuracies
MOST_EPOCHS = 99_999  # a damaged number must not become a range of a billion epochs

_ACCURACY = re.compile(r"(?:acc_)?(?P<head>\w+)_(?P<top>top\d+)", re.ASCII)
STAMP = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} - \S+ - [A-Z]+ - (.*)", re.ASCII)
_VALIDATION = re.compile(r"Epoch\(val\) \[(\d{1,5})\]\[(\d{1,9})\]\s+(.*)", re.ASCII)
_TRAINING = re.compile(r"Epoch \[(\d{1,5})\]\[(\d{1,9})/(\d{1,9})\]\s+(.*)", re.ASCII)


@dataclass(frozen=True)
class Validation:
    """One validation. accuracies: `<head>_top<k>` (`head0_top1`, `one_q_top5`) -> percent.

    epoch: counted from 1. batches: validation batches per rank. line: of the file, counted from 1.
    piece: which of the log's pieces (between restarts) it stands in, from 0.
    """

    epoch: int
    batches: int
    accuracies: Mapping[str, Decimal]
    line: int
    lr: Decimal | None = None
    file: str = ""
    piece: int = 0


@dataclass(frozen=True)
class Iteration:
    """Means over the iterations up to `iteration`. iterations: of the whole epoch, if it says so.

    loss: may be NaN.
    """

    epoch: int
    iteration: int
    line: int
    lr: Decimal | None = None
    loss: float | None = None
    iterations: int | None = None
    file: str = ""
    piece: int = 0


@dataclass(frozen=True)
class Header:
    """A run's first line: a log with several was resumed. config: its training config, if told."""

    config: str = ""


Line = Validation | Iteration | Header


class MalformedLineError(ValueError):
    """A line that a log of this format doesn't have; the message says why."""


def parse_line(text: str, format_: Format, number: int) -> Line | None:
    """Read a line, `number` in its file; None for what says nothing of accuracy or schedule.

    Raises MalformedLineError.
    """
    content = _from_json(text) if format_ == "json" else _from_text(text)
    if content is None:
        return None
    mode = content.get("mode")
    if mode is None:
        config = content.get("config")
        return Header(config if isinstance(config, str) else "")
    if mode not in ("train", "val"):
        raise MalformedLineError(f"has the mode {str(mode)[:20]!r}, expected 'train' or 'val'")
    epoch, iteration = _whole(content, "epoch", MOST_EPOCHS), _whole(content, "iter", 10**9)
    lr, total = _rate(content.get("lr")), content.get("iterations")
    if mode == "val":
        return Validation(epoch, iteration, _accuracies(content), number, lr)
    iterations = total if type(total) is int else None
    return Iteration(epoch, iteration, number, lr, _loss(content.get("loss")), iterations)


def _from_json(text: str) -> dict[str, Any] | None:
    if not text.strip():
        return None
    try:
        content = json.loads(text, parse_float=_decimal, parse_constant=_decimal)
    except (ValueError, RecursionError):
        raise MalformedLineError("isn't JSON") from None
    if not isinstance(content, dict):
        raise MalformedLineError("isn't a JSON object")
    return content


def _from_text(text: str) -> dict[str, Any] | None:
    """What a line of a text log says, under the names that it has in a `.log.json`.

    iterations: of the epoch, which only text logs tell.
    """
    stamped = STAMP.match(text)
    said = stamped[1] if stamped else text
    if said.startswith("Environment info:"):
        return {}
    if found := _VALIDATION.match(said):
        place = {"mode": "val", "epoch": int(found[1]), "iter": int(found[2])}
        return _items(found[3], strict=True) | place
    if found := _TRAINING.match(said):
        place = {"mode": "train", "epoch": int(found[1]), "iter": int(found[2])}
        return _items(found[4]) | place | {"iterations": int(found[3])}
    if said.startswith(("Epoch [", "Epoch(val)")):
        raise MalformedLineError("is no whole line of an epoch")
    return None


def _items(text: str, *, strict: bool = False) -> dict[str, Any]:
    """The numbers of `name: value, name: value`.

    strict: nothing else may stand there; else times, which may hold a comma, are passed over.
    """
    found: dict[str, Any] = {}
    for item in text.split(", "):
        name, _, value = item.partition(": ")
        try:
            found[name] = Decimal(value.strip())
        except InvalidOperation:
            if strict:
                raise MalformedLineError(f"breaks off or is damaged at {item[:30]!r}") from None
    return found


def _accuracies(content: Mapping[str, Any]) -> dict[str, Decimal]:
    found: dict[str, Decimal] = {}
    for name, value in content.items():
        if key := _ACCURACY.fullmatch(name):
            if type(value) not in (int, Decimal):
                raise MalformedLineError(f"has no number as {name!r}")
            found[f"{key['head']}_{key['top']}"] = Decimal(value)
    return found


def _whole(content: Mapping[str, Any], name: str, most: int) -> int:
    value = content.get(name)
    if type(value) is not int or not 0 <= value <= most:
        raise MalformedLineError(f"has no whole number as {name!r}")
    return value


def _rate(value: Any) -> Decimal | None:
    """A learning rate; None for those of several parameter groups, which are a dictionary."""
    if type(value) not in (int, Decimal):
        return None
    rate = Decimal(value)
    if not rate.is_finite() or abs(rate.adjusted()) > 99:
        raise MalformedLineError(f"has {rate:.9g} as 'lr'")
    return rate


def _loss(value: Any) -> float | None:
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return None


def _decimal(text: str) -> Decimal:
    """A number as it is written; infinite where its exponent is beyond all bounds."""
    try:
        return Decimal(text)
    except InvalidOperation:
        return Decimal("-Infinity" if text.startswith("-") else "Infinity")
