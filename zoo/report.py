"""A report: what an evaluation found, as `report.json` holds it (docs/report.md).

The types below are the format: reports are written from them and read into them, and
`docs/report.schema.json` is made of them. Percentages run from 0 to 100 and are divided once, in
double precision, from whole counts; a report whose percentages aren't its counts is refused.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec

from .errors import ManifestError, UsageError
from .files import require_no_pipe
from .manifest import Count, Percent, Positive, Sha256, convert

FORMAT = 2
TOLERANCE = 1e-9  # points
MAX_BYTES = 32 << 20  # a table of 20 checkpoints with four heads each takes about one million

Interval = tuple[float, float]


class _Part(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Base of all parts: immutable; keys that a reader doesn't know are passed over."""


class Weights(_Part, frozen=True, kw_only=True):
    """The file that was evaluated. method: "plain", "automix" or "samix", read off its keys.

    remarks: what its weights aren't, though they seem to be (half precision, an averaged copy).
    """

    file: str
    sha256: Sha256
    architecture: str
    method: str
    num_classes: Positive
    heads: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()


class Group(_Part, frozen=True, kw_only=True):
    """`correct` of `total` images of a group are right. accuracy: percent; interval95: Wilson's."""

    name: str
    correct: Count
    total: Positive
    accuracy: Percent
    interval95: Interval


class Bin(_Part, frozen=True, kw_only=True, omit_defaults=False):
    """Predictions whose confidence lies in (low, high]; means in [0, 1], None in an empty bin."""

    low: float
    high: float
    count: Count
    confidence: float | None
    accuracy: float | None


class Calibration(_Part, frozen=True, kw_only=True):
    """How far the best class's probability is from how often it is right; errors in [0, 1].

    See `eval.calibration` for what each is.
    """

    ece: float
    ece_equal_counts: float
    mce: float
    noise: float
    confidence: float
    accuracy: float
    count: Count
    without_prediction: Count
    bins: tuple[Bin, ...]


class LoggedHead(_Part, frozen=True, kw_only=True):
    """What the training log says of a head at the checkpoint's epoch: percent, and the gap.

    statistic: the log's number by the table's rule; None where it lacks epochs for that.
    """

    epoch: int
    top1: Percent
    gap_images: float
    statistic: Percent | None = None


class Head(_Part, frozen=True, kw_only=True):
    """One head of a checkpoint: `correct` and `correct5` of `total` images are right.

    interval95: of the top-1 in percent, Wilson's, or the limits that a sample gives. gap_points,
    gap_images: recomputed minus published. precision: what the guard measured and recomputed.
    breakdown: grouping ("supercategory", "shots") -> its groups.
    """

    head: str
    correct: Count
    correct5: Count
    total: Positive
    top1: Percent
    top5: Percent
    interval95: Interval
    gap_points: float | None = None
    gap_images: float | None = None
    logged: LoggedHead | None = None
    precision: dict[str, Any] = {}
    breakdown: dict[str, tuple[Group, ...]] = {}
    calibration: Calibration | None = None

    def __post_init__(self) -> None:
        """Hold the percentages against the counts. Raises ValueError."""
        for name, count, stated in (
            ("top1", self.correct, self.top1),
            ("top5", self.correct5, self.top5),
        ):
            if count > self.total or abs(100 * count / self.total - stated) > TOLERANCE:
                raise ValueError(
                    f"head {self.head}, {name}: expected 100 x {count} / {self.total}, got {stated}"
                )


class Claims(_Part, frozen=True, kw_only=True):
    """What the checkpoint says of its own training: name -> text, and where that differs."""

    facts: dict[str, str] = {}
    disagreements: tuple[str, ...] = ()


class Cause(_Part, frozen=True, kw_only=True):
    """What may be wrong with a number (`eval.causes`, docs/why.md). key: its name there.

    state: "found"; "open": only what `command` would look at can tell; "ruled out". evidence: the
    numbers behind the sentence. p: chance that a faithful row shows as much, corrected for all that
    was tried; 0 where the file itself says so. likelihood: among all that was found, in [0, 1].
    """

    key: str
    state: Literal["found", "open", "ruled out"]
    sentence: str
    evidence: dict[str, Any] = {}
    command: str | None = None
    p: float | None = None
    likelihood: float = 0.0


class Row(_Part, frozen=True, kw_only=True):
    """One checkpoint and its one verdict.

    id: of the row, or the checkpoint's path. row: that a retrained checkpoint is a run of. verdict:
    a word of `rules`; reason: the numbers that its rule was applied to. head: the head that carries
    the verdict. matches_log: whether the file is the run that its log tells of, in the words of
    `rules`; None without such a log. not_comparable: why the numbers aren't the benchmark's own,
    None if they are. heads: the one that inference uses first. causes: of a number that isn't the
    published one, likeliest first.
    """

    id: str
    weights: Weights
    verdict: str
    reason: str
    head: str
    heads: tuple[Head, ...]
    reported_top1: Percent | None = None
    decimals: Count = 2
    matches_log: str | None = None
    not_comparable: str | None = None
    claims: Claims = Claims()
    causes: tuple[Cause, ...] = ()
    row: str | None = None

    def __post_init__(self) -> None:
        """Require the head that carries the verdict. Raises ValueError."""
        if self.head not in [one.head for one in self.heads]:
            raise ValueError(f"row {self.id}: head {self.head!r} isn't one of its heads")

    @property
    def default(self) -> Head:
        """The head that inference uses."""
        return self.heads[0]

    @property
    def judged(self) -> Head:
        """The head that carries the verdict."""
        return next(one for one in self.heads if one.head == self.head)


