"""Reads training logs: whole ones, resumed ones, and several files of one run joined.

Where an epoch stands more than once, because the run was resumed from an earlier checkpoint, the
later one counts: it is the one that the later epochs grew from.
"""

import csv
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import msgspec

from ...zoo.checkpoint.config import TrainingConfig, in_text
from ...zoo.checkpoint.config import parse as parse_config
from ...zoo.errors import NAMED, DataError, several, wall
from ...zoo.looks import printable
from .lines import (
    DECIMALS,
    STAMP,
    Format,
    Header,
    Iteration,
    Line,
    MalformedLineError,
    Validation,
    accuracy_of,
    parse_line,
)

MAX_BYTES = 256 << 20
LONGEST_LINE = 1 << 22  # characters; a header with its config has some 10,000
MOST_ACCURACIES = 500  # names of accuracies in a log
MOST_CONFIG_LINES = 20_000
FIRST_LINES = 1000  # that may come before a log begins
MOST_SPANS = 8  # that a sentence names
Count = Annotated[int, msgspec.Meta(gt=0, lt=10**9)]
Rate = Annotated[float, msgspec.Meta(ge=0, lt=10**9)]

_SECOND_OBJECT = re.compile(r'\{"(?:env_info|mode)"')
_FILE_TIME = re.compile(r"(?<!\d)\d{8}_\d{6}(?!\d)", re.ASCII)
_CELL = re.compile(r"-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?|nan|-?inf", re.ASCII | re.IGNORECASE)
COSINE = "a cosine by epoch"
_OF_COSINE = {"type", "policy", "min_lr", "eta_min", "by_epoch", "T_max", "begin", "end"}


@dataclass(frozen=True)
class Settings:
    """What a run's config says, None where it doesn't.

    batch: images, all processes together. repeat: how often an epoch shows every image. schedule:
    of the learning rate in words, COSINE for one by epoch from the first to the last.
    """

    epochs: int | None = None
    lr: float | None = None
    min_lr: float | None = None
    batch: int | None = None
    repeat: int = 1
    schedule: str | None = None


@dataclass(frozen=True)
class TrainingLog:
    """A run as its log tells it. Remarks say what was odd in reading it.

    validations: one per epoch, in order of epochs. replaced: earlier ones of repeated epochs.
    training: all train lines, in file order. pieces: 1, and one more for each restart.
    decimals: to which the writer of this format rounds accuracies. twin: the same run's other log,
    in the other format.
    """

    name: str
    files: tuple[Path, ...]
    format: Format
    decimals: int
    pieces: int
    validations: tuple[Validation, ...]
    replaced: tuple[Validation, ...]
    training: tuple[Iteration, ...]
    settings: Settings
    remarks: tuple[str, ...]
    twin: "TrainingLog | None" = None

    @property
    def heads(self) -> tuple[str, ...]:
        """Heads with a top-1 accuracy, in the log's order."""
        names = dict.fromkeys(name for v in self.validations for name in v.accuracies)
        return tuple(name.removesuffix("_top1") for name in names if name.endswith("_top1"))

    def series(self, name: str) -> dict[int, Decimal]:
        """Epoch -> accuracy called `name` (`head0_top1`), percent, in order of epochs."""
        return {v.epoch: v.accuracies[name] for v in self.validations if name in v.accuracies}

    def floats(self, name: str) -> dict[int, float]:
        """The same series as floats, for arithmetic that needs no written digits."""
        return {epoch: float(value) for epoch, value in self.series(name).items()}


def read_log(paths: Sequence[Path], name: str | None = None) -> TrainingLog:
    """Read one run from one file, or from several that belong together.

    paths: logs of mmcv or mmengine, DeiT's, timm's or Lightning's. Files of one format are pieces
    of the run; where all their names carry a time (`20220101_120000`), that is their order, else
    the order given. Of several formats each tells the run by itself: the log is the one with the
    most decimals, and the other is its `twin`. name: for messages. Raises DataError if a file can't
    be read, isn't a log, or says what no percentage can be, and if no validation stands in them.
    """
    times = [_FILE_TIME.findall(path.name) for path in paths]
    if all(times):
        paths = [path for _, path in sorted(zip(times, paths, strict=True), key=lambda t: t[0][-1])]
    name = name or str(paths[0])
    readers: dict[Format, _Reader] = {}
    with wall(DataError, name, "Is it a training log?"):
        for path in paths:
            format_ = _format_of(path)
            readers.setdefault(format_, _Reader(name, format_)).file(path)
        ordered = sorted(readers, key=DECIMALS.__getitem__, reverse=True)
        log, *twins = [readers[one].log() for one in ordered]
    if len(twins) > 1:
        raise DataError(
            f"{name}: expected logs in two formats at most, got {', '.join(ordered)}. Leave the "
            "others out."
        )
    return replace(log, twin=twins[0] if twins else None)


