"""Reads training logs: whole ones, resumed ones, and several files of one run joined.

Where an epoch stands more than once, because the run was resumed from an earlier checkpoint, the
later one counts: it is the one that the later epochs grew from.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from itertools import takewhile
from pathlib import Path
from typing import Annotated, Any

import msgspec

from ...zoo.checkpoint.config import parse as parse_config
from ...zoo.errors import DataError, several
from .lines import (
    DECIMALS,
    STAMP,
    Format,
    Header,
    Iteration,
    Line,
    MalformedLineError,
    Validation,
    parse_line,
)

MAX_BYTES = 256 << 20
Count = Annotated[int, msgspec.Meta(gt=0, lt=10**9)]
Rate = Annotated[float, msgspec.Meta(ge=0, lt=10**9)]

_SECOND_OBJECT = re.compile(r'\{"(?:env_info|mode)"')
_FILE_TIME = re.compile(r"(?<!\d)\d{8}_\d{6}(?!\d)", re.ASCII)


@dataclass(frozen=True)
class Settings:
    """What a run's config says, None where it doesn't. batch: images, all processes together."""

    epochs: int | None = None
    lr: float | None = None
    min_lr: float | None = None
    batch: int | None = None


@dataclass(frozen=True)
class TrainingLog:
    """A run as its log tells it. Remarks say what was odd in reading it.

    validations: one per epoch, in order of epochs. replaced: earlier ones of repeated epochs.
    training: all train lines, in file order. pieces: 1, and one more for each restart.
    decimals: to which the writer of this format rounds accuracies.
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

    paths: mmcv `.log.json` or text logs, all in one format; where all their names carry a time
    (`20220101_120000`), that is their order, else the order given. name: for messages.
    Raises DataError if a file can't be read, isn't a log, or says what no percentage can be, and
    if no validation stands in them.
    """
    times = [_FILE_TIME.findall(path.name) for path in paths]
    if all(times):
        paths = [path for _, path in sorted(zip(times, paths, strict=True), key=lambda t: t[0][-1])]
    reader = _Reader(name or str(paths[0]))
    for path in paths:
        reader.file(path)
    return reader.log(tuple(paths))


def read_settings(text: str) -> Settings:
    """Settings from the text of a config, which is never run; what isn't plain isn't said.

    mmcv logs carry the config as Python text (`name = dict(key=value, ...)`), mixzoo's own a recipe
    of `name = value` lines.
    """
    config = parse_config(text)

    def first(kind: Any, *places: tuple[str, ...]) -> Any:
        found = (config.get(*place, kind=kind) for place in places)
        return next((value for value in found if value is not None), None)

    each, gpus = first(Count, ("data", "imgs_per_gpu")), first(list[int], ("gpu_ids",)) or [0]
    return Settings(
        epochs=first(Count, ("runner", "max_epochs"), ("epochs",)),
        lr=first(Rate, ("optimizer", "lr"), ("lr",)),
        min_lr=first(Rate, ("lr_config", "min_lr"), ("min_lr",)),
        batch=each * len(gpus) if each else first(Count, ("batch_size",)),
    )


def spans(numbers: Iterable[int]) -> str:
    """Whole numbers in words: `epoch 3`, `epochs 61 to 63, 70`."""
    ordered = sorted(set(numbers))
    parts: list[list[int]] = []
    for number in ordered:
        if parts and number == parts[-1][-1] + 1:
            parts[-1][1:] = [number]
        else:
            parts.append([number])
    return f"epoch{'s' * (len(ordered) > 1)} " + ", ".join(" to ".join(map(str, p)) for p in parts)


@dataclass
class _Reader:
    """Collects the lines of a run's files."""

    name: str
    format: Format | None = None
    pieces: int = 0
    validations: list[Validation] = field(default_factory=list)
    training: list[Iteration] = field(default_factory=list)
    config: str = ""
    remarks: list[str] = field(default_factory=list)

    def file(self, path: Path) -> None:
        """Take in a file."""
        text = _text_of(path)
        format_: Format = "json" if text.lstrip("\ufeff \r\n\t").startswith("{") else "text"
        if self.format not in (None, format_):
            raise DataError(
                f"{path}: expected the format of the pieces before it ({self.format}), got "
                f"{format_}. Join files of one format."
            )
        self.format = format_
        lines = [line.strip("\ufeff\r") for line in text.split("\n")]
        headless, bad = True, []
        for number, line in enumerate(lines, 1):
            is_last = number == len(lines)  # no newline after it: the writer was killed
            try:
                found = parse_line(line, format_, number)
                if is_last and format_ == "text" and _is_shortened(found):
                    raise MalformedLineError("is cut off")
            except MalformedLineError as error:
                if is_last:
                    self.remarks.append(f"{path.name}: the last line, {number}, is cut off")
                else:
                    bad.append(f"line {number} {error}")
                found = self._second_of(line, number, path)
            if found is not None:
                self._take(found, path, begins=headless)
                headless = False
        if bad:
            self.remarks.append(f"{path.name}: {several(bad, '; ')}; passed over")
        if format_ == "text":
            self.config = _config_among(lines) or self.config

    def log(self, files: tuple[Path, ...]) -> TrainingLog:
        """The run, once all its files are in."""
        if not any(v.accuracies for v in self.validations) or self.format is None:
            raise DataError(
                f"{self.name}: expected a training log with validation accuracies (mmcv's .log.json "
                "or text log), found no such line. Is it another file, or a run that never validated?"
            )
        latest = {v.epoch: v for v in self.validations}
        replaced = tuple(v for v in self.validations if latest[v.epoch] is not v)
        if replaced:
            same = all(v.accuracies == latest[v.epoch].accuracies for v in replaced)
            values = "with the same values" if same else "the later values are used"
            epochs = spans(v.epoch for v in replaced)
            self.remarks.append(f"validated more than once: {epochs}; {values}")
        kept = tuple(latest[epoch] for epoch in sorted(latest))
        # Heads come and go when lines are cut out, or files of two runs are joined.
        for name in dict.fromkeys(name for v in kept for name in v.accuracies):
            if lacking := [v.epoch for v in kept if name not in v.accuracies]:
                self.remarks.append(f"no {name} in {spans(lacking)}")
        return TrainingLog(
            name=self.name,
            files=files,
            format=self.format,
            decimals=DECIMALS[self.format],
            pieces=self.pieces,
            validations=kept,
            replaced=replaced,
            training=tuple(self.training),
            settings=read_settings(self.config),
            remarks=tuple(self.remarks),
        )

    def _take(self, line: Line, path: Path, *, begins: bool) -> None:
        """begins: whether it is the file's first line; a header begins a piece anywhere."""
        self.pieces += begins or isinstance(line, Header)
        if isinstance(line, Header):
            self.config = line.config or self.config
        elif isinstance(line, Iteration):
            self.training.append(replace(line, file=path.name, piece=self.pieces - 1))
        else:
            for name, value in line.accuracies.items():
                if not (value.is_finite() and 0 <= value <= 100):
                    raise DataError(
                        f"{path}: line {line.line}: {name} is {value:.9g}, expected a percentage "
                        "from 0 to 100. No evaluation gives that; the log is damaged or invented."
                    )
            self.validations.append(replace(line, file=path.name, piece=self.pieces - 1))

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


def _text_of(path: Path) -> str:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise DataError(
                f"{path}: expected a log of at most 256 MiB, got {path.stat().st_size:,} bytes."
            )
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}.") from None
    if content.startswith((b"\x1f\x8b", b"PK\x03\x04")):
        raise DataError(f"{path}: expected a log as text, got a packed file. Unpack it first.")
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):  # what PowerShell's redirection writes
        return content.decode("utf-16", errors="replace")
    return content.decode("utf-8", errors="replace")


def _is_shortened(line: Line | None) -> bool:
    """Whether the last number of a text line has fewer decimals than its writer prints."""
    last = list(line.accuracies.values())[-1:] if isinstance(line, Validation) else []
    return any(v.is_finite() and -int(v.as_tuple().exponent) < DECIMALS["text"] for v in last)


def _config_among(lines: Sequence[str]) -> str:
    """The lines of a text log after its last "Config:", up to the next that begins with a time."""
    stamps = [(n, said[1]) for n, line in enumerate(lines, 1) if (said := STAMP.match(line))]
    starts = [n for n, said in stamps if said.startswith("Config:")]
    rest = lines[starts[-1] :] if starts else []
    return "\n".join(takewhile(lambda line: not STAMP.match(line), rest))
