"""Labels that rows speak against are found, those that they merely confuse aren't, and all is said."""

import csv
import io
from dataclasses import replace

import numpy as np
import pytest
from mixzoo.eval.compare import NamedPredictions
from mixzoo.eval.doubts import Doubts, cells, find_doubts, sentences, to_csv
from mixzoo.eval.predictions import UNREADABLE, Predictions
from mixzoo.zoo.errors import DataError, MixzooError, UsageError

CLASSES, EACH = 10, 20


def made_up(seed: int, wrong: float = 0.15, names: str = "{}.jpg") -> NamedPredictions:
    """A row that is right but for a share of random answers, and always takes class 8 for 9."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(CLASSES), EACH)
    known = Predictions.empty(labels)
    answers = np.where(rng.random(len(labels)) < wrong, rng.integers(CLASSES, size=200), labels)
    known.top[:, 0] = np.where(labels == 8, 9, answers)
    known.confidence[:] = rng.uniform(0.5, 1, len(labels))
    known.state[:] = 2
    return NamedPredictions(f"row{seed}", known, "", tuple(names.format(i) for i in range(200)))


@pytest.fixture
def rows() -> list[NamedPredictions]:
    return [made_up(seed) for seed in range(4)]


def relabelled(rows: list[NamedPredictions], changes: dict[int, int]) -> list[NamedPredictions]:
    """The same predictions of a list with some other labels."""
    labels = rows[0].predictions.labels.copy()
    for place, label in changes.items():
        labels[place] = label
    return [row._replace(predictions=replace(row.predictions, labels=labels)) for row in rows]


def in_doubt(found: Doubts) -> set[str]:
    return {one.file for one in found.doubts if one.in_doubt}


def test_a_wrong_label_is_in_doubt(rows: list[NamedPredictions]) -> None:
    """With the class that the rows say instead."""
    wrong = {5: 3, 50: 7, 130: 0}
    found = find_doubts(relabelled(rows, wrong))

    assert {f"{place}.jpg" for place in wrong} <= in_doubt(found)
    assert {one.file: (one.label, one.said) for one in found.doubts if one.in_doubt} | {
        "5.jpg": (3, 0),
        "50.jpg": (7, 2),
        "130.jpg": (0, 6),
    } == {one.file: (one.label, one.said) for one in found.doubts if one.in_doubt}
    assert found.in_doubt <= len(wrong) + 2


def test_a_confusion_of_a_whole_class_is_missed_but_not_in_doubt(
    rows: list[NamedPredictions],
) -> None:
    """All rows take every image of class 8 for 9: no label of it is the odd one."""
    found = find_doubts(rows)

    missed = {one.file for one in found.doubts if one.missed}
    assert missed >= {f"{place}.jpg" for place in range(160, 180)}
    assert not in_doubt(found) & missed
    assert found.missed == len(missed)


def test_accuracies_without_them_are_counted_anew(rows: list[NamedPredictions]) -> None:
    """Of fewer images, and of as many hits where all that is left out was missed."""
    found = find_doubts(relabelled(rows, {5: 3}))

    whole, sure, rest = found.accuracy["row0"]
    assert (whole.total, sure.total) == (200, 200 - found.in_doubt)
    assert rest.total == 200 - len(found.doubts)
    assert whole.accuracy < sure.accuracy < rest.accuracy
    assert sum(group.correct for group in (whole, rest)) <= 2 * whole.correct


def test_the_cut_is_where_it_is_said(rows: list[NamedPredictions]) -> None:
    """A label with just these odds is in doubt, above them it isn't."""
    changed = relabelled(rows, {5: 3})
    odds = next(one.odds for one in find_doubts(changed).doubts if one.file == "5.jpg")

    assert "5.jpg" in in_doubt(find_doubts(changed, odds * 0.999))
    assert "5.jpg" not in in_doubt(find_doubts(changed, odds * 1.001))


@pytest.mark.parametrize("odds", [0.5, float("nan"), float("inf")])
def test_odds_that_say_nothing_are_refused(rows: list[NamedPredictions], odds: float) -> None:
    """Below even odds the label is the likelier one."""
    with pytest.raises(UsageError, match="a number of 1 or more"):
        find_doubts(rows, odds)


def test_images_that_cannot_be_read_are_left_out(rows: list[NamedPredictions]) -> None:
    """Even if one row alone couldn't, and it is said."""
    changed = relabelled(rows, {5: 3})
    changed[2].predictions.put_unreadable([5, 170])

    found = find_doubts(changed)

    assert found.unreadable == 2
    assert not {"5.jpg", "170.jpg"} & {one.file for one in found.doubts}
    assert any("2 images that can't be read" in text for text in sentences(found))


def test_a_list_of_which_nothing_can_be_read(rows: list[NamedPredictions]) -> None:
    """Has no doubts, and no division by nothing."""
    for row in rows:
        row.predictions.put_unreadable(np.arange(200))

    found = find_doubts(rows)

    assert (found.doubts, found.unreadable) == ((), 200)
    assert rows[0].predictions.state.tolist() == [UNREADABLE] * 200


@pytest.mark.parametrize("classes", [1, 2, 200])
def test_any_number_of_classes(classes: int) -> None:
    """One class, two, and as many as images, which have no other image to compare with."""
    labels = np.arange(200) % classes
    rows = []
    for seed in range(2):
        known = Predictions.empty(labels)
        known.top[:, 0] = np.random.default_rng(seed).integers(max(2, classes), size=200)
        known.confidence[:], known.state[:] = 0.9, 2
        rows.append(NamedPredictions(f"r{seed}", known, "", tuple(map(str, range(200)))))

    found = find_doubts(rows, 1)

    assert all(np.isfinite(one.odds) and one.odds >= 0 for one in found.doubts)
    assert all(one.said != one.label for one in found.doubts)


def test_one_row_or_unlike_rows_are_refused(rows: list[NamedPredictions]) -> None:
    """As for a paired comparison."""
    with pytest.raises(UsageError, match="at least two rows"):
        find_doubts(rows[:1])
    with pytest.raises(DataError, match="weren't evaluated on the same"):
        find_doubts([rows[0], *relabelled(rows[1:], {5: 3})])
    with pytest.raises(MixzooError, match="given twice"):
        find_doubts([rows[0], rows[0]])


def test_the_list_is_defused_for_spreadsheets() -> None:
    """A line an image, whatever its file is called."""
    rows = [made_up(seed, names='=cmd("{}")\n.jpg') for seed in range(2)]

    lines = list(csv.DictReader(io.StringIO(to_csv(find_doubts(rows)))))

    assert lines
    assert all(line["file"].startswith("'=cmd(") for line in lines)
    assert {line["missed"] for line in lines} <= {"True", "False"}


def test_cells_name_what_an_image_is(rows: list[NamedPredictions]) -> None:
    """Both words where both hold."""
    found = find_doubts(relabelled(rows, {5: 3}), 1.5)
    (one,) = [one for one in found.doubts if one.file == "5.jpg"]

    assert cells(one, 4)[:3] == ["5.jpg", "3", "0"]
    assert cells(one, 4)[-1].startswith("label in doubt")
