"""What is missing, empty, cut, foreign or miscounted is found; a whole split has no problem."""

import os
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from mixzoo.zoo.data.findings import examine
from mixzoo.zoo.data.prepare import prepare
from mixzoo.zoo.errors import DataError
from mixzoo.zoo.manifest import Dataset

from .conftest import Publish

Ready = Callable[..., Any]


@pytest.fixture
def ready(publish: Publish, root: Path) -> Callable[..., tuple[Any, Path, list[str]]]:
    """Prepares the split and returns its request, its folder and its files, sorted."""

    def ready(form: str = "files", splits: tuple[str, ...] = ("val",)) -> Any:
        published = publish()
        request = published.request(root, splits, form=form)
        prepare(request)
        return request, request.root, sorted(published.images["val"])

    return ready


@pytest.mark.parametrize("deep", [False, True], ids=["ends", "deep"])
@pytest.mark.parametrize("form", ["files", "tar"])
def test_whole_split(ready: Ready, form: str, deep: bool) -> None:
    """Counts are the manifest's, per class and per supercategory."""
    request, _, _ = ready(form)

    found = examine(request, "val", deep=deep)

    assert found.problems == []
    assert found.notes == []
    assert found.images == 24
    assert [(it.name, it.classes, it.images) for it in found.groups] == [
        ("Aves", 4, 8),
        ("Fungi", 4, 8),
        ("Plantae", 4, 8),
    ]
    assert found.mark is not None
    assert found.deep is deep


def test_missing_files(ready: Ready) -> None:
    """Counted, and the first is named."""
    request, root, files = ready()
    for name in files[:3]:
        (root / name).unlink()

    found = examine(request, "val")

    assert list(found.missing) == files[:3]
    assert found.problems == [f"3 missing, first {files[0]}"]


def test_empty_and_cut_files(ready: Ready) -> None:
    """The end of a file tells without decoding."""
    request, root, files = ready()
    os.truncate(root / files[1], 0)
    os.truncate(root / files[5], 400)
    (root / files[6]).write_text("<html>Forbidden</html>")

    found = examine(request, "val")

    assert list(found.empty) == [files[1]]
    assert list(found.damaged) == [files[5], files[6]]
    assert found.problems == [f"1 empty, first {files[1]}", f"2 damaged, first {files[5]}"]


def test_damage_in_the_middle_needs_deep(ready: Ready) -> None:
    """A header that was overwritten: the ends are sound, decoding fails."""
    request, root, files = ready()
    content = bytearray((root / files[2]).read_bytes())
    content[2:300] = bytes(298)
    (root / files[2]).write_bytes(content)

    assert not examine(request, "val").damaged
    assert list(examine(request, "val", deep=True).damaged) == [files[2]]


def test_bytes_behind_the_picture_are_no_damage(ready: Ready) -> None:
    """Some cameras write there; whether it decodes decides."""
    request, root, files = ready()
    with (root / files[2]).open("ab") as file:
        file.write(bytes(5000))

    assert not examine(request, "val").damaged


def test_foreign_files(ready: Ready) -> None:
    """With both annotation files at hand, every file that neither names is foreign."""
    request, root, _ = ready(splits=("train", "val"))
    (root / "train_val2018/Aves/0/.DS_Store").write_bytes(b"x")

    found = examine(request, "val")

    assert list(found.foreign) == ["train_val2018/Aves/0/.DS_Store"]


def test_unnamed_files_without_the_other_list_are_a_note(ready: Ready) -> None:
    """They may be the other split's, which nothing here tells."""
    request, root, _ = ready()
    (root / "train_val2018/Aves/0/x.jpg").write_bytes(b"x")

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


def changed(request: Any, **facts: Any) -> Any:
    """The request with other facts in its manifest."""
    fields = {name: getattr(request.dataset, name) for name in Dataset.__struct_fields__}
    return replace(request, dataset=Dataset(**fields | facts))


def test_counts_per_class(ready: Ready) -> None:
    """Classes with another number of images than the manifest says are counted."""
    request, _, _ = ready()
    val = type(request.dataset.val)(images=24, per_class=3, annotations=["val2018.json"])

    found = examine(changed(request, val=val), "val")

    assert found.wrong_classes == dict.fromkeys(range(12), 2)
    assert found.problems == [
        "expected 3 images of each class; 12 classes have another count, first class 0: 2"
    ]


def test_class_without_images(ready: Ready) -> None:
    """A class that the list doesn't name at all has none."""
    request, _, _ = ready()

    found = examine(changed(request, num_classes=13), "val")

    assert found.wrong_classes == {12: 0}


def test_counts_per_supercategory(ready: Ready) -> None:
    """A supercategory with other counts, one without images and an unknown one are named."""
    request, _, _ = ready()
    table = {"Aves": (4, 8, 8), "Fungi": (4, 8, 9), "Protozoa": (4, 8, 8)}

    found = examine(changed(request, supercategories=table), "val")

    assert found.problems == [
        "other counts than the manifest's in Fungi, Protozoa, Plantae",
    ]


def test_another_number_of_images(ready: Ready) -> None:
    """The manifest's count is the first thing to hold."""
    request, _, _ = ready()
    val = type(request.dataset.val)(images=25, annotations=["val2018.json"])

    assert examine(changed(request, val=val, train=None), "val").problems == [
        "expected 25 images, got 24"
    ]


def test_train_list_in_place_of_val(ready: Ready) -> None:
    """The right file name with the other split's content is named."""
    request, _, _ = ready()
    train = type(request.dataset.val)(images=24, annotations=["train2018.json"])
    val = type(request.dataset.val)(images=6, annotations=["val2018.json"])

    found = examine(changed(request, val=val, train=train), "val")

    assert "it is the train list: 24 images" in found.problems[0]


def test_nothing_to_verify(publish: Publish, root: Path) -> None:
    """Without annotations there is nothing to hold the files against."""
    (root).mkdir()

    with pytest.raises(DataError, match=r"expected val2018\.json or the like, found none"):
        examine(publish().request(root), "val")


def test_progress_counts_every_image(ready: Ready) -> None:
    """The bar ends at the number of images."""
    request, _, _ = ready()
    told: list[int] = []

    examine(request, "val", on_images=told.append)

    assert sum(told) == 24
