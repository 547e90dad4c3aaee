"""What one line of a training log says, in mmcv's two formats: `.log.json` and text.

Golden data: tests/golden/runs. JSON lines are `{"mode": "val", "epoch": 8, "iter": 6, "lr": ...,
"head0_top1": 17.0}`, rounded to 5 decimals; text lines are `<time> - openmixup - INFO - Epoch(val)
[8][6]<tab>head0_top1: 17.0000, ...`, 4 decimals. Numbers are kept as they are written.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

JSON_DECIMALS = 5
TEXT_DECIMALS = 4
MOST_EPOCHS = 99_999  # a damaged number must not become a range of a billion epochs

_ACCURACY = re.compile(r"(?:acc_)?(?P<head>\w+)_(?P<top>top\d+)", re.ASCII)
_STAMP = re.compile(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}) - \S+ - [A-Z]+ - (.*)", re.ASCII)
_VALIDATION = re.compile(r"Epoch\(val\) \[(\d{1,5})\]\[(\d{1,9})\]\s+(.*)", re.ASCII)
_TRAINING = re.compile(r"Epoch \[(\d{1,5})\]\[(\d{1,9})/(\d{1,9})\]\s+(.*)", re.ASCII)
_HEADER_START = "Environment info:"
_CONFIG_START = "Config:"


@dataclass(frozen=True)
class Validation:
    """One validation. accuracies: `<head>_top<k>` (`head0_top1`, `one_q_top5`) -> percent.

    epoch: counted from 1. batches: validation batches per rank. line: counted from 1.
    piece: which of the log's pieces (between restarts) it stands in, from 0.
    """

    epoch: int
    batches: int
    accuracies: Mapping[str, Decimal]
    line: int
    lr: Decimal | None = None
    time: datetime | None = None
    file: str = ""
    piece: int = 0


@dataclass(frozen=True)
class Training:
    """Means over the iterations up to `iteration`. iterations: of the whole epoch, if it says so."""

    epoch: int
    iteration: int
    line: int
    lr: Decimal | None = None
    iterations: int | None = None
    time: datetime | None = None
    file: str = ""
    piece: int = 0


@dataclass(frozen=True)
class Header:
    """A run's first line: a log with several was resumed. config: its training config, if told."""

    line: int
    config: str = ""
    time: datetime | None = None


Line = Validation | Training | Header


class MalformedLineError(ValueError):
    """A line that a log of this format doesn't have; the message says why."""


def parse_json_line(text: str, number: int) -> Line:
    """Read a line of a `.log.json`. Raises MalformedLineError."""
    try:
        content = json.loads(text, parse_float=Decimal, parse_constant=Decimal)
    except (ValueError, RecursionError):
        raise MalformedLineError("isn't JSON") from None
    if not isinstance(content, dict):
        raise MalformedLineError("isn't a JSON object")
    mode = content.get("mode")
    if mode is None:
        config = content.get("config")
        return Header(number, config if isinstance(config, str) else "")
    if mode not in ("train", "val"):
        raise MalformedLineError(f"has the mode {str(mode)[:20]!r}, expected 'train' or 'val'")
    epoch, iteration = _whole(content, "epoch", MOST_EPOCHS), _whole(content, "iter")
    rate = content.get("lr")
    lr = None  # several parameter groups are a dictionary
    if isinstance(rate, int | Decimal):
        lr = Decimal(rate)
    if mode == "train":
        return Training(epoch, iteration, number, lr)
    return Validation(epoch, iteration, _accuracies(content), number, lr)


def parse_text_line(text: str, number: int) -> Line | None:
    """Read a line of a text log; None for what says nothing about accuracy or schedule.

    Raises MalformedLineError for a damaged line of an epoch.
    """
    stamped = _STAMP.match(text)
    time, said = (_time(stamped[1]), stamped[2]) if stamped else (None, text)
    if said.startswith(_HEADER_START):
        return Header(number, time=time)
    if found := _VALIDATION.match(said):
        accuracies = _accuracies(_items(found[3], strict=True))
        return Validation(int(found[1]), int(found[2]), accuracies, number, time=time)
    if found := _TRAINING.match(said):
        lr = _items(found[4]).get("lr")
        return Training(int(found[1]), int(found[2]), number, lr, int(found[3]), time)
    if said.startswith(("Epoch [", "Epoch(val)")):
        raise MalformedLineError("is no whole line of an epoch")
    return None


def starts_config(text: str) -> bool:
    """Whether the lines after this one of a text log are the training config."""
    stamped = _STAMP.match(text)
    return bool(stamped) and stamped[2].startswith(_CONFIG_START)


def is_stamped(text: str) -> bool:
    """Whether this line of a text log begins with a time."""
    return bool(_STAMP.match(text))


def split_accuracy(name: str) -> tuple[str, str]:
    """`one_q_top1` -> (`one_q`, `top1`)."""
    head, _, top = name.rpartition("_")
    return head, top


def _whole(content: Mapping[str, Any], name: str, most: int = 10**9) -> int:
    value = content.get(name)
    if type(value) is not int or not 0 <= value <= most:
        raise MalformedLineError(f"has no whole number as {name!r}")
    return value


def _accuracies(content: Mapping[str, Any]) -> dict[str, Decimal]:
    found: dict[str, Decimal] = {}
    for name, value in content.items():
        key = _ACCURACY.fullmatch(name)
        if key is None:
            continue
        if type(value) not in (int, Decimal):
            raise MalformedLineError(f"has no number as {name!r}")
        if not (number := Decimal(value)).is_finite() or number.adjusted() > 9:
            raise MalformedLineError(f"has {str(value)[:20]} as {name!r}, expected a percentage")
        found[f"{key['head']}_{key['top']}"] = number
    return found


def _items(text: str, *, strict: bool = False) -> dict[str, Decimal]:
    """The numbers of `name: value, name: value`.

    strict: nothing else may stand there; else times, which may hold a comma, are passed over.
    """
    found: dict[str, Decimal] = {}
    for item in text.split(", "):
        name, _, value = item.partition(": ")
        try:
            found[name] = Decimal(value.strip())
        except InvalidOperation:
            if strict:
                raise MalformedLineError(f"breaks off or is damaged at {item[:30]!r}") from None
    return found


def _time(text: str) -> datetime | None:
    try:
        return datetime.strptime(text, "%Y-%m-%d %H:%M:%S,%f")
    except ValueError:
        return None