def read_settings(text: str) -> Settings:
    """Settings from the text of a config, which is never run; what isn't plain isn't said.

    mmcv's and mmengine's logs carry the config as Python text (`name = dict(key=value, ...)`),
    mixzoo's own a recipe of `name = value` lines.
    """
    config = parse_config(text)

    def first(kind: Any, *places: tuple[str, ...]) -> Any:
        found = (config.get(*place, kind=kind) for place in places)
        return next((value for value in found if value is not None), None)

    each = first(Count, ("data", "imgs_per_gpu"), ("data", "samples_per_gpu"))
    gpus = first(list[int], ("gpu_ids",)) or [0]
    epochs = first(
        Count, ("runner", "max_epochs"), ("train_cfg", "max_epochs"), ("total_epochs",), ("epochs",)
    )
    lr = first(Rate, ("optimizer", "lr"), ("optim_wrapper", "optimizer", "lr"), ("lr",))
    least = (("lr_config", "min_lr"), ("param_scheduler", "eta_min"), ("min_lr",))
    return Settings(
        epochs=epochs,
        lr=lr,
        min_lr=first(Rate, *least),
        batch=each * len(gpus) if each else first(Count, ("batch_size",)),
        repeat=first(Count, ("data", "train", "times"), ("repeat",)) or 1,
        schedule=_schedule(config, epochs),
    )


def _schedule(config: TrainingConfig, epochs: int | None) -> str | None:
    told = config.values.get("lr_config") or config.values.get("param_scheduler")
    if not isinstance(told, Mapping):
        return in_text(told)[:200] if told else None
    warms_up = told.get("warmup") is not None
    more = {name for name in told if warms_up or not str(name).startswith("warmup")} - _OF_COSINE
    is_whole = told.get("by_epoch", True) is True and told.get("T_max", epochs) == epochs
    kind = told.get("policy", told.get("type"))
    if kind in ("CosineAnnealing", "CosineAnnealingLR") and is_whole and not more:
        return COSINE
    return in_text(told)[:200]


def spans(numbers: Iterable[int]) -> str:
    """Whole numbers in words: `epoch 3`, `epochs 61 to 63, 70`; of many spans the first ones."""
    ordered = sorted(set(numbers))
    parts: list[list[int]] = []
    for number in ordered:
        if parts and number == parts[-1][-1] + 1:
            parts[-1][1:] = [number]
        else:
            parts.append([number])
    shown = [" to ".join(map(str, part)) for part in parts[:MOST_SPANS]]
    rest = len(ordered) - sum(part[-1] - part[0] + 1 for part in parts[:MOST_SPANS])
    more = f" and {rest} more" if rest else ""
    return f"epoch{'s' * (len(ordered) > 1)} {', '.join(shown)}{more}"


