"""Where all are wrong: images that every row misses, and labels that the rows speak against.

A label is doubted by its odds: how much likelier is what the rows say of the image if it were of
another class? The chance of an answer is its share among the other images of the class, pooled over
the rows. So a confusion that the rows often make of a class speaks against no single label of it;
what they say of nearly none of the class does. Confident learning (cleanlab) compares the same
things, but needs the whole table of probabilities, of which predictions keep five classes.

A doubt is no proof. The labels that all rows learned from may be wrong alike, and a rare view of a
class looks like a wrong label.
"""

import csv
import io
import math
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np

from ..zoo.errors import UsageError
from ..zoo.looks import csv_cell
from ..zoo.report import Group
from .breakdown import break_down
from .compare import NamedPredictions, require_alike
from .predictions import UNREADABLE, Floats, Ints

ODDS = 10.0  # of another class, above which a label is doubted
PRIOR = 2.0  # images that each class's answers are smoothed by

CANDIDATE = "label in doubt"
MISSED = "missed by all"
OTHERS = "others"
SCOPE = (
    "A label in doubt is a candidate to look at, no proof that it is wrong: all rows may err "
    "alike. The accuracies without these images are no numbers to publish, since the rows "
    "themselves chose them."
)


class Doubt(msgspec.Struct, frozen=True, kw_only=True):
    """An image that all rows miss, or whose label they speak against.

    said: the other class that most rows say. votes: rows that say it, right: that say the label.
    confidence: mean probability of `said` over the rows that say it. odds: how much likelier what
    an average row says is if the class is `said`.
    """

    file: str
    label: int
    said: int
    votes: int
    right: int
    confidence: float
    odds: float
    missed: bool
    in_doubt: bool


class Doubts(msgspec.Struct, frozen=True, kw_only=True):
    """The images of a table that all rows miss or whose labels are in doubt, the likeliest first.

    images: of the list. unreadable: that at least one row couldn't read; nothing is said of them.
    accuracy: row -> its share of hits in each group of images.
    """

    rows: tuple[str, ...]
    images: int
    unreadable: int
    cut: float
    doubts: tuple[Doubt, ...]
    accuracy: dict[str, tuple[Group, ...]]
    scope: str = SCOPE

    @property
    def missed(self) -> int:
        """Images that every row misses."""
        return sum(one.missed for one in self.doubts)

    @property
    def in_doubt(self) -> int:
        """Images whose label is in doubt."""
        return sum(one.in_doubt for one in self.doubts)


def find_doubts(rows: Sequence[NamedPredictions], cut: float = ODDS) -> Doubts:
    """Compare every image's label with what all rows say of it. cut: odds above which it is
    doubted.

    Raises UsageError for fewer than two rows or odds below 1, DataError as `compare_rows` does.
    """
    if not (cut >= 1 and math.isfinite(cut)):
        raise UsageError(f"--odds {cut:g}: expected a number of 1 or more. Choose such a number.")
    require_alike(rows)
    labels = rows[0].predictions.labels
    top = np.stack([row.predictions.top[:, 0] for row in rows]).astype(np.int64)  # (M, N)
    confidence = np.stack([row.predictions.confidence for row in rows])  # (M, N)
    unread = np.any([row.predictions.state == UNREADABLE for row in rows], axis=0)
    said, odds = _odds(labels, top, confidence, ~unread)
    agree, right = top == said, top == labels  # (M, N)
    missed = ~unread & ~right.any(axis=0)
    doubted = ~unread & (odds >= cut)
    kinds = np.select([doubted, missed], [CANDIDATE, MISSED], OTHERS)
    chosen = np.flatnonzero(missed | doubted)
    order = chosen[np.argsort(-odds[chosen], kind="stable")]
    return Doubts(
        rows=tuple(row.name for row in rows),
        images=len(labels),
        unreadable=int(unread.sum()),
        cut=cut,
        doubts=tuple(
            Doubt(
                file=rows[0].files[i],
                label=int(labels[i]),
                said=int(said[i]),
                votes=int(agree[:, i].sum()),
                right=int(right[:, i].sum()),
                confidence=round(float(confidence[agree[:, i], i].mean()), 4),
                odds=float(f"{odds[i]:.4g}"),
                missed=bool(missed[i]),
                in_doubt=bool(doubted[i]),
            )
            for i in order.tolist()
        ),
        accuracy={row.name: _accuracies(row, kinds) for row in rows},
    )


