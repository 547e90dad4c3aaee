"""What is missing, empty, cut, foreign or miscounted is found; a whole split has no problem."""

import os
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from mixzoo.zoo.data.findings import examine
from mixzoo.zoo.data.prepare import Request, prepare
from mixzoo.zoo.errors import DataError
from mixzoo.zoo.manifest import Split

from .conftest import Publish

Ready = Callable[..., tuple[Request, Path, list[str]]]


@pytest.fixture
def ready(publish: Publish, root: Path) -> Ready:
    """Prepares the split and returns its request, its folder and its files, sorted."""

    def ready(form: Any = "files", splits: Any = ("val",)) -> Any:
        published = publish()
        request = published.request(root, splits, form=form)
        prepare(request)
        return request, root, sorted(published.images["val"])

    return ready


@pytest.mark.parametrize("deep", [False, True], ids=["ends", "deep"])
@pytest.mark.parametrize("form", ["files", "tar"])
def test_whole_split(ready: Ready, form: str, deep: bool) -> None:
    """Counts are the manifest's, per class and per supercategory; the bar counts every image."""
    request, _, _ = ready(form)
    told: list[int] = []

    found = examine(request, "val", deep=deep, on_images=told.append)

    assert found.problems == []
    assert found.notes == []
    assert found.images == sum(told) == 24
    assert [(it.name, it.classes, it.images) for it in found.groups] == [
        ("Aves", 4, 8),
        ("Fungi", 4, 8),
        ("Plantae", 4, 8),
    ]
    assert found.mark is not None
    assert found.deep is deep


def remove(root: Path, files: list[str]) -> None:
    """Three files are gone."""
    for name in files[:3]:
        (root / name).unlink()


def cut(root: Path, files: list[str]) -> None:
    """One file without a byte, one without its end, one that is a web page."""
    os.truncate(root / files[1], 0)
    os.truncate(root / files[5], 400)
    (root / files[6]).write_text("<html>Forbidden</html>")


def add(root: Path, _: list[str]) -> None:
    """A file that nobody named."""
    (root / "train_val2018/Aves/0/x.txt").write_bytes(b"x")


def lengthen(root: Path, files: list[str]) -> None:
    """Some cameras write behind the picture; whether it decodes decides."""
    with (root / files[2]).open("ab") as file:
        file.write(bytes(5000))


SPOILT: dict[str, tuple[Callable[[Path, list[str]], None], list[str]]] = {
    "missing": (remove, ["3 missing, first {0}"]),
    "empty and cut": (cut, ["1 empty, first {1}", "2 damaged, first {5}"]),
    "foreign": (add, ["1 foreign, first train_val2018/Aves/0/x.txt"]),
    "bytes behind": (lengthen, []),
}


@pytest.mark.parametrize(("spoil", "problems"), SPOILT.values(), ids=SPOILT)
def test_files_that_are_not_right(
    ready: Ready, spoil: Callable[[Path, list[str]], None], problems: list[str]
) -> None:
    """Counted, and the first is named; both annotation files are at hand."""
    request, root, files = ready(splits=("train", "val"))
    spoil(root, files)

    assert examine(request, "val").problems == [line.format(*files) for line in problems]


def test_damage_in_the_middle_needs_deep(ready: Ready) -> None:
    """A header that was overwritten: the ends are sound, decoding fails."""
    request, root, files = ready()
    content = bytearray((root / files[2]).read_bytes())
    content[2:300] = bytes(298)
    (root / files[2]).write_bytes(content)

    assert not examine(request, "val").damaged
    assert list(examine(request, "val", deep=True).damaged) == [files[2]]


def test_unnamed_files_without_the_other_list_are_a_note(ready: Ready) -> None:
    """They may be the other split's, which nothing here tells."""
    request, root, files = ready()
    add(root, files)

    found = examine(request, "val")

    assert found.problems == []
    assert "1 files in train_val2018/ aren't named by val2018.json" in found.notes[0]


def test_foreign_members_of_a_tar(ready: Ready) -> None:
    """A tar is one split's own."""
    request, root, _ = ready("tar")
    with tarfile.open(root / "val2018.tar", "a") as tar:
        tar.addfile(tarfile.TarInfo("x.jpg"))

    found = examine(request, "val")

    assert list(found.foreign) == ["x.jpg"]
    assert not found.missing


VAL = ["val2018.json"]
FACTS: dict[str, tuple[dict[str, Any], str]] = {
    "per class": (
        {"val": Split(images=24, per_class=3, annotations=VAL)},
        "expected 3 images of each class; 12 classes have another count, first class 0: 2",
    ),
    "class without images": (
        {"num_classes": 13},
        "expected 2 images of each class; 1 classes have another count, first class 12: 0",
    ),
    # One with another count, one without images, and one that the manifest doesn't know.
    "supercategories": (
        {"supercategories": {"Aves": (4, 8, 8), "Fungi": (4, 8, 9), "Protozoa": (4, 8, 8)}},
        "other counts than the manifest's in Fungi, Protozoa, Plantae",
    ),
    "images": (
        {"val": Split(images=25, annotations=VAL), "train": None},
        "expected 25 images, got 24",
    ),
    "the train list": (
        {
            "val": Split(images=6, annotations=VAL),
            "train": Split(images=24, annotations=["train2018.json"]),
        },
        "it is the train list: 24 images, as Noise-2018's train split has",
    ),
}


@pytest.mark.parametrize(("facts", "problem"), FACTS.values(), ids=FACTS)
def test_other_counts_than_the_manifest_s(
    ready: Ready, facts: dict[str, Any], problem: str
) -> None:
    """Each is the first thing that is told."""
    request, _, _ = ready()
    dataset = msgspec.structs.replace(request.dataset, **facts)

    assert examine(replace(request, dataset=dataset), "val").problems[0] == problem


def test_nothing_to_examine(publish: Publish, root: Path) -> None:
    """Without annotations there is nothing to hold the files against."""
    root.mkdir()

    with pytest.raises(DataError, match=r"expected val2018\.json or the like, found none"):
        examine(publish().request(root), "val")
