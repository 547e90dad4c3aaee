"""The k/N test: an accuracy on N images is 100 k / N for a whole number k, to the log's digits.

The reference's logs round to 5 decimals (JSON) or 4 (text), and the genuine ones need half a unit
of the last decimal and no more. Other writers multiply in single precision, which moves a value by
up to 2**-23 of itself, so that much more is allowed. Lines are pasted from text logs, too: a value
is held to the decimals that it has, and four suffice. So no honest log is ever flagged. With N =
24,426 multiples are 0.0041 points apart and one random value near 65% still passes with a chance of
0.6% (3% if it has four decimals). Who forges in whole images passes always.

A validation that several processes share out evenly repeats images until every process has as many.
The reference collects the predictions and drops the repeated ones, so its logs show N itself; a
tool that counts them shows a larger number, of which N padded to a multiple is the usual one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from math import gcd
from typing import Any

import numpy as np

from .lines import DECIMALS
from .reading import TrainingLog

Percents = np.ndarray | np.floating
Decimals = int | np.ndarray

SINGLE_PRECISION = 2.0**-23  # relative: two roundings to float32
SEARCHED = 100_000  # numbers of images that are tried, at least
MOST_SEARCHED = 1_000_000  # validation sets are smaller
TELLING = 0.8  # with which a random value may pass for a number of images that is tried
GRID = 1000  # numbers of images that stand for all of them
SAMPLE = 100  # values that the number of images which gives most of them is looked for by
MOSTLY = 0.8  # share of values that must fit for the others to be called edited
NEARLY = 0.9  # of the values that the best number of images gives
DOUBT = 0.1  # so much likelier than by edits need values not be by another number of images
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
    known. images: how many the values come from. tested: number of values. decimals: to which they
    are rounded. coarser: those of them that are whole only to the fewer decimals which they have.
    misfits: values that `images` (or else `expected`) can't give. contradictions: epochs whose
    top-5 is below the top-1. chance: with which a random value would pass. searched: the largest
    number of images that was tried.
    """

    word: str
    expected: int | None
    images: int | None
    tested: int
    decimals: int
    coarser: tuple[Reading, ...]
    misfits: tuple[Reading, ...]
    contradictions: tuple[Reading, ...]
    chance: float
    searched: int

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
    written = np.array([max(0, -int(r.value.normalize().as_tuple().exponent)) for r in readings])
    most, least = int(written.max()), min(log.decimals, DECIMALS["text"])
    test, decimals = _Test(values, np.maximum(written, least), expected), max(most, log.decimals)
    word, images = test.finding()
    if word != WHOLE and most < least:  # all values may have been rounded once more
        coarse = _Test(values, np.full(len(values), most), expected)
        if (coarsely := coarse.finding())[0] in (WHOLE, SILENT):
            test, decimals, (word, images) = coarse, most, coarsely
    about = images or expected
    whole = fits(values, about, test.decimals) if about else np.ones(len(values), dtype=bool)
    coarser = whole & ~fits(values, about, decimals) if about else ~whole
    if coarser.any() and most < decimals:
        decimals, coarser = max(most, least), np.zeros_like(coarser)
    return CountTest(
        word=word,
        expected=expected,
        images=images,
        tested=len(readings),
        decimals=decimals,
        coarser=tuple(readings[place] for place in np.flatnonzero(coarser)),
        misfits=tuple(readings[place] for place in np.flatnonzero(~whole)),
        contradictions=tuple(_contradictions(readings)),
        chance=float(np.mean(chance(values, about, decimals))) if about else 1.0,
        searched=test.limit,
    )


def tolerance(values: Percents, decimals: Decimals) -> Percents:
    """How far an honest value may lie from 100 k / N, in points.

    values: float64, percent, any shape. decimals: to which they are rounded, of all or of each.
    Returns the same shape.
    """
    return 0.5 * 10.0**-decimals + SINGLE_PRECISION * values + 1e-12


def fits(values: Percents, images: int | np.ndarray, decimals: Decimals) -> np.ndarray:
    """Which values are 100 k / images for a whole k between 0 and images.

    values: float64, percent. images: a number, or an array that broadcasts with values.
    Returns bool, in the shape of the two broadcast together.
    """
    correct = np.rint(values * images / 100)
    near = np.abs(values - 100 * correct / images) <= tolerance(np.abs(values), decimals)
    return near & (correct >= 0) & (correct <= images)


def chance(values: Percents, images: int | np.ndarray, decimals: Decimals) -> np.ndarray:
    """With which a value, put down at random near each of these, would pass `fits`."""
    return np.minimum(1.0, 2 * tolerance(values, decimals) * images / 100)


