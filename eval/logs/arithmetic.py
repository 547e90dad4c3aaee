"""The k/N test: an accuracy on N images is 100 k / N for a whole number k, to the log's digits.

The reference's logs round to 5 decimals (JSON) or 4 (text), and the genuine ones need half a unit
of the last decimal and no more. Other writers multiply in single precision, which moves a value by
up to 2**-23 of itself, so that much more is allowed: no honest log is ever flagged. With N = 24,426
multiples are 0.0041 points apart and one random value near 65% still passes with a chance of 0.6%
(3% in a text log). Who forges in whole images passes always.

A validation that several processes share out evenly repeats images until every process has as many.
The reference collects the predictions and drops the repeated ones, so its logs show N itself; a
tool that counts them shows a larger number, of which N padded to a multiple is the usual one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property

import numpy as np

from .reading import TrainingLog

Percents = np.ndarray | np.floating

SINGLE_PRECISION = 2.0**-23  # relative: two roundings to float32
SEARCHED = 100_000  # numbers of images that are tried, at least
MOST_SEARCHED = 1_000_000
MOSTLY = 0.8  # share of values that must fit for the others to be called edited
NEARLY = 0.9  # of the values that the best number of images gives
BY_CHANCE = 0.01  # numbers of images expected to fit by accident, below which a fit is a finding

WHOLE = "whole numbers of images"
EDITED = "edited values"
OTHER_IMAGES = "other number of images"
IMPOSSIBLE = "no number of images"
SILENT = "says nothing"


@dataclass(frozen=True)
class Reading:
    """One accuracy as it is logged. name: `head0_top1`. value: percent."""

    epoch: int
    name: str
    value: Decimal
    line: int
    file: str

    def __str__(self) -> str:
        return f"{self.value} ({self.name}, epoch {self.epoch}, line {self.line})"


@dataclass(frozen=True)
class CountTest:
    """What the k/N test says about a log.

    word: WHOLE; EDITED: all but a few values are; OTHER_IMAGES: not of the expected number, but of
    `images` (None: too few values to say which); IMPOSSIBLE: no number of images gives them;
    SILENT: rounded too coarsely, or too few to test. expected: the images that there should be, if
    known. images: how many the values come from.
    tested: number of values. decimals: to which they are rounded. misfits: values that `images`
    (or else `expected`) can't give. contradictions: epochs whose top-5 is below the top-1.
    chance: with which a random value would pass.
    """

    word: str
    expected: int | None
    images: int | None
    tested: int
    decimals: int
    misfits: tuple[Reading, ...]
    contradictions: tuple[Reading, ...]
    chance: float

    @property
    def is_possible(self) -> bool:
        """Whether an honest evaluation can have written the log."""
        return self.word not in (EDITED, IMPOSSIBLE) and not self.contradictions

    @property
    def problem(self) -> str | None:
        """Why the log can vouch for nothing, None if it can."""
        if not self.is_possible:
            return "fails its own audit (see mixzoo logs)"
        return "is of another number of images" if self.word == OTHER_IMAGES else None


def audit_arithmetic(log: TrainingLog, expected: int | None) -> CountTest:
    """Test every accuracy of a log, those of replaced epochs included.

    expected: validation images, None if not known; then the number that fits is looked for.
    """
    readings = [
        Reading(v.epoch, name, value, v.line, v.file)
        for v in (*log.validations, *log.replaced)
        for name, value in v.accuracies.items()
    ]
    values = np.array([float(reading.value) for reading in readings])
    written = max(max(0, -int(r.value.normalize().as_tuple().exponent)) for r in readings)
    test = _Test(values, max(written, log.decimals), expected)
    word, images = test.finding()
    if word != WHOLE and written < log.decimals:  # all values may have been rounded once more
        coarse = _Test(values, written, expected)
        if (coarsely := coarse.finding())[0] in (WHOLE, SILENT):
            test, (word, images) = coarse, coarsely
    about, decimals = images or expected, test.decimals
    bad = ~fits(values, about, decimals) if about else np.zeros(len(values), dtype=bool)
    return CountTest(
        word=word,
        expected=expected,
        images=images,
        tested=len(readings),
        decimals=decimals,
        misfits=tuple(readings[place] for place in np.flatnonzero(bad)),
        contradictions=tuple(_contradictions(readings)),
        chance=float(np.mean(chance(values, about, decimals))) if about else 1.0,
    )


def tolerance(values: Percents, decimals: int) -> Percents:
    """How far an honest value may lie from 100 k / N, in points.

    values: float64, percent, any shape. decimals: to which they are rounded. Returns the same
    shape.
    """
    return 0.5 * 10.0**-decimals + SINGLE_PRECISION * values + 1e-12


def fits(values: Percents, images: int | np.ndarray, decimals: int) -> np.ndarray:
    """Which values are 100 k / images for a whole k between 0 and images.

    values: float64, percent. images: a number, or an array that broadcasts with values.
    Returns bool, in the shape of the two broadcast together.
    """
    correct = np.rint(values * images / 100)
    near = np.abs(values - 100 * correct / images) <= tolerance(np.abs(values), decimals)
    return near & (correct >= 0) & (correct <= images)


def chance(values: Percents, images: int | np.ndarray, decimals: int) -> np.ndarray:
    """With which a value, put down at random near each of these, would pass `fits`."""
    return np.minimum(1.0, 2 * tolerance(values, decimals) * images / 100)


def padding(images: int, padded: int) -> tuple[int, ...]:
    """The numbers, up to 4,096, whose next multiple after `images` is `padded`."""
    if padded <= images:
        return ()
    return tuple(m for m in range(2, 4097) if -(-images // m) * m == padded)


class _Test:
    """The test of values, rounded to `decimals`, that `expected` images should have given."""

    def __init__(self, values: np.ndarray, decimals: int, expected: int | None) -> None:
        self.values, self.decimals, self.expected = values, decimals, expected
        self.distinct = np.unique(values)
        self.limit = max(SEARCHED, min(2 * (expected or 0), MOST_SEARCHED))

    def finding(self) -> tuple[str, int | None]:
        """The best explanation in a word, and the number of images if it has one.

        All values come from `expected` images, or nearly all of them do; else another number.
        """
        if self.expected is None:
            return self._other()
        if np.median(chance(self.values, self.expected, self.decimals)) >= 1:
            return SILENT, None
        if fits(self.values, self.expected, self.decimals).all():
            return WHOLE, self.expected
        if self._speaks(self.expected, np.array([self.expected])):
            return EDITED, self.expected
        return self._other()

    def _other(self) -> tuple[str, int | None]:
        """What another number of images explains."""
        tried = np.arange(1, self.limit + 1)
        if len(self._fitting):
            all_right, unsure = (OTHER_IMAGES,) * 2 if self.expected else (WHOLE, SILENT)
            smallest = int(self._fitting[0])
            return (all_right, smallest) if self._speaks(smallest, tried) else (unsure, None)
        favourite = self._favourite(tried)
        return (EDITED, favourite) if self._speaks(favourite, tried) else (IMPOSSIBLE, None)

    @cached_property
    def _fitting(self) -> np.ndarray:
        """All numbers of images up to the limit that give every value, ascending: a sieve."""
        alive = np.arange(1, self.limit + 1)
        for value in self.distinct:
            alive = alive[fits(value, alive, self.decimals)]
        return alive

    def _favourite(self, images: np.ndarray) -> int:
        """The smallest number that gives nearly as many of the values as any does.

        Its multiples give them too, and by accident some of the others.
        """
        sample = self.distinct[:: 1 + len(self.distinct) // 200]
        given = np.zeros(len(images))
        for value in sample:
            given += fits(value, images, self.decimals)
        return int(images[given >= NEARLY * given.max()][0])

    def _speaks(self, images: int, tried: np.ndarray) -> bool:
        """Whether `images` gives so many values as hardly one of those tried would by accident."""
        from scipy.stats import binom

        fitting, total = int(fits(self.distinct, images, self.decimals).sum()), len(self.distinct)
        if fitting < MOSTLY * total:
            return False
        accident = chance(np.median(self.distinct), tried, self.decimals)
        return float(binom.sf(fitting - 1, total, accident).sum()) < BY_CHANCE


def _contradictions(readings: Sequence[Reading]) -> list[Reading]:
    """Top-5 values below the top-1 of the same line."""
    top1 = {
        (r.file, r.line, r.name.removesuffix("_top1")): r.value
        for r in readings
        if r.name.endswith("_top1")
    }
    return [
        r
        for r in readings
        if r.name.endswith("_top5") and r.value < top1.get((r.file, r.line, r.name[:-5]), 0)
    ]
