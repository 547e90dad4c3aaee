"""Reads training logs: whole ones, resumed ones, and several files of one run joined.

Where an epoch stands more than once, because the run was resumed from an earlier checkpoint, the
later one counts: it is the one that the later epochs grew from.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Literal

from ...zoo.errors import DataError
from .lines import (
    JSON_DECIMALS,
    TEXT_DECIMALS,
    Header,
    MalformedLineError,
    Training,
    Validation,
    is_stamped,
    parse_json_line,
    parse_text_line,
    starts_config,
)
from .settings import Settings, read_settings

MAX_BYTES = 256 << 20
NAMED = 3  # bad lines that are named one by one
Format = Literal["json", "text"]

_FILE_TIME = re.compile(r"(?<!\d)\d{8}_\d{6}(?!\d)", re.ASCII)
_SECOND_OBJECT = re.compile(r'\{"(?:env_info|mode)"')


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
    training: tuple[Training, ...]
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


def read_log(paths: Sequence[Path], name: str | None = None) -> TrainingLog:
    """Read one run from one file, or from several that belong together.

    paths: mmcv `.log.json` or text logs, all in one format; where all their names carry a time
    (`20220101_120000`), that is their order, else the order given. name: for messages.
    Raises DataError if a file can't be read, isn't a log, or no validation stands in them.
    """
    ordered = _in_time(paths)
    reader = _Reader(name or str(ordered[0]))
    for path in ordered:
        reader.file(path)
    return reader.log(tuple(ordered))


@dataclass
class _Reader:
    """Collects the lines of a run's files."""

    name: str
    format: Format | None = None
    pieces: int = 0
    validations: list[Validation] = field(default_factory=list)
    training: list[Training] = field(default_factory=list)
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
        begun = len(self.validations) + len(self.training)
        parse = self._json if format_ == "json" else self._text
        before = self.pieces
        parse(lines, path)
        if self.pieces == before and len(self.validations) + len(self.training) > begun:
            self.pieces += 1  # a piece without its header

    def log(self, files: tuple[Path, ...]) -> TrainingLog:
        """The run, once all its files are in."""
        if not any(v.accuracies for v in self.validations) or self.format is None:
            raise DataError(
                f"{self.name}: expected a training log with validation accuracies (mmcv's .log.json "
                "or text log), found no such line. Is it another file, or a run that never validated?"
            )
        kept, replaced = self._latest()
        self._name_lacking(kept)
        return TrainingLog(
            name=self.name,
            files=files,
            format=self.format,
            decimals=JSON_DECIMALS if self.format == "json" else TEXT_DECIMALS,
            pieces=max(1, self.pieces),
            validations=kept,
            replaced=replaced,
            training=tuple(self.training),
            settings=read_settings(self.config),
            remarks=tuple(self.remarks),
        )

    def _json(self, lines: list[str], path: Path) -> None:
        bad: list[str] = []
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                self._take(parse_json_line(line, number), path)
            except MalformedLineError as error:
                if number == len(lines):  # no newline after it: the writer was killed
                    self.remarks.append(f"{path.name}: the last line, {number}, is cut off")
                else:
                    bad.append(f"line {number} {error}")
                if second := _second_object(line):
                    self._take_if_whole(second, number, path)
        self._name_bad(bad, path)

    def _text(self, lines: list[str], path: Path) -> None:
        bad: list[str] = []
        for number, line in enumerate(lines, 1):
            try:
                found = parse_text_line(line, number)
            except MalformedLineError as error:
                if number == len(lines):
                    self.remarks.append(f"{path.name}: the last line, {number}, is cut off")
                else:
                    bad.append(f"line {number} {error}")
                continue
            if number == len(lines) and isinstance(found, Validation) and _shortened(found):
                self.remarks.append(f"{path.name}: the last line, {number}, is cut off")
            elif found is not None:
                self._take(found, path)
            if starts_config(line):
                self.config = "\n".join(_until_stamped(lines[number:]))
        self._name_bad(bad, path)

    def _take(self, line: Validation | Training | Header, path: Path) -> None:
        if isinstance(line, Header):
            self.pieces += 1
            self.config = line.config or self.config
            return
        line = replace(line, file=path.name, piece=max(0, self.pieces - 1))
        if isinstance(line, Validation):
            self.validations.append(line)
        else:
            self.training.append(line)

    def _take_if_whole(self, text: str, number: int, path: Path) -> None:
        try:
            self._take(parse_json_line(text, number), path)
        except MalformedLineError:
            return
        self.remarks.append(f"{path.name}: line {number} holds a cut line and a whole one after it")

    def _name_bad(self, bad: list[str], path: Path) -> None:
        if bad:
            more = f" and {len(bad) - NAMED} more" if len(bad) > NAMED else ""
            self.remarks.append(f"{path.name}: {'; '.join(bad[:NAMED])}{more}; passed over")

    def _name_lacking(self, validations: tuple[Validation, ...]) -> None:
        """Heads come and go when lines are cut out, or files of two runs are joined."""
        for name in dict.fromkeys(name for v in validations for name in v.accuracies):
            if lacking := [v.epoch for v in validations if name not in v.accuracies]:
                self.remarks.append(f"no {name} in {spans(lacking)}")

    def _latest(self) -> tuple[tuple[Validation, ...], tuple[Validation, ...]]:
        latest = {v.epoch: v for v in self.validations}
        replaced = tuple(v for v in self.validations if latest[v.epoch] is not v)
        if replaced:
            epochs = sorted({v.epoch for v in replaced})
            same = all(v.accuracies == latest[v.epoch].accuracies for v in replaced)
            values = "with the same values" if same else "the later values are used"
            self.remarks.append(f"validated more than once: {spans(epochs)}; {values}")
        return tuple(latest[epoch] for epoch in sorted(latest)), replaced


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


def _in_time(paths: Sequence[Path]) -> list[Path]:
    times = [_FILE_TIME.findall(path.name) for path in paths]
    if not all(times):
        return list(paths)
    return [
        path for _, path in sorted(zip(times, paths, strict=True), key=lambda pair: pair[0][-1])
    ]


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


def _second_object(line: str) -> str | None:
    """The last object of a line that two writers share, as after a kill and a restart."""
    starts = [found.start() for found in _SECOND_OBJECT.finditer(line) if found.start()]
    return line[starts[-1] :] if starts else None


def _shortened(validation: Validation) -> bool:
    """Whether the last number of a text line has fewer decimals than its writer prints."""
    last = list(validation.accuracies.values())[-1:]
    return any(-int(value.as_tuple().exponent) < TEXT_DECIMALS for value in last)


def _until_stamped(lines: list[str]) -> Iterator[str]:
    for line in lines:
        if is_stamped(line):
            return
        yield line
