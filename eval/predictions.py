"""What a classification head says of every image: the one thing that all later questions need.

Accuracies, intervals, paired tests, calibration, breakdowns and samples are computed from these
arrays, without the model. Plain numpy: reading them needs no torch.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Literal

import numpy as np
import numpy.typing as npt

Precision = Literal["fp32", "guarded", "fast"]
"""How predictions are computed; guarded ones were those of fp32 in every
network tried."""

TOP = 5
PENDING, FAST, EXACT, UNREADABLE = range(4)
"""State of an image: not predicted yet; by fast arithmetic, with a margin above the guard's bound
(or unguarded); in IEEE fp32; the file can't be decoded, which counts as wrong."""

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Counts:
    """How many of `total` images have their label first (`correct`), or among five (`correct5`)."""

    correct: int
    correct5: int
    total: int

    @property
    def top1(self) -> float:
        """Top-1 accuracy in percent."""
        return 100 * self.correct / self.total

    @property
    def top5(self) -> float:
        """Top-5 accuracy in percent."""
        return 100 * self.correct5 / self.total


@dataclass(frozen=True)
class Rows:
    """Predictions of one head for some images. The columns are those of `Predictions`."""

    indices: Ints
    """(n,) positions in the labelled list."""
    top: npt.NDArray[np.int32]
    margin: Floats
    margin5: Floats
    confidence: Floats
    exact: Mask
    """(n,) whether computed in fp32."""
    changed: Mask

    def at(self, mask: Mask) -> "Rows":
        """Those of some images. mask: (n,)."""
        return Rows(**{f.name: getattr(self, f.name)[mask] for f in fields(self)})

    @staticmethod
    def joined(parts: Sequence["Rows"]) -> "Rows":
        """The rows of all parts, one after another."""
        names = [f.name for f in fields(Rows)]
        return Rows(**{n: np.concatenate([getattr(part, n) for part in parts]) for n in names})


@dataclass(frozen=True)
class Predictions:
    """Predictions of one head for all N images of a labelled list, in its order."""

    labels: Ints
    """(N,) the right classes."""
    top: npt.NDArray[np.int32]
    """(N, 5) classes by falling logit; -1 beyond the head's classes and without a prediction."""
    margin: Floats
    """(N,) best logit minus the second best, >= 0. Like the other floats nan without prediction."""
    margin5: Floats
    """(N,) how far the label's logit is from leaving or entering the first five, >= 0: its distance
    to the sixth best if it is among the five, else to the fifth. inf for at most 5 classes."""
    confidence: Floats
    """(N,) softmax probability of the best class, in (0, 1]."""
    state: npt.NDArray[np.uint8]
    """(N,) PENDING, FAST, EXACT or UNREADABLE."""
    changed: Mask
    """(N,) whether fast arithmetic was tried too, and would have predicted otherwise."""

    @classmethod
    def empty(cls, labels: npt.ArrayLike) -> "Predictions":
        """Nothing predicted yet. labels: (N,) integers."""
        known = np.asarray(labels, np.int64)
        n = len(known)
        nan = np.full(n, np.nan, np.float32)
        return cls(
            labels=known,
            top=np.full((n, TOP), -1, np.int32),
            margin=nan.copy(),
            margin5=nan.copy(),
            confidence=nan,
            state=np.zeros(n, np.uint8),
            changed=np.zeros(n, bool),
        )

    def __len__(self) -> int:
        return len(self.labels)

    def put(self, rows: Rows) -> None:
        """Write rows in place; what was known of these images is replaced."""
        at = rows.indices
        self.top[at] = rows.top
        self.margin[at] = rows.margin
        self.margin5[at] = rows.margin5
        self.confidence[at] = rows.confidence
        self.state[at] = np.where(rows.exact, EXACT, FAST)
        self.changed[at] = rows.changed

    def set(self, at: npt.ArrayLike, others: "Predictions") -> None:
        """Write the predictions of n images in place, at these positions. at: (n,)."""
        for name in COLUMNS:
            getattr(self, name)[at] = getattr(others, name)

    def put_unreadable(self, indices: npt.ArrayLike) -> None:
        """Note in place that these images can't be decoded."""
        self._clear(np.asarray(indices, np.int64), UNREADABLE)

    def at(self, order: npt.ArrayLike) -> "Predictions":
        """A copy of some images' predictions, in an order. order: (n,) positions."""
        return Predictions(**{name: getattr(self, name)[order] for name in COLUMNS})

    def without(self, indices: npt.ArrayLike) -> "Predictions":
        """A copy in which these images are pending."""
        copy = self.at(np.arange(len(self)))
        copy._clear(np.asarray(indices, np.int64), PENDING)
        return copy

    def _clear(self, at: Ints, state: int) -> None:
        self.top[at] = -1
        for column in (self.margin, self.margin5, self.confidence):
            column[at] = np.nan
        self.state[at] = state
        self.changed[at] = False

    def stale(self, bound: float) -> Ints:
        """Images (m,) that fast arithmetic settled, with a margin that this bound doubts."""
        least = np.minimum(self.margin, self.margin5)
        return np.flatnonzero((self.state == FAST) & ~(least > bound))

    @property
    def complete(self) -> bool:
        """Whether no image is pending."""
        return not bool((self.state == PENDING).any())

    @property
    def correct(self) -> Mask:
        """(N,) whether the label is the best class; False for unreadable and pending images."""
        return self.top[:, 0] == self.labels

    @property
    def correct5(self) -> Mask:
        """(N,) whether the label is among the best five."""
        return (self.top == self.labels[:, None]).any(axis=1)

    def counts(self) -> Counts:
        """Hits among all N images."""
        return Counts(int(self.correct.sum()), int(self.correct5.sum()), len(self))


COLUMNS = tuple(column.name for column in fields(Predictions))
