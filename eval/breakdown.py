"""Accuracy by group of images: by supercategory, by how many training images a class had."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from ..zoo.data.labels import supercategory
from ..zoo.errors import DataError
from ..zoo.report import Group
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


def group(name: str, correct: int, total: int) -> Group:
    """A group's share with its Wilson 95% interval, which is wide where the group is small."""
    interval = wilson_interval(correct, total)
    accuracy = 100 * correct / total
    return Group(name=name, correct=correct, total=total, accuracy=accuracy, interval95=interval)


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
        str(name): group(str(name), int(k), int(n))
        for name, k, n in zip(names, hits, totals, strict=True)
    }
    first = [found.pop(name) for name in order if name in found]
    return (*first, *sorted(found.values(), key=lambda group: (-group.total, group.name)))


def supercategories(files: Sequence[str], labels: Sequence[int]) -> tuple[str, ...] | None:
    """The supercategory of each image, None if the paths don't tell it.

    files: POSIX paths like `train_val2018/<supercategory>/<category_id>/<name>.jpg`. labels: (N,).
    """
    told = tuple(supercategory(file, label) for file, label in zip(files, labels, strict=True))
    # One name for all is the folder that the data set lies in.
    return told if all(told) and len(set(told)) > 1 else None


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


def by_training_images(
    predictions: Predictions, training_images: Mapping[int, int]
) -> dict[int, Group]:
    """Accuracy of the classes with 1, 2 to 3, 4 to 7, 8 to 15 ... training images, by the least.

    training_images: of each class among the labels, one or more.
    """
    # Of a whole number, bit_length is exact, which the logarithm isn't.
    least = [1 << training_images[label].bit_length() - 1 for label in predictions.labels.tolist()]
    groups = break_down(predictions, [f"{number}" for number in least])
    return dict(sorted((int(group.name), group) for group in groups))


def _shot(training_images: int) -> str:
    return MANY if training_images > 100 else MEDIUM if training_images >= 20 else FEW
