"""Wrong label orders and wrong lists are named, right ones never."""

from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mixzoo.zoo.data import diagnose_labels, diagnose_list, find_images
from mixzoo.zoo.errors import DataError
from mixzoo.zoo.manifest import Dataset, Split

GROUPS = ("Plantae", "Insecta", "Aves")
FOLDERS = [(GROUPS[i * 7 % 3], i) for i in range(120)]  # classes aren't in the order of the groups
FILES = [f"train_val2018/{group}/{n}/{copy}.jpg" for group, n in FOLDERS for copy in "ab"]
Random(1).shuffle(FILES)


def place_in(order: list[Any], key: Any) -> list[int]:
    """Labels as the place of each file's folder in an order."""
    return [order.index(key(file.split("/"))) for file in FILES]


BY_NUMBER = [int(file.split("/")[2]) for file in FILES]
SORTED = sorted({file.split("/")[2] for file in FILES})
PATHS = sorted({tuple(file.split("/")[1:3]) for file in FILES})
NUMBERED = sorted(PATHS, key=lambda it: (it[0], int(it[1])))
FIRST = list(dict.fromkeys(file.split("/")[2] for file in FILES))

WRONG_ORDERS = {
    "string-sorted folders": place_in(SORTED, lambda it: it[2]),
    "in which the list first names it": place_in(FIRST, lambda it: it[2]),
    "is the folder's number plus 1": [n + 1 for n in BY_NUMBER],
    "is the folder's number minus 1": [n - 1 for n in BY_NUMBER],
    "place of <supercategory>/<id> among the paths": place_in(PATHS, lambda it: tuple(it[1:3])),
    "supercategory by supercategory, in the order of numbers": place_in(
        NUMBERED, lambda it: tuple(it[1:3])
    ),
    "supercategories in place of species": place_in(sorted(GROUPS), lambda it: it[1]),
    "renumbered in an order that isn't known": [119 - n for n in BY_NUMBER],
    "several folders share one label": [n // 2 for n in BY_NUMBER],
    "one folder has several": list(range(len(FILES))),
}


@pytest.mark.parametrize(("words", "labels"), WRONG_ORDERS.items(), ids=list(WRONG_ORDERS))
def test_wrong_order_is_named(words: str, labels: list[int]) -> None:
    """Each usual mistake has its own name."""
    assert words in str(diagnose_labels(FILES, labels))


def test_gaps_closed_is_named() -> None:
    """A subset of the classes that was numbered through."""
    files = ["t/Aves/9/a.jpg", "t/Aves/30/a.jpg", "t/Aves/200/a.jpg"]

    assert "gaps closed" in str(diagnose_labels(files, [0, 1, 2]))


def test_sorted_paths_first_name_is_named() -> None:
    """First appearance in a sorted list, where the supercategory isn't unique to the folder."""
    files = ["t/b/10/x.jpg", "t/a/10/x.jpg", "t/a/9/x.jpg"]

    assert diagnose_labels(files, [2, 0, 1]) is not None


@given(st.lists(st.tuples(st.sampled_from(GROUPS), st.integers(0, 8141)), max_size=40))
def test_right_labels_are_never_accused(folders: list[tuple[str, int]]) -> None:
    """Where the label is the folder's number, nothing is said."""
    files = [f"t/{group}/{n}/{i}.jpg" for i, (group, n) in enumerate(folders)]

    assert diagnose_labels(files, [n for _, n in folders]) is None


@given(st.data())
def test_wrong_labels_never_pass(data: st.DataObject) -> None:
    """One label that isn't its folder's number is enough."""
    labels = list(BY_NUMBER)
    i = data.draw(st.integers(0, len(labels) - 1))
    labels[i] = data.draw(st.integers(0, 200).filter(lambda n: n != labels[i]))

    assert diagnose_labels(FILES, labels) is not None


def test_folders_without_numbers_tell_nothing() -> None:
    """Other data sets name folders otherwise; no label is against that."""
    assert diagnose_labels(["a/bird/1.jpg", "x.jpg"], [7, 3]) is None


def test_find_images_names_the_order(tmp_path: Path) -> None:
    """The refusal of a list says which order its labels follow, and one example."""
    lines = zip(FILES, WRONG_ORDERS["string-sorted folders"], strict=True)
    (tmp_path / "list.txt").write_text("".join(f"{file},{label}\n" for file, label in lines))

    with pytest.raises(DataError, match=r"lies in folder .* string-sorted folders") as error:
        find_images(tmp_path, tmp_path / "list.txt")

    assert "\n" not in str(error.value)


def inat(year: int, val: int = 20, train: int = 90) -> Dataset:
    """A data set in the layout of that year's."""
    return Dataset(
        name=f"iNat-{year}",
        num_classes=120,
        val=Split(images=val, annotations=["val.json"]),
        train=Split(images=train, annotations=["train.json"]),
        image_tree=f"train_val{year}",
    )


def listed(count: int, year: int = 2018) -> tuple[list[str], list[int]]:
    """So many files with their labels."""
    return [f"train_val{year}/Aves/{i}/a.jpg" for i in range(count)], list(range(count))


@pytest.mark.parametrize(
    ("count", "year", "split", "words"),
    [
        (90, 2018, "val", "it is the train list: 90 images, as iNat-2018's train split has"),
        (20, 2018, "train", "it is the val list"),
        (20, 2017, "val", "it is a list of iNat-2017: its paths begin with train_val2017/"),
        (33, 2018, "val", "it is iNat-2017's val list, by its 33 images"),
        (20, 1999, "val", "paths should begin with train_val2018/, got train_val1999/"),
    ],
)
def test_wrong_list_is_named(count: int, year: int, split: str, words: str) -> None:
    """The other split, the other year and other images are told apart."""
    others = [inat(2017, 33)]

    found = diagnose_list(*listed(count, year), inat(2018), split, others)

    assert words in str(found)


def test_label_beyond_the_classes_is_named() -> None:
    """A list of more classes than the data set has."""
    files, _ = listed(20)

    found = diagnose_list(files, [120] * 20, inat(2018), "val")

    assert found == "it has label 120, iNat-2018 has classes 0 to 119"


@pytest.mark.parametrize(("count", "split"), [(20, "val"), (90, "train")])
def test_right_list_is_never_accused(count: int, split: str) -> None:
    """Even where another data set has as many images."""
    assert diagnose_list(*listed(count), inat(2018), split, [inat(2017, 20, 90)]) is None