def padding(images: int, padded: int) -> tuple[int, ...]:
    """The numbers, up to 4,096, whose next multiple after `images` is `padded`."""
    if padded <= images:
        return ()
    return tuple(m for m in range(2, 4097) if -(-images // m) * m == padded)


class _Test:
    """The test of values, each rounded to its `decimals`, that `expected` images should have given.

    limit: the largest number of images that is tried, beyond which nearly any value passes.
    """

    def __init__(self, values: np.ndarray, decimals: np.ndarray, expected: int | None) -> None:
        self.values, self.decimals, self.expected = values, decimals, expected
        self.distinct, places = np.unique(values, return_index=True)
        self.digits = decimals[places]
        self.slack = float(np.mean(tolerance(self.distinct, self.digits)))
        usual = float(np.median(tolerance(self.distinct, self.digits)))  # but for zeros at the end
        limit = max(SEARCHED, min(TELLING * 50 / usual, MOST_SEARCHED))
        self.limit = int(max(limit, min(2 * (expected or 0), MOST_SEARCHED)))

    def finding(self) -> tuple[str, int | None]:
        """The best explanation in a word, and the number of images if it has one.

        All values come from `expected` images, or nearly all of them do; else another number.
        """
        if (expected := self.expected) is not None:
            if np.median(chance(self.values, expected, self.decimals)) >= 1:
                return SILENT, None
            if fits(self.values, expected, self.decimals).all():
                return WHOLE, expected
            if self._is_edited(expected, 1):
                return EDITED, expected
        smallest = self._smallest
        favourite = self._favourite(smallest or self.limit)
        edited = favourite if favourite != smallest else None
        if edited and self._is_edited(edited, max(edited, SEARCHED)):
            return EDITED, edited
        if smallest is None:
            return IMPOSSIBLE, None
        whole, unsure = (OTHER_IMAGES,) * 2 if expected else (WHOLE, SILENT)
        return (
            (whole, smallest) if self._speaks(smallest, max(smallest, SEARCHED)) else (unsure, None)
        )

    @cached_property
    def _smallest(self) -> int | None:
        """The smallest number of images up to the limit that gives every value: a sieve."""
        for first, last in ((1, SEARCHED), (SEARCHED + 1, self.limit)):
            alive = np.arange(first, last + 1)
            for value, decimals in zip(self.distinct, self.digits, strict=True):
                alive = alive[fits(value, alive, decimals)]
            if len(alive):
                return int(alive[0])
        return None

    def _favourite(self, most: int) -> int | None:
        """The smallest number, up to `most`, that gives nearly as many values as any does.

        Its multiples give them too, and by accident some of the others. None if none gives many.
        """
        sample = slice(None, None, -(-len(self.distinct) // SAMPLE))
        values, digits = self.distinct[sample], self.digits[sample]
        alive, missed = np.arange(1, most + 1), np.zeros(most, dtype=int)
        for value, decimals in zip(values, digits, strict=True):
            missed += ~fits(value, alive, decimals)
            near = missed <= 2 * (1 - MOSTLY) * len(values)
            alive, missed = alive[near], missed[near]
        given = len(values) - missed
        return int(alive[given >= NEARLY * given.max()][0]) if len(alive) else None

    def _is_edited(self, images: int, tried: int) -> bool:
        """Whether `images` gives nearly all values, and no other number explains all of them
        better.

        Where all are whole numbers of m images, m and `images` have some values in common; a few
        edited values are by accident whole numbers of some multiple.
        """
        if not self._speaks(images, tried):
            return False
        if (other := self._smallest) is None:
            return True
        from scipy.stats import binom

        total, shared = len(self.distinct), gcd(other, images)
        if other * min(1.0, shared / images + self._accident(other)) ** total < BY_CHANCE:
            return False  # values in even steps: no accident makes all of them those of `other`
        misfits = total - int(fits(self.distinct, images, self.digits).sum())
        common = min(1.0, shared / other + self._accident(images))
        multiples = max(1.0, other / images)
        by_edits = multiples * self._accident(other) ** misfits
        return float(binom.pmf(total - misfits, total, common)) < DOUBT * by_edits

    def _speaks(self, images: int, tried: int) -> bool:
        """Whether `images` gives so many values as hardly one number tried would by accident.

        tried: all numbers up to this one; 1 for `images` alone.
        """
        from scipy.stats import binom

        fitting, total = int(fits(self.distinct, images, self.digits).sum()), len(self.distinct)
        if fitting < MOSTLY * total:
            return False
        numbers = np.linspace(1, tried, GRID) if tried > 1 else np.array([images])
        accidents = binom.sf(fitting - 1, total, self._accident(numbers))
        return tried * float(accidents.mean()) < BY_CHANCE

    def _accident(self, images: Any) -> Any:
        """With which a random value among these would pass; of a number, or of each in an array."""
        return np.minimum(1.0, 2 * self.slack * images / 100)


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
