"""Accuracy by group of images: by supercategory, by how many training images a class had."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from ..zoo.errors import DataError
from .predictions import Predictions
from .statistics import wilson_interval

MANY, MEDIUM, FEW = "many-shot", "medium-shot", "few-shot"
SHOTS = (MANY, MEDIUM, FEW)
SHOT_RULES = {
    MANY: "classes with more than 100 training images",
    MEDIUM: "classes with 20 to 100 training images",
    FEW: "classes with fewer than 20 training images",
}
"""Liu et al., 2019, arXiv:1904.05160."""


class Share:
    """`correct` of `total` images are right."""

    correct: int
    total: int

    @property
    def accuracy(self) -> float:
        """Top-1 in percent."""
        return 100 * self.correct / self.total

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson 95% interval in percent: wide where a group is small."""
        return wilson_interval(self.correct, self.total)


@dataclass(frozen=True)
class Group(Share):
    """The share of a group of images."""

    name: str
    correct: int
    total: int

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "name": self.name,
            "correct": self.correct,
            "total": self.total,
            "accuracy": self.accuracy,
            "interval95": list(self.interval),
        }


def break_down(
    predictions: Predictions, groups: Sequence[str], order: Iterable[str] = ()
) -> tuple[Group, ...]:
    """Count hits in each group that has images; the groups' counts sum to the whole.

    groups: (N,) the group of each image. order: names to list first, as they come (`SHOTS`); the
    others follow, the largest first.
    Raises ValueError if there is not one group name per image.
    """
    if len(groups) != len(predictions):
        raise ValueError(
            f"expected {len(predictions)} group names, one per image, got {len(groups)}"
        )
    names, which = np.unique(np.asarray(groups), return_inverse=True)
    totals = np.bincount(which, minlength=len(names))
    hits = np.bincount(which, weights=predictions.correct, minlength=len(names))
    found = {
        str(name): Group(str(name), int(k), int(n))
        for name, k, n in zip(names, hits, totals, strict=True)
    }
    first = [found.pop(name) for name in order if name in found]
    return (*first, *sorted(found.values(), key=lambda group: (-group.total, group.name)))


def macro_average(predictions: Predictions) -> float:
    """Mean of the classes' accuracies, in percent: each class counts alike, however many images.

    Equal to the accuracy where all classes have equally many images, as in iNaturalist-2018's
    validation set (3 each).
    """
    _, which = np.unique(predictions.labels, return_inverse=True)
    totals = np.bincount(which)
    return 100 * float((np.bincount(which, weights=predictions.correct) / totals).mean())


def supercategories(
    files: Sequence[str], labels: Sequence[int], names: Mapping[int, str] | None = None
) -> tuple[str, ...] | None:
    """The supercategory of each image; None if neither paths nor annotations tell it.

    files: POSIX paths like `train_val2018/<supercategory>/<category_id>/<name>.jpg`. labels: (N,).
    names: supercategory of each class, from `read_supercategories`; needed for other paths.
    Raises DataError if a class has no name.
    """
    if names is not None:
        unknown = sorted(set(labels) - names.keys())
        if unknown:
            raise DataError(
                f"Class {unknown[0]} has no supercategory: expected an entry for each label's "
                f"class, {len(unknown)} are missing. Is it the annotation file of these images?"
            )
        return tuple(names[label] for label in labels)
    told = tuple(_supercategory(file, label) for file, label in zip(files, labels, strict=True))
    # One name for all is the folder that the data set lies in.
    return told if all(told) and len(set(told)) > 1 else None


def read_supercategories(path: Path) -> dict[int, str]:
    """Class index -> supercategory, from the `categories` of an iNaturalist annotation file.

    Raises DataError if the file isn't one or its categories name no supercategory.
    """
    try:
        categories = json.loads(path.read_text(encoding="utf-8"))["categories"]
        return {int(entry["id"]): str(entry["supercategory"]) for entry in categories}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{path}: expected iNaturalist annotation JSON whose categories have id and "
            f"supercategory, got {type(error).__name__}: {error}. Name the official file."
        ) from None


def shots(labels: Sequence[int], training_images: Mapping[int, int]) -> tuple[str, ...]:
    """Whether the class of each image is many-, medium- or few-shot (Liu et al., 2019).

    labels: (N,). training_images: training images of each class, as `LabelledImages.class_counts`
    of the training annotations gives them.
    Raises DataError if a label's class has no training image.
    """
    unseen = sorted({label for label in labels if training_images.get(label, 0) == 0})
    if unseen:
        raise DataError(
            f"Class {unseen[0]} has no training image: expected some of each of the "
            f"{len(set(labels))} classes, {len(unseen)} have none. Are the training annotations "
            "those of another benchmark?"
        )
    return tuple(_shot(training_images[label]) for label in labels)


def to_markdown(rows: Mapping[str, Sequence[Group]], of: str) -> str:
    """Groups of several rows side by side: accuracy with its interval, one column per row.

    rows: name of a row -> its groups, the same in each. of: heading of the first column.
    """
    heading = (of, "images", *rows)
    lines = [_line(heading), _line(["---"] * len(heading))]
    for same in zip(*rows.values(), strict=True):
        texts = []
        for group in same:
            low, high = group.interval
            texts.append(f"{group.accuracy:.2f} ({low:.2f} to {high:.2f})")
        lines.append(_line((same[0].name, str(same[0].total), *texts)))
    return "\n".join([*lines, ""])


def _shot(training_images: int) -> str:
    return MANY if training_images > 100 else MEDIUM if training_images >= 20 else FEW


def _supercategory(file: str, label: int) -> str:
    """The folder above the `<category_id>` folder, or nothing if the path isn't of that kind."""
    folders = PurePosixPath(file).parent.parts
    if len(folders) < 2 or not folders[-1].isdecimal() or int(folders[-1]) != label:
        return ""
    return folders[-2]


def _line(parts: Sequence[str]) -> str:
    return "| " + " | ".join(part.replace("|", r"\|") for part in parts) + " |"
