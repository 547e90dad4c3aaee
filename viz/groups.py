"""Checkpoints' accuracies by group of classes: by supercategory, by number of training images."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from ..eval.breakdown import SHOTS as SHOT_NAMES
from ..eval.breakdown import Group, Share, break_down, shots
from ..eval.predictions import Predictions
from ..zoo.errors import UsageError
from .report_data import ReportLine, StoredReport

SUPERCATEGORY, SHOTS = "supercategory", "shots"


@dataclass(frozen=True)
class CountBin(Share):
    """The share of the images of the classes with `low` to `high` training images each."""

    low: int
    high: int
    classes: int
    correct: int
    total: int


@dataclass(frozen=True)
class Grouped:
    """A checkpoint's accuracy on all images and by group.

    groups: `supercategory` or `shots` -> groups, in the report's order. bins: by training images
    of the class, from `count_bins`; empty where they aren't known.
    """

    name: str
    whole: Group
    groups: Mapping[str, Sequence[Group]] = field(default_factory=dict)
    bins: tuple[CountBin, ...] = ()


@dataclass(frozen=True)
class Frequencies:
    """Accuracy by how often a class was seen in training: many-, medium-, few-shot, and finer."""

    shots: tuple[Group, ...]
    bins: tuple[CountBin, ...]


def grouped(
    reports: Sequence[StoredReport],
    frequencies: Callable[[StoredReport, ReportLine], Frequencies] | None = None,
) -> list[Grouped]:
    """The heads that inference uses, of all reports, as far as they are broken down.

    A checkpoint in several reports is told apart by when it was evaluated. frequencies: makes what
    the reports don't hold, from predictions; None leaves it out.
    Raises UsageError if none has groups.
    """
    lines = [(report, line) for report in reports for line in report.default_lines()]
    names = [line.id for _, line in lines]
    found: list[Grouped] = []
    for report, line in lines:
        name = line.id if names.count(line.id) == 1 else f"{line.id} ({report.created})"
        groups = {
            key: tuple(Group(one.name, one.correct, one.total) for one in many)
            for key, many in line.breakdown.items()
        }
        extra = frequencies(report, line) if frequencies else Frequencies((), ())
        groups |= {SHOTS: extra.shots} if extra.shots else {}
        if groups:
            whole = Group("all images", line.correct, line.total)
            found.append(Grouped(name, whole, groups, extra.bins))
    if not found:
        raise UsageError(
            "Expected reports with accuracies by group, found none: neither the images' folders nor "
            "the annotations beside them told supercategories or training images. Evaluate with "
            "--data naming the folder that mixzoo data prepare filled."
        )
    return found


def count_frequencies(predictions: Predictions, training_images: Mapping[int, int]) -> Frequencies:
    """Accuracy by training images of the class, coarse and fine.

    training_images: of each class, as `LabelledImages.class_counts` of the training annotations
    gives them. Raises DataError if a label's class has none.
    """
    names = shots(predictions.labels.tolist(), training_images)
    return Frequencies(
        break_down(predictions, names, SHOT_NAMES), count_bins(predictions, training_images)
    )


def count_bins(
    predictions: Predictions, training_images: Mapping[int, int]
) -> tuple[CountBin, ...]:
    """Accuracy of the classes with 1, 2 to 3, 4 to 7, 8 to 15 ... training images.

    training_images: of each class among the labels, one or more.
    """
    classes, which = np.unique(predictions.labels, return_inverse=True)
    # Of a whole number, bit_length is exact, which the logarithm isn't.
    powers = np.array([training_images[int(label)].bit_length() - 1 for label in classes])
    return tuple(
        CountBin(
            low=2**power,
            high=2 ** (power + 1) - 1,
            classes=int((powers == power).sum()),
            correct=int(predictions.correct[powers[which] == power].sum()),
            total=int((powers[which] == power).sum()),
        )
        for power in np.unique(powers).tolist()
    )


def groups_words(checkpoints: Sequence[Grouped]) -> str:
    """All accuracies in sentences, for readers who don't see the figure."""
    return " ".join(
        f"{one.name}: {one.whole.accuracy:.2f} percent of all images, "
        + ", ".join(f"{g.name} {g.accuracy:.2f}" for many in one.groups.values() for g in many)
        + "."
        for one in checkpoints
    )
