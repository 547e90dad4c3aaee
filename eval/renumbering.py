"""Were the classes numbered in another order? Asked of the confusion of predictions with labels.

A network that knows its classes and is counted under a wrong numbering is right almost never, but
wrong in a regular way: what it calls one class is always another one. Known orders are tested as
they stand. An unknown one is fitted on one half of the images and tested on the other, so that with
three images of a class nothing is found that isn't there.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..zoo.data import numberings
from .predictions import UNREADABLE, Ints, Mask, Predictions
from .statistics import mcnemar

SEED = 0x5EED  # of the halves: not one that a list is likely to have been shuffled by
UNKNOWN_ORDER = "an order that isn't known here"
_KEYS = {
    "off by one": "labels-off-by-one",
    "first-appearance": "labels-first-appearance",
    "gaps closed": "labels-permuted",
}


@dataclass(frozen=True)
class Renumbered:
    """What another numbering makes of predictions. hits: of `images`; before: as they were counted.

    p: that so many more are right by chance, not corrected. expected: hits of a network with the
    published accuracy under a fit of this kind.
    """

    key: str
    order: str
    hits: int
    before: int
    images: int
    p: float
    expected: float

    @property
    def top1(self) -> float:
        """Accuracy after renumbering, percent."""
        return 100 * self.hits / self.images


class Confusion:
    """One head's predictions beside the labels, of the images that could be read.

    files: of the whole list, in its order. top1: published, percent, for what is expected.
    """

    def __init__(self, known: Predictions, files: tuple[str, ...], top1: float) -> None:
        read = np.flatnonzero(known.state != UNREADABLE)
        self.labels, self.said = known.labels[read], known.top[read, 0].astype(np.int64)
        self.files, self.share = [files[i] for i in read], top1 / 100
        self.classes = int(max(self.labels.max(), self.said.max())) + 1
        # in a list that is sorted by class, every order is one of first appearance
        self.sorted = int((np.diff(self.labels) != 0).sum()) < len(np.unique(self.labels))
        rng = np.random.default_rng(SEED)
        self.half = rng.permutation(len(read)) < len(read) // 2
        lucky = rng.random(len(read)) < self.share
        self.ideal = np.where(lucky, self.labels, rng.integers(0, self.classes, len(read)))

    def named(self) -> list[Renumbered]:
        """All known orders, in both directions: labels in them, or the network's own classes."""
        found = []
        for order, numbers in numberings(self.files, self.labels.tolist()).items():
            there = np.full((2, self.classes), -1)
            for was, number in numbers.items():
                if 0 <= was < self.classes and 0 <= number < self.classes:
                    there[0, was], there[1, number] = number, was
            key = next((key for word, key in _KEYS.items() if order.startswith(word)), None)
            if key == "labels-first-appearance" and self.sorted:
                continue
            for numbering, whose in zip(there, ("labels", "network's classes"), strict=True):
                hits = numbering[self.said] == self.labels
                told = f"the {whose} are numbered so: {order}"
                all_images, expected = np.ones_like(hits), self.share * len(hits)
                found.append(
                    self._tested(key or "labels-as-strings", told, hits, all_images, expected)
                )
        return found

    def fitted(self) -> Renumbered:
        """The order that fits one half of the images best, tested on the other half."""
        numbering = _one_to_one(self.said[self.half], self.labels[self.half], self.classes)
        ideal = _one_to_one(self.ideal[self.half], self.labels[self.half], self.classes)
        expected = float((ideal[self.ideal] == self.labels)[~self.half].sum())
        firsts = list(dict.fromkeys(self.labels.tolist()))
        by_appearance = firsts == list(range(len(firsts))) and not self.sorted
        return self._tested(
            "labels-first-appearance" if by_appearance else "labels-permuted",
            "the labels count 0, 1, 2, ... as the list first names them"
            if by_appearance
            else UNKNOWN_ORDER,
            numbering[self.said] == self.labels,
            ~self.half,
            expected,
        )

    @cached_property
    def told(self) -> tuple[int, int, float]:
        """What the best class for each prediction, fitted on one half, gives on the other.

        Hits, images, and the share that the commonest class would give. Of any other classes a
        network still tells these apart, though no renumbering makes it right.
        """
        pairs, counts = np.unique(
            self.said[self.half] * self.classes + self.labels[self.half], return_counts=True
        )
        best = np.full(self.classes, -1)
        ordered = pairs[np.argsort(counts, kind="stable")]
        best[ordered // self.classes] = ordered % self.classes  # of equals the last one stays
        labels = self.labels[~self.half]
        hits = best[self.said[~self.half]] == labels
        return int(hits.sum()), len(hits), float(np.bincount(labels).max() / len(labels))

    def _tested(self, key: str, order: str, hits: Mask, where: Mask, expected: float) -> Renumbered:
        before, after = (self.said == self.labels)[where], hits[where]
        gained, lost = int((after & ~before).sum()), int((before & ~after).sum())
        p = mcnemar(gained, lost) if gained > lost else 1.0
        count = int(after.sum()), int(before.sum()), len(after)
        return Renumbered(key, order, *count, p, expected)


def _one_to_one(said: Ints, labels: Ints, classes: int) -> Ints:
    """The commonest pairs of a predicted class and a label, each taken once; -1 without a pair."""
    pairs, counts = np.unique(said * classes + labels, return_counts=True)
    numbering, taken = np.full(classes, -1), np.zeros(classes, bool)
    for pair in pairs[np.argsort(-counts, kind="stable")]:
        one, other = divmod(int(pair), classes)
        if numbering[one] < 0 and not taken[other]:
            numbering[one], taken[other] = other, True
    return numbering
