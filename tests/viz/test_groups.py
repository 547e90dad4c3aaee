"""Accuracies by group come from reports, and by training images from predictions."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mixzoo.eval.predictions import Predictions
from mixzoo.viz.groups import (
    SHOTS,
    SUPERCATEGORY,
    Frequencies,
    count_bins,
    count_frequencies,
    grouped,
    groups_words,
)
from mixzoo.viz.report_data import StoredReport, parse_report
from mixzoo.zoo.errors import DataError, UsageError

MadeUp = Callable[..., Predictions]


def test_heads_of_inference_with_all_their_groups(report: StoredReport) -> None:
    """One entry a checkpoint, counts as stored, summing to the whole."""
    found = grouped([report])

    lines = report.default_lines()
    assert [one.name for one in found] == [line.id for line in lines]
    assert [one.whole.correct for one in found] == [line.correct for line in lines]
    groups = found[0].groups[SUPERCATEGORY]
    assert [g.correct for g in groups] == [g.correct for g in lines[0].breakdown[SUPERCATEGORY]]
    assert sum(g.total for g in groups) == found[0].whole.total


def test_checkpoint_in_two_reports_is_told_apart(content: dict[str, Any]) -> None:
    """By when it was evaluated."""
    one = parse_report(content | {"created": "2026-01-01"}, "one")
    two = parse_report(content | {"created": "2026-02-02"}, "two")

    names = [entry.name for entry in grouped([one, two])]

    assert len(set(names)) == 10
    assert names[0] == "resnet50.vanilla_inat2018 (2026-01-01)"


def test_reports_without_groups(content: dict[str, Any]) -> None:
    """What would make some."""
    for row in content["rows"]:
        row.pop("breakdown", None)

    with pytest.raises(UsageError, match=r"found none.*--data naming the folder"):
        grouped([parse_report(content, "x")])


def test_frequencies_come_beside_what_a_report_holds(report: StoredReport, made_up: MadeUp) -> None:
    """Asked for line by line; the shots of a report are replaced by them."""
    counted = count_frequencies(made_up(30), dict.fromkeys(range(7), 50))
    asked = []

    def frequencies(of: StoredReport, line: Any) -> Frequencies:
        asked.append((of, line.id))
        return counted

    found = grouped([report], frequencies)

    assert asked == [(report, line.id) for line in report.default_lines()]
    assert [(g.name, g.total) for g in found[0].groups[SHOTS]] == [("medium-shot", 300)]
    assert found[0].bins == counted.bins
    assert SUPERCATEGORY in found[0].groups


def test_bins_double() -> None:
    """1, 2 to 3, 4 to 7 ...; classes and images on both sides of each edge."""
    counts = dict(enumerate([1, 2, 3, 4, 7, 8, 127, 128, 1000]))
    predictions = Predictions.empty(np.repeat(np.arange(9), 2))
    predictions.top[:, 0] = predictions.labels
    predictions.top[[0, 3], 0] = 99
    predictions.state[:] = 2

    found = [
        (b.low, b.high, b.classes, b.correct, b.total) for b in count_bins(predictions, counts)
    ]

    assert found == [
        (1, 1, 1, 1, 2),
        (2, 3, 2, 3, 4),
        (4, 7, 2, 4, 4),
        (8, 15, 1, 2, 2),
        (64, 127, 1, 2, 2),
        (128, 255, 1, 2, 2),
        (512, 1023, 1, 2, 2),
    ]


@given(
    st.lists(st.tuples(st.integers(0, 30), st.booleans()), min_size=1, max_size=60),
    st.lists(st.integers(1, 5000), min_size=31, max_size=31),
)
def test_bins_count_every_image_once(images: list[tuple[int, bool]], counts: list[int]) -> None:
    """As a loop over the images does."""
    predictions = Predictions.empty(np.array([label for label, _ in images]))
    predictions.top[:, 0] = [label if right else 99 for label, right in images]
    predictions.state[:] = 2

    bins = count_bins(predictions, dict(enumerate(counts)))

    for one in bins:
        inside = [right for label, right in images if one.low <= counts[label] <= one.high]
        assert (one.correct, one.total) == (sum(inside), len(inside))
    assert sum(one.total for one in bins) == len(images)


def test_class_without_training_images(made_up: MadeUp) -> None:
    """The annotations are those of another data set."""
    with pytest.raises(DataError, match="Class 6 has no training image"):
        count_frequencies(made_up(0), dict.fromkeys(range(6), 10))


def test_words_name_every_group(report: StoredReport) -> None:
    """For those who can't see the figure."""
    words = groups_words(grouped([report]))

    first = report.rows[0]
    group = first.breakdown["supercategory"][0]
    assert f"{first.id}: {first.top1:.2f} percent of all images, " in words
    assert f"{group.name} {group.accuracy:.2f}" in words