@dataclass
class _Reader:
    """Collects the lines of a run's files of one format."""

    name: str
    format: Format
    files: list[Path] = field(default_factory=list)
    pieces: int = 0
    validations: list[Validation] = field(default_factory=list)
    training: list[Iteration] = field(default_factory=list)
    config: str = ""
    remarks: list[str] = field(default_factory=list)

    def file(self, path: Path) -> None:
        """Take in a file."""
        self.files.append(path)
        headless, bad, columns, config = True, Counter[str](), [], None
        for number, whole in enumerate(_lines_of(path), 1):
            line = whole.strip("\ufeff\r\n")
            is_last = not whole.endswith("\n")  # no newline after it: the writer was killed
            try:
                if len(whole) >= LONGEST_LINE:
                    is_last = False
                    raise MalformedLineError(f"is longer than {LONGEST_LINE:,} characters")
                if self.format == "csv":
                    cells = _cells(line)
                    is_header = not {"epoch", "step"}.isdisjoint(cells)
                    columns = cells if is_header or not columns else columns
                    line = _as_json(columns, cells, is_last=is_last)
                found = parse_line(line, self.format, number)
                if is_last and self.format == "text" and _is_shortened(found):
                    raise MalformedLineError("is cut off")
            except MalformedLineError as error:
                if is_last:
                    self.remarks.append(f"{path.name}: the last line, {number}, is cut off")
                else:
                    bad[f"line {number} {error}" if len(bad) < NAMED else ""] += 1
                found = self._second_of(line, number, path)
            if found is not None:
                self._take(found, path, begins=headless)
                headless = False
            if self.format == "text" and (stamped := STAMP.search(line)):
                self.config = "\n".join(config) if config else self.config
                config = [] if stamped[1].startswith("Config:") else None
            elif config is not None and len(config) < MOST_CONFIG_LINES:
                config.append(line)
        self.config = "\n".join(config) if config else self.config
        if bad:
            self.remarks.append(f"{path.name}: {several(bad.elements(), '; ')}; passed over")

    def log(self) -> TrainingLog:
        """The run, once all its files are in."""
        self._expect_accuracies()
        # lines without a mode may be of training alone
        self.validations = [v for v in self.validations if v.accuracies or not v.counter]
        self._count_from_one()
        latest = {v.epoch: v for v in self.validations}
        replaced = tuple(v for v in self.validations if latest[v.epoch] is not v)
        if replaced:
            same = all(v.accuracies == latest[v.epoch].accuracies for v in replaced)
            values = "with the same values" if same else "the later values are used"
            epochs = spans(v.epoch for v in replaced)
            self.remarks.append(f"validated more than once: {epochs}; {values}")
        if older := [v.epoch for v in latest.values() if v.epoch > self.validations[-1].epoch]:
            last = self.validations[-1].epoch
            self.remarks.append(
                f"its last validation is of epoch {last}; {spans(older)} stand before it"
            )
        kept = tuple(latest[epoch] for epoch in sorted(latest))
        # Heads come and go when lines are cut out, or files of two runs are joined.
        for name in dict.fromkeys(name for v in kept for name in v.accuracies):
            if lacking := [v.epoch for v in kept if name not in v.accuracies]:
                self.remarks.append(f"no {name} in {spans(lacking)}")
        return TrainingLog(
            name=self.name,
            files=tuple(self.files),
            format=self.format,
            decimals=DECIMALS[self.format],
            pieces=self.pieces,
            validations=kept,
            replaced=replaced,
            training=tuple(self.training),
            settings=read_settings(self.config),
            remarks=tuple(self.remarks),
        )

    def _expect_accuracies(self) -> None:
        """Raise DataError, saying what there is instead, if there are none, or far too many."""
        names = {name for v in self.validations for name in v.accuracies}
        if len(names) > MOST_ACCURACIES:
            raise DataError(
                f"{self.name}: expected at most {MOST_ACCURACIES} accuracies, got {len(names):,} "
                "names of them. Is it a training log?"
            )
        if any(name.endswith("_top1") for name in names):
            return
        held = (one for v in self.validations for one in (*v.accuracies, *v.others))
        others = dict.fromkeys(printable(one)[:40] for one in held)
        said = f" ({self.remarks[0]})" if self.remarks else ""
        found = f"no such line{said}."
        if not said:
            found += " Is it another file, or a run that never validated?"
        if self.validations:
            found = f"none in {len(self.validations)} validation lines{said}; they hold "
            found += f"{several(others) or 'nothing else'}. Name another log."
        raise DataError(
            f"{self.name}: expected a training log with top-1 accuracies by epoch "
            f"(head0_top1, accuracy_top-1, accuracy/top1, top1_acc or the like), found {found}"
        )

    def _count_from_one(self) -> None:
        """Lines without a mode may count epochs from 0, and count iterations on and on."""
        if min((v.epoch for v in self.validations if v.counter == "epoch"), default=1) == 0:
            self.validations = [replace(v, epoch=v.epoch + 1) for v in self.validations]
            self.training = [replace(t, epoch=t.epoch + 1) for t in self.training]
            self.remarks.append("the log counts epochs from 0; here they are counted from 1")
        counted = [t for t in self.training if t.counter and t.epoch]
        each = max((-(-t.iteration // t.epoch) for t in counted), default=0)
        self.training = [
            replace(t, iteration=max(1, t.iteration - (t.epoch - 1) * each)) if t.counter else t
            for t in self.training
        ]

    def _take(self, line: Line, path: Path, *, begins: bool) -> None:
        """begins: whether it is the file's first line; a header begins a piece anywhere."""
        self.pieces += begins or isinstance(line, Header)
        if isinstance(line, Header):
            self.config = line.config or self.config
        elif isinstance(line, Iteration):
            self.training.append(replace(line, file=path.name, piece=self.pieces - 1))
        else:
            self._expect_epoch_and_percentages(line, path)
            self.validations.append(replace(line, file=path.name, piece=self.pieces - 1))

    def _expect_epoch_and_percentages(self, line: Validation, path: Path) -> None:
        epoch = self.training[-1].epoch if self.training else line.epoch
        if line.counter == "step" and (self.format == "csv" or epoch != line.epoch):
            raise DataError(
                f"{path}: line {line.line}: expected validations counted by epoch, got step "
                f"{line.epoch}. Runs that are validated by iterations aren't read; use the log of "
                "another run."
            )
        for name, value in line.accuracies.items():
            if not (value.is_finite() and 0 <= value <= 100):
                raise DataError(
                    f"{path}: line {line.line}: {name} is {value:.9g}, expected a percentage from "
                    "0 to 100. No evaluation gives that; the log is damaged or invented. Get it "
                    "again from its source."
                )

    def _second_of(self, line: str, number: int, path: Path) -> Line | None:
        """The last object of a line that two writers share, as after a kill and a restart."""
        starts = [found.start() for found in _SECOND_OBJECT.finditer(line) if found.start()]
        if not starts or self.format != "json":
            return None
        try:
            found = parse_line(line[starts[-1] :], "json", number)
        except MalformedLineError:
            return None
        self.remarks.append(f"{path.name}: line {number} holds a cut line and a whole one after it")
        return found


def _lines_of(path: Path) -> Iterator[str]:
    """A log's lines with their ends, however it is encoded; of one that is too long its beginning."""
    try:
        with path.open("rb") as file:
            begin, size = file.read(4), path.stat().st_size
        if size > MAX_BYTES:
            raise DataError(
                f"{path}: expected a log of at most 256 MiB, got {size:,} bytes. Is it a log?"
            )
        if begin.startswith((b"\x1f\x8b", b"PK\x03\x04")):
            raise DataError(f"{path}: expected a log as text, got a packed file. Unpack it first.")
        # UTF-16 is what PowerShell's redirection writes
        encoding = "utf-16" if begin.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8"
        with path.open(encoding=encoding, errors="replace", newline="\n") as text:
            while line := text.readline(LONGEST_LINE):
                yield line
                while len(line) == LONGEST_LINE and not line.endswith("\n"):
                    line = text.readline(LONGEST_LINE)
    except OSError as error:
        raise DataError(
            f"{path}: cannot be read: {error.strerror or error}. Make it readable, or name another "
            "file."
        ) from None


def _format_of(path: Path) -> Format:
    """By the first line that tells it; launchers write before the log begins."""
    for line in islice(_lines_of(path), FIRST_LINES):
        begin = line.strip("\ufeff \r\n\t")
        if begin.startswith("{"):
            return "json"
        if STAMP.search(begin):
            return "text"
        if len(cells := _cells(begin)) > 1 and not {"epoch", "step"}.isdisjoint(cells):
            return "csv"
    return "text"


def _cells(line: str) -> list[str]:
    """The cells of a CSV's line, `Epoch` in small letters; none of a line that is no row."""
    try:
        cells = [cell.strip() for cell in next(csv.reader([line]), [])]
        return [cell.lower() if cell.lower() in ("epoch", "step") else cell for cell in cells]
    except csv.Error:
        return []


def _as_json(columns: Sequence[str], cells: Sequence[str], *, is_last: bool) -> str:
    """A CSV's row as the JSON line that says the same; what is no number is left out.

    is_last: whether no line end follows.
    """
    if cells == columns or not cells:
        return ""
    if len(cells) != len(columns) or (is_last and accuracy_of(columns[-1])):
        raise MalformedLineError(f"has {len(cells)} cells, expected {len(columns)} whole ones")
    said = {name: cell for name, cell in zip(columns, cells, strict=True) if _CELL.fullmatch(cell)}
    spelt = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}
    numbers = (f"{json.dumps(name)}: {spelt.get(n.lower(), n)}" for name, n in said.items())
    return f"{{{', '.join(numbers)}}}" if said else ""


def _is_shortened(line: Line | None) -> bool:
    """Whether the last number of a text line has fewer decimals than its writer prints."""
    last = list(line.accuracies.values())[-1:] if isinstance(line, Validation) else []
    return any(v.is_finite() and -int(v.as_tuple().exponent) < DECIMALS["text"] for v in last)
