"""Groups are named by paths, annotations and training counts, and their counts sum to the whole."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mixzoo.eval.breakdown import (
    SHOTS,
    break_down,
    by_training_images,
    shots,
    supercategories,
)
from mixzoo.eval.predictions import Predictions
from mixzoo.eval.statistics import wilson_interval
from mixzoo.zoo.errors import DataError


def predicted(labels: list[int], first: list[int]) -> Predictions:
    known = Predictions.empty(labels)
    known.top[:, 0] = first
    known.state[:] = 2
    return known


ROW = predicted([0, 0, 1, 1, 1, 2], [0, 1, 1, 1, 0, 2])


def test_groups_sum_to_the_whole() -> None:
    """Hits and images of all groups are those of the row, the largest group first."""
    groups = break_down(ROW, ["a", "a", "b", "b", "b", "c"])

    assert [(g.name, g.correct, g.total) for g in groups] == [("b", 2, 3), ("a", 1, 2), ("c", 1, 1)]


def test_a_group_has_its_accuracy_and_interval() -> None:
    """Percent, with the Wilson interval."""
    group = break_down(ROW, ["a"] * 6)[0]

    assert group.accuracy == pytest.approx(100 * 4 / 6)
    assert group.interval95 == wilson_interval(4, 6)


def test_the_order_asked_for_comes_first() -> None:
    """Many, medium, few stay in this order; a group without images is left out."""
    groups = break_down(ROW, [SHOTS[2]] * 5 + [SHOTS[0]], SHOTS)

    assert [g.name for g in groups] == [SHOTS[0], SHOTS[2]]


def test_each_image_needs_a_group() -> None:
    """A list of another length is no list of these images."""
    with pytest.raises(ValueError, match="expected 6 group names"):
        break_down(ROW, ["a"])


def test_shots_part_at_20_and_100_training_images() -> None:
    """More than 100 is many, fewer than 20 few (Liu et al., 2019)."""
    counts = {0: 101, 1: 100, 2: 20, 3: 19}

    assert shots([0, 1, 2, 3], counts) == (SHOTS[0], SHOTS[1], SHOTS[1], SHOTS[2])


def test_a_class_without_training_images_is_named() -> None:
    """Training annotations of another benchmark don't fit."""
    with pytest.raises(DataError, match="Class 5 has no training image"):
        shots([0, 5], {0: 3})


def test_paths_tell_supercategories() -> None:
    """The folder above the category id."""
    files = ["train_val2018/Aves/7/a.jpg", "train_val2018/Fungi/12/b.jpg"]

    assert supercategories(files, [7, 12]) == ("Aves", "Fungi")


@pytest.mark.parametrize(
    "files", [("a.jpg", "b.jpg"), ("7/a.jpg", "8/b.jpg"), ("val/7/a.jpg", "val/8/b.jpg")]
)
def test_other_paths_tell_none(files: tuple[str, str]) -> None:
    """A data set's own folder is no supercategory."""
    assert supercategories(files, [7, 8]) is None


def test_bins_double() -> None:
    """1, 2 to 3, 4 to 7 ...; images of classes on both sides of each edge."""
    counts = dict(enumerate([1, 2, 3, 4, 7, 8, 127, 128, 1000]))
    labels = [label for label in counts for _ in range(2)]
    known = predicted(labels, [99 if n in (0, 3) else label for n, label in enumerate(labels)])

    bins = by_training_images(known, counts)

    assert [(least, g.correct, g.total) for least, g in bins.items()] == [
        (1, 1, 2), (2, 3, 4), (4, 4, 4), (8, 2, 2), (64, 2, 2), (128, 2, 2), (512, 2, 2),
    ]  # fmt: skip


@given(
    st.lists(st.tuples(st.integers(0, 30), st.booleans()), min_size=1, max_size=60),
    st.lists(st.integers(1, 5000), min_size=31, max_size=31),
)
def test_bins_count_every_image_once(images: list[tuple[int, bool]], counts: list[int]) -> None:
    """As a loop over the images does."""
    labels = [label for label, _ in images]
    known = predicted(labels, [label if right else 99 for label, right in images])

    bins = by_training_images(known, dict(enumerate(counts)))

    for least, group in bins.items():
        inside = [right for label, right in images if least <= counts[label] < 2 * least]
        assert (group.correct, group.total) == (sum(inside), len(inside))
    assert sum(group.total for group in bins.values()) == len(images)
