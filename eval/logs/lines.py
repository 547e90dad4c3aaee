"""What one line of a training log says, in the formats of mmcv, mmengine, DeiT, timm and Lightning.

Golden data: tests/golden/runs. mmcv's JSON lines are `{"mode": "val", "epoch": 8, "iter": 6, "lr":
..., "head0_top1": 17.0}`, rounded to 5 decimals; its text lines `<time> - openmixup - INFO -
Epoch(val) [8][6]<tab>head0_top1: 17.0000, ...`, 4 decimals; mmengine's `Epoch(val) [8][6/6]
accuracy/top1: 17.0000  ...`. The JSON lines of mmengine's scalars.json (`{"accuracy/top1": 17.0,
"step": 8}`), of DeiT's log.txt (`{"train_loss": ..., "test_acc1": 17.0, "epoch": 7}`) and the lines
of a CSV have no mode: their names tell. Numbers are kept as they are written.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, Literal

Format = Literal["json", "text", "csv"]
DECIMALS: Mapping[Format, int] = {"json": 5, "text": 4, "csv": 5}  # accuracies have so many or more
MOST_EPOCHS = 99_999  # a damaged number must not become a range of a billion epochs
MOST_NAMED = 200  # accuracies in a line
MOST_DIGITS = 40  # of an accuracy; doubles have 17
UNNAMED_HEAD = "head0"  # an accuracy of no head is the only one of a plain classifier

_WORD = re.compile(r"[A-Za-z0-9]+")
_WHICH = re.compile(r"(?:^|(?<=_))(?:top|acc|accuracy|prec)_?(\d{1,3})(?:_|$)", re.IGNORECASE)
_NO_ACCURACY = {"train", "loss", "err", "error"}
_PLAIN = {"acc", "accuracy", "val", "valid", "validation", "eval", "test"}
STAMP = re.compile(  # SLURM's rank or a progress bar may stand before it
    r"(?<!\d)\d{4}[-/]\d\d[-/]\d\d \d\d:\d\d:\d\d(?:,\d{3})? - \S+ - [A-Z]+ - (.*)", re.ASCII
)
_PLACE = re.compile(
    r"Epoch(?:\((?P<mode>train|val)\))? *\[ *(?P<epoch>\d{1,5})\]"
    r"\[ *(?P<at>\d{1,9})(?:/(?P<of>\d{1,9}))?\]\s+(?P<said>.*)",
    re.ASCII,
)
_BETWEEN = re.compile(r", |\s{2,}")
_RATE_OR_LOSS = re.compile(r"(?:^|, |\s{2})(lr|loss): ([^,\s]+)", re.ASCII)
_COLOUR = re.compile(r"\x1b\[[\d;]*m", re.ASCII)
_CLOCK = re.compile(r"[\d:]+", re.ASCII)  # what follows the comma of `1 day, 0:00:59`


@dataclass(frozen=True, slots=True)
class Validation:
    """One validation. accuracies: `<head>_top<k>` (`head0_top1`, `one_q_top5`) -> percent.

    epoch: counted from 1, as `counter` tells it ("epoch" or "step" of a line without a mode).
    batches: validation batches per rank, 0 where it isn't told. line: of the file, counted from 1.
    piece: which of the log's pieces (between restarts) it stands in, from 0. others: names of what
    else the line holds.
    """

    epoch: int
    batches: int
    accuracies: Mapping[str, Decimal]
    line: int
    lr: Decimal | None = None
    file: str = ""
    piece: int = 0
    counter: str = ""
    others: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Iteration:
    """Means over the iterations up to `iteration`. iterations: of the whole epoch, if it says so.

    loss: may be NaN. counter: "epoch" or "step" for a line without a mode, whose iterations count
    on from one epoch to the next; with "step" the epoch isn't told, and 0.
    """

    epoch: int
    iteration: int
    line: int
    lr: Decimal | None = None
    loss: float | None = None
    iterations: int | None = None
    file: str = ""
    piece: int = 0
    counter: str = ""


@dataclass(frozen=True)
class Header:
    """A run's first line: a log with several was resumed. config: its training config, if told."""

    config: str = ""


Line = Validation | Iteration | Header


class MalformedLineError(ValueError):
    """A line that a log of this format doesn't have; the message says why."""


def parse_line(text: str, format_: Format, number: int) -> Line | None:
    """Read a line, `number` in its file; None for what says nothing of accuracy or schedule.

    A line of a CSV is read as the JSON that it stands for. Raises MalformedLineError.
    """
    content = _from_text(text) if format_ == "text" else _from_json(text)
    if content is None:
        return None
    mode, counter = content.get("mode"), ""
    if mode is None:
        counter = next((name for name in ("epoch", "step") if name in content), "")
        if not counter:
            config = content.get("config")
            return Header(config if isinstance(config, str) else "")
        mode = "val" if content.keys().isdisjoint(("loss", "iter")) else "train"
    if mode not in ("train", "val"):
        raise MalformedLineError(f"has the mode {str(mode)[:20]!r}, expected 'train' or 'val'")
    lr, total = _rate(content.get("lr")), content.get("iterations")
    if mode == "val":
        accuracies = _accuracies(content)
        others = tuple(name for name in content if name not in _ABOUT and not accuracy_of(name))
        epoch = _whole(content, counter or "epoch", MOST_EPOCHS)
        batches = 0 if counter else _whole(content, "iter", 10**9)
        return Validation(
            epoch, batches, accuracies, number, lr, counter=counter, others=others[:MOST_NAMED]
        )
    iterations = total if type(total) is int else None
    epoch = 0 if counter == "step" else _whole(content, "epoch", MOST_EPOCHS)
    iteration = _whole(content, "iter", 10**9)
    loss = _loss(content.get("loss"))
    return Iteration(epoch, iteration, number, lr, loss, iterations, counter=counter)


