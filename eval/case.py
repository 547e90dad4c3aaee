"""What is known of a number that may be off, and the causes that are known: the data alone."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from ..zoo.catalog import Benchmark
from ..zoo.checkpoint.facts import TrainingFacts
from ..zoo.looks import CONSISTENT, NO_NUMBER, NOT_ITS_LOG, REPRODUCED
from ..zoo.looks import command as command_line
from ..zoo.manifest import Dataset, Protocol, Row
from .judge import Conditions, Logged, Verdict, judge, what_log_says
from .logs import LogAudit
from .predictions import Counts, Ints, Predictions
from .store import Stored

FACT, WORD, MOST = 9.0, 6.0, 12.0  # decimal digits of evidence: a fact, the file's word, a test

KEYS = {
    "labels-as-strings": "the classes were numbered in the order of folders sorted as text",
    "labels-first-appearance": "the classes were numbered as they first appear in a list",
    "labels-off-by-one": "the classes were counted from 1, or from -1",
    "labels-permuted": "the classes were numbered in another order",
    "other-list": "the images are those of another list: another split, year or data set",
    "bgr": "the colours come as blue, green, red",
    "no-normalisation": "the pixels aren't normalised",
    "other-normalisation": "the pixels are normalised with another mean and deviation",
    "crop": "another crop is cut out",
    "resize": "the images are resized to another size",
    "interpolation": "the images are resized by another interpolation",
    "arithmetic": "single predictions are those of fast arithmetic, not fp32's",
    "other-row": "the file, or the number, is another row's: another method's or network's",
    "other-epoch": "the file is of another epoch than the number",
    "averaged": "an averaged copy of the weights was published, and the raw ones evaluated, or so",
    "half-weights": "the weights were stored with 16 bits",
    "batch-norm-missing": "the statistics of the batch norms are missing",
    "batch-norm-untrained": "the statistics of the batch norms are those of an untrained network",
    "keys-left-out": "entries of the network are missing",
    "other-head": "the head is that of another data set",
    "leak": "the network was trained on images that it is evaluated on",
    "images-missing": "images of the validation set are missing, or can't be read",
    "padded": "processes repeated images to share them out evenly, and counted these too",
    "other-statistic": "the table has another statistic than it names: the best epoch, another head",
    "rounding": "the number was cut off, or rounded twice or to fewer digits",
}
PIXEL_KEYS = tuple(KEYS)[5:11]


@dataclass(frozen=True, eq=False)
class Trial:
    """Predictions of some images by pixels that a cause would explain. key: of the cause.

    key "": the benchmark's own pixels, predicted again. indices: (n,) positions in the list. heads:
    head -> predictions of these n images.
    """

    key: str
    protocol: Protocol
    indices: Ints
    heads: Mapping[str, Predictions]


@dataclass(frozen=True, kw_only=True)
class Case:
    """What is known of a number.

    stored: None where the file can't be loaded. row: with the published number. audit: of its own
    log. facts: what the checkpoint says of itself. traits: `zoo.checkpoint.load.traits`. logs,
    kept: of the benchmark's other rows, by id. owner: the other row whose file it is by its hash.
    training: the images that the training list has too, None without one. datasets: whose lists are
    known by name. data, ref: for printed commands.
    """

    stored: Stored | None
    benchmark: Benchmark | None = None
    row: Row | None = None
    audit: LogAudit | None = None
    facts: TrainingFacts = field(default_factory=TrainingFacts)
    traits: Mapping[str, str] = field(default_factory=dict)
    logs: Mapping[str, LogAudit] = field(default_factory=dict)
    kept: Mapping[str, Stored] = field(default_factory=dict)
    owner: str | None = None
    training: Collection[str] | None = None
    trials: Sequence[Trial] = ()
    datasets: Sequence[Dataset] = ()
    ref: str | None = None
    data: str = "DIR"

    @property
    def reported(self) -> float | None:
        """The published top-1, percent."""
        return self.row.reported_top1 if self.row else None

    @property
    def decimals(self) -> int:
        """Of the published number."""
        return self.benchmark.manifest.metric.decimals if self.benchmark else 2

    @cached_property
    def counts(self) -> dict[str, Counts]:
        """Hits of every head, that of inference first."""
        if self.stored is None:
            return {}
        heads = self.stored.about.get("weights", {}).get("heads") or list(self.stored.heads)
        return {head: self.stored.heads[head].counts() for head in heads}

    @cached_property
    def conditions(self) -> Conditions | None:
        """Under what the predictions were made."""
        from .report import conditions_of

        return conditions_of(self.stored) if self.stored else None

    @cached_property
    def logged(self) -> Logged | None:
        """What the row's log says of this checkpoint."""
        epoch = self.stored.about.get("epoch") if self.stored else self.facts.epoch
        return what_log_says(self.audit, epoch, self.reported) if self.audit else None

    @cached_property
    def verdict(self) -> Verdict | None:
        """Of the number, as if it were comparable; None without predictions."""
        return self._judged(None)

    @property
    def told_verdict(self) -> Verdict | None:
        """Of the number, as it was measured."""
        other = self.conditions and self.benchmark and self.conditions.differ_from(self.benchmark)
        return self._judged(other)

    def _judged(self, not_comparable: str | None) -> Verdict | None:
        if not self.counts or self.benchmark is None:
            return None
        metric, other = self.benchmark.manifest.metric, not_comparable
        return judge(self.counts, self.reported, metric, not_comparable=other, logged=self.logged)

    @property
    def is_off(self) -> bool:
        """Whether there is anything to explain."""
        verdict = self.verdict
        if verdict is None or verdict.word == NO_NUMBER:
            return False
        return verdict.word not in (REPRODUCED, CONSISTENT) or verdict.log == NOT_ITS_LOG

    @property
    def head(self) -> str:
        """The head that carries the verdict."""
        return self.verdict.head if self.verdict else next(iter(self.counts))

    @property
    def known(self) -> Predictions:
        """That head's predictions."""
        assert self.stored is not None
        return self.stored.heads[self.head]

    @property
    def gap(self) -> float:
        """Recomputed minus published, points; 0 where either isn't known."""
        counts = self.counts.get(self.head) if self.counts else None
        return counts.top1 - self.reported if counts and self.reported is not None else 0.0

    def command(self, *words: object) -> str:
        """A command to copy, which knows the benchmark."""
        return self.benchmark.command(*words) if self.benchmark else command_line(*words)

    @property
    def images(self) -> list[str]:
        """What names the images in a command: those that were evaluated, where that is known."""
        if self.benchmark and self.data == "DIR":
            return self.benchmark.images
        return ["--data", self.data]

    @property
    def named(self) -> tuple[str, ...]:
        """What names this file in a command, and its row."""
        name = self.ref or (self.row.id if self.row else "FILE")
        return (name, "--row", self.row.id) if self.row and name != self.row.id else (name,)

    def evaluation(self, *words: object) -> str:
        """The command that evaluates this file again, with more words."""
        return self.command("eval", *self.named, *self.images, *words)

    def as_row(self, row_id: str) -> str:
        """The command that evaluates this file as another row's; shows that row without a path."""
        if self.ref is None or (self.row and self.ref == self.row.id):
            return self.command("zoo", "show", row_id)
        return self.command("eval", self.ref, "--row", row_id, *self.images)


@dataclass(frozen=True)
class Found:
    """A cause with its evidence. digits: decimal digits of evidence. fit: of the number's place."""

    key: str
    sentence: str
    evidence: dict[str, Any]
    command: str | None
    p: float = 0.0
    digits: float = FACT
    fit: float = 0.0

    @property
    def score(self) -> float:
        """Digits by which it is likelier than an unrelated number."""
        return min(self.digits, MOST) + self.fit