def _odds(labels: Ints, top: Ints, confidence: Floats, read: Any) -> tuple[Ints, Floats]:
    """The class that most rows say but the label does not, and its odds; 0 where all say the label.

    labels: (N,). top: (M, N) classes, confidence: (M, N) their probabilities, read: (N,) bool.
    """
    rows, images = top.shape
    own = top == labels
    votes = np.stack([(top == answers).sum(axis=0) for answers in top])  # (M, N): that say the same
    best = np.argmax(np.where(own, -1.0, votes + np.nan_to_num(confidence)), axis=0)
    said = np.take_along_axis(top, best[None], axis=0)[0]

    span = int(top.max()) + 2
    keys = (labels * span + top)[:, read]
    known, counts = np.unique(keys, return_counts=True)
    classes, of_class = np.unique(labels[read], return_counts=True)
    hit = float(own[:, read].mean()) if read.any() else 0.0
    other = (1 - hit) / max(1, len(classes) - 1)

    def chance(of: Ints, without: Any) -> Any:
        """(M, N) of each answer if the class were `of`; without: whether the image itself is in it."""
        pairs: Ints = of * span + top
        at = np.searchsorted(known, pairs).clip(max=len(known) - 1)
        seen: Floats = np.where(known[at] == pairs, counts[at], 0) - votes * without
        where = np.searchsorted(classes, of).clip(max=len(classes) - 1)
        total: Ints = np.where(classes[where] == of, of_class[where], 0) - without
        prior: Floats = np.where(top == of, hit, other).clip(min=1e-6)
        return (seen / rows + PRIOR * prior) / (total + PRIOR)

    if not read.any():
        return said, np.zeros(images, np.float32)
    ratio = np.log(chance(said, 0)) - np.log(chance(labels, read.astype(np.int64)))
    return said, np.where(own.all(axis=0), 0.0, np.exp(ratio.mean(axis=0)))


def _accuracies(row: NamedPredictions, kinds: Any) -> tuple[Group, ...]:
    """A row's share of hits on all images, and without those in doubt, and those all miss, too."""
    known, groups = row.predictions, []
    for name, left_out in (
        ("all images", ()),
        ("without labels in doubt", (CANDIDATE,)),
        ("and without those missed by all", (CANDIDATE, MISSED)),
    ):
        at = np.flatnonzero(~np.isin(kinds, left_out))
        groups += break_down(known.at(at), [name] * len(at)) if len(at) else ()
    return tuple(groups)


COLUMNS = ("File", "Label", "Most say", "Votes", "Right", "Confidence", "Odds", "Is")


def cells(one: Doubt, rows: int) -> list[str]:
    """An image's cells under COLUMNS, as text. rows: how many voted."""
    words = [CANDIDATE] * one.in_doubt + [MISSED] * one.missed
    votes = f"{one.votes} of {rows}"
    numbers = [str(one.label), str(one.said), votes, str(one.right)]
    return [one.file, *numbers, f"{one.confidence:.2f}", f"{one.odds:.3g}", ", ".join(words)]


def sentences(found: Doubts) -> list[str]:
    """What was found, in words."""
    told = [
        f"{found.missed:,} of {found.images:,} images are missed by all {len(found.rows)} rows.",
        f"{found.in_doubt:,} labels are in doubt: on the average over the rows, what they say of "
        f"the image is {found.cut:g} times as likely or more of another class.",
        found.scope,
    ]
    if found.unreadable:
        told.append(f"{found.unreadable} images that can't be read are left out.")
    return told


ACCURACY = ("Row", "All images", "Without labels in doubt", "And without those missed by all")


def accuracy_cells(found: Doubts) -> list[list[str]]:
    """Each row's cells under ACCURACY: percent, and the images that they are of."""
    return [
        [name, *(f"{group.accuracy:.2f} of {group.total:,}" for group in groups)]
        + [""] * (len(ACCURACY) - 1 - len(groups))
        for name, groups in found.accuracy.items()
    ]


def to_csv(found: Doubts) -> str:
    """A line an image, with the fields of `Doubt`; text that a spreadsheet runs is defused."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(Doubt.__struct_fields__)
    for one in found.doubts:
        writer.writerow([csv_cell(value) for value in msgspec.structs.astuple(one)])
    return out.getvalue()