class Seeds(_Part, frozen=True, kw_only=True):
    """Runs of one recipe, judged together: the published number as one draw among them.

    row: of the table. verdict, reason: as of a row. head: whose number it is. runs: ids of the rows
    that count. seeds, top1: of each, percent by the statistic that the table names.
    mean_interval95: where the recipe's mean lies; next_interval95: where one more run would; None
    below three seeds. left_out: runs that don't count, and why, a sentence each. next_command:
    trains another seed.
    """

    row: str
    verdict: str
    reason: str
    head: str
    runs: tuple[str, ...]
    seeds: tuple[Count, ...]
    top1: tuple[Percent, ...]
    reported_top1: Percent | None = None
    mean: Percent | None = None
    mean_interval95: Interval | None = None
    next_interval95: Interval | None = None
    left_out: tuple[str, ...] = ()
    next_command: str


class Pixels(_Part, frozen=True, kw_only=True):
    """Evaluation pixels as used. overrides: name -> what isn't the benchmark's, in words."""

    resize: Positive
    crop: Positive
    interpolation: str
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    channels: Literal["RGB", "BGR"] = "RGB"
    overrides: dict[str, str] = {}


class Images(_Part, frozen=True, kw_only=True):
    """The labelled images. labels: where their labels came from. list_sha256: of the labelled list.

    files_sha256: of list and image bytes, where the benchmark locks it.
    """

    labels: str
    images: Count
    list_sha256: Sha256
    files_sha256: Sha256 | None = None


class Failure(_Part, frozen=True, kw_only=True):
    """A checkpoint that could not be evaluated, and why: one line."""

    id: str
    error: str


class Unreadable(_Part, frozen=True, kw_only=True):
    """An image that can't be read, which counts as wrong, and why."""

    file: str
    reason: str


class Sample(_Part, frozen=True, kw_only=True):
    """How a sample was drawn, and what it can't see. Counts of heads are then of the sample."""

    images: Count
    of: Count
    seed: int
    kind: str
    cannot_detect: tuple[str, ...] = ()


class Report(_Part, frozen=True, kw_only=True, omit_defaults=False):
    """All rows of one evaluation with its provenance.

    benchmark: None for checkpoints without a row. rules: word -> its rule, for the words in use.
    run: device, processes, batch size, precision and the like. versions: of packages that the
    numbers depend on. created: ISO 8601, UTC.
    """

    format: Literal[2] = FORMAT
    benchmark: str | None
    rows: tuple[Row, ...]
    rules: dict[str, str]
    protocol: Pixels
    data: Images
    run: dict[str, Any]
    versions: dict[str, str]
    created: str
    failures: tuple[Failure, ...] = ()
    unreadable: tuple[Unreadable, ...] = ()
    allow_missing: bool = False
    sample: Sample | None = None
    seeds: tuple[Seeds, ...] = ()

    def of_weights(self, *hashes: str) -> list[Row]:
        """The rows of the weights with one of these sha256, in the report's order."""
        return [row for row in self.rows if row.weights.sha256 in hashes]

    def to_json(self) -> str:
        """The text of report.json."""
        return msgspec.json.format(msgspec.json.encode(self), indent=2).decode() + "\n"


def parse_report(content: Any, origin: str) -> Report:
    """A report from plain data. origin: for messages.

    Raises ManifestError naming the field, expected and got, if it isn't a report of this format.
    """
    if isinstance(content, Mapping) and content.get("format") == 1:
        raise ManifestError(
            f"{origin}: expected a report of format {FORMAT}, got one of format 1, which had a "
            "verdict for each head. Evaluate again, from the kept predictions: mixzoo eval"
        )
    if not isinstance(content, Mapping) or "rows" not in content:
        raise ManifestError(
            f"{origin}: expected a report as `mixzoo eval --out report.json` writes it, got other "
            "JSON. Name such a report."
        )
    return convert(content, Report, origin)


def read_report(path: Path) -> Report:
    """A report from the file that `mixzoo eval --out` wrote.

    Raises UsageError if it can't be read as JSON, ManifestError if it isn't a report.
    """
    require_no_pipe(path)
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ValueError(f"larger than {MAX_BYTES >> 20} MiB")
        content = msgspec.json.decode(path.read_bytes())
    except (OSError, ValueError, RecursionError, msgspec.DecodeError) as error:
        raise UsageError(
            f"{path}: expected a report as `mixzoo eval --out report.json` writes it, but it "
            f"cannot be read ({getattr(error, 'strerror', None) or error}). Name such a report."
        ) from None
    return parse_report(content, str(path))


def report_schema() -> dict[str, Any]:
    """The format as JSON Schema (draft 2020-12), as docs/report.schema.json holds it."""
    head = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"Report of `mixzoo eval --out`, format {FORMAT}",
    }
    return head | msgspec.json.schema(Report)