def accuracy_of(name: str) -> str | None:
    """The one name, `<head>_top<k>`, of an accuracy, whatever a log calls it; None for other
    values.

    `acc_one_k_top1` is `one_k_top1`; without a head `accuracy_top-1`, `accuracy/top1`, `top1_acc`,
    `eval_top1`, `test_acc1` and `val_acc` are `head0_top1`.
    """
    words = _WORD.findall(name) if len(name) <= 100 else []
    spelt = "_".join(words)
    found = _WHICH.findall(spelt)
    head = [word for word in _WHICH.sub("", spelt).split("_") if word.lower() not in _PLAIN]
    if not _NO_ACCURACY.isdisjoint(map(str.lower, words)) or len(found) > 1:
        return None
    if not found:  # val_acc is the top-1; every other name without a k is something else
        is_plain = not head or head == [""]
        found = ["1"] * (is_plain and any(word.lower().startswith("acc") for word in words))
    if not found:
        return None
    return f"{'_'.join(filter(None, head)) or UNNAMED_HEAD}_top{int(found[0])}"


_ABOUT = frozenset({"mode", "epoch", "iter", "step", "lr", "time", "data_time", "memory", "eta"})


def _from_json(text: str) -> dict[str, Any] | None:
    if not text.strip():
        return None
    try:
        content = json.loads(
            text, parse_float=_decimal, parse_constant=_decimal, object_pairs_hook=_once
        )
    except MalformedLineError:
        raise
    except (ValueError, RecursionError):
        raise MalformedLineError("isn't JSON") from None
    if not isinstance(content, dict):
        raise MalformedLineError("isn't a JSON object")
    return content


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object; of one that names a value twice nobody knows which one counts."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise MalformedLineError("names a value twice")
    return found


def _from_text(text: str) -> dict[str, Any] | None:
    """What a line of a text log says, under the names that it has in a `.log.json`.

    iterations: of the epoch, which only text logs tell.
    """
    text = _COLOUR.sub("", text) if "\x1b" in text else text
    stamped = STAMP.search(text)
    said = stamped[1] if stamped else text
    if said.startswith(("Environment info:", "System environment:")):
        return {}
    if said.startswith(("Iter [", "Iter(val)", "Iter(train)")):
        raise MalformedLineError("counts iterations, not epochs")
    if not said.startswith(("Epoch [", "Epoch(val)", "Epoch(train)")):
        return None
    if not (found := _PLACE.match(said)):
        raise MalformedLineError("is no whole line of an epoch")
    place = {"epoch": int(found["epoch"]), "iter": int(found["at"])}
    if found["mode"] == "val":
        if found["of"] not in (None, found["at"]):
            return None  # mmengine's validation on its way
        return _items(found["said"]) | place | {"mode": "val"}
    if found["of"] is None:
        raise MalformedLineError("is no whole line of an epoch")
    said = {name: _decimal_or_none(value) for name, value in _RATE_OR_LOSS.findall(found["said"])}
    return said | place | {"mode": "train", "iterations": int(found["of"])}


def _items(text: str) -> dict[str, Any]:
    """The numbers of `name: value, name: value`; of what else stands there, the name alone.

    Raises MalformedLineError where an item isn't whole, or an accuracy no number.
    """
    found: dict[str, Any] = {}
    for item in _BETWEEN.split(text.strip()):
        name, colon, value = item.partition(": ")
        number = _decimal_or_none(value)
        is_damaged = number is None and (accuracy_of(name) if colon else not _CLOCK.fullmatch(item))
        if is_damaged or name in found:
            raise MalformedLineError(f"breaks off or is damaged at {item[:30]!r}")
        if colon:
            found[name] = number
    return found


def _accuracies(content: Mapping[str, Any]) -> dict[str, Decimal]:
    found: dict[str, Decimal] = {}
    names: dict[str, str] = {}
    for name, value in content.items():
        if key := accuracy_of(name):
            if type(value) not in (int, Decimal):
                raise MalformedLineError(f"has no number as {name!r}")
            number = Decimal(value)
            if number.is_finite() and len(number.as_tuple().digits) > MOST_DIGITS:
                raise MalformedLineError(f"has more than {MOST_DIGITS} digits as {name!r}")
            if found.setdefault(key, number) is not number and found[key] != number:
                raise MalformedLineError(f"says two things of {key}: {names[key]!r} and {name!r}")
            names[key] = name
    if len(found) > MOST_NAMED:
        raise MalformedLineError(f"has {len(found)} accuracies, expected {MOST_NAMED} at most")
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


def _decimal_or_none(text: str) -> Decimal | None:
    try:
        return Decimal(text.strip())
    except InvalidOperation:
        return None


def _decimal(text: str) -> Decimal:
    """A number as it is written; infinite where its exponent is beyond all bounds."""
    try:
        return Decimal(text)
    except InvalidOperation:
        return Decimal("-Infinity" if text.startswith("-") else "Infinity")
