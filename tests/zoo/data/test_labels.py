"""Labels are category ids, whichever way they are told; what is ambiguous or missing is named."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mixzoo.zoo.data import find_images, from_file
from mixzoo.zoo.errors import DataError

FILES = {
    "train_val2018/Aves/12/a.jpg": 12,
    "train_val2018/Aves/3/b.jpg": 3,
    "train_val2018/Fungi/7/c.jpg": 7,
}


def make_images(root: Path, files: dict[str, int] = FILES) -> None:
    for file in files:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).write_bytes(b"")


def annotation_json(files: dict[str, int]) -> str:
    images = [
        {"id": 100 + i, "file_name": file, "width": 1, "height": 1} for i, file in enumerate(files)
    ]
    pairs = [
        {"id": i, "image_id": 100 + i, "category_id": label}
        for i, label in enumerate(files.values())
    ]
    return json.dumps({"images": images, "annotations": pairs, "categories": []})


def test_annotation_json_is_found_by_name(tmp_path: Path) -> None:
    """val2018.json beside the image tree is found, and labels are its category ids."""
    make_images(tmp_path)
    (tmp_path / "val2018.json").write_text(annotation_json(FILES))

    found = find_images(tmp_path, names=["val2018.json"])

    assert dict(zip(found.files, found.labels, strict=True)) == FILES
    assert found.origin == "val2018.json"


def test_sizes_of_files_that_are_and_are_not_there(tmp_path: Path) -> None:
    """In the list's order, without reading; a missing image has none."""
    first, second, third = FILES
    make_images(tmp_path, {first: 12, third: 7})
    (tmp_path / first).write_bytes(b"12345")
    (tmp_path / "val2018.json").write_text(annotation_json(FILES))

    found = find_images(tmp_path, allow_missing=True)

    assert found.files == (first, second, third)
    assert found.sizes.tolist() == [5, -1, 0]


@pytest.mark.parametrize("separator", [",", " "])
def test_list_file_with_either_separator(tmp_path: Path, separator: str) -> None:
    """`path,label` and `path label` give the same images and the same hash as the JSON."""
    make_images(tmp_path)
    (tmp_path / "val_list.txt").write_text(
        "".join(f"{f}{separator}{n}\n" for f, n in reversed(FILES.items()))
    )
    (tmp_path / "a.json").write_text(annotation_json(FILES))

    found = find_images(tmp_path)

    assert dict(zip(found.files, found.labels, strict=True)) == FILES
    assert found.sha256() == from_file(tmp_path, tmp_path / "a.json").sha256()


@pytest.mark.parametrize("prefix", ["", "Aves/", "val/Aves/"])
def test_category_folders(tmp_path: Path, prefix: str) -> None:
    """Folders named by category id are labels as numbers: 10 is ten, not the second of two.

    Whatever can be decoded counts, not JPEGs alone.
    """
    make_images(tmp_path, {f"{prefix}10/a.webp": 10, f"{prefix}9/b.JPG": 9})

    found = find_images(tmp_path)

    assert sorted(found.labels) == [9, 10]
    assert all(
        Path(f).parent.name == str(n) for f, n in zip(found.files, found.labels, strict=True)
    )


def test_joint_tree_without_annotations_is_refused(tmp_path: Path) -> None:
    """train_val2018/ holds both splits, so guessing the validation set would be wrong."""
    make_images(tmp_path)

    with pytest.raises(DataError, match="train and val images together"):
        find_images(tmp_path)


def test_missing_images_are_counted_and_named(tmp_path: Path) -> None:
    """An incomplete data folder is an error before anything is evaluated."""
    make_images(tmp_path)
    (tmp_path / "val2018.json").write_text(annotation_json(FILES))
    (tmp_path / "train_val2018/Fungi/7/c.jpg").unlink()

    with pytest.raises(
        DataError, match=r"1 of 3 images named by val2018\.json are missing, first .*c\.jpg"
    ):
        find_images(tmp_path)


ELSEWHERE: dict[str, tuple[Callable[[str], str], str]] = {
    "below": (lambda file: file.partition("/")[2], "lies in .*/train_val2018: name that folder"),
    "above": (lambda file: f"root/{file}", "lies in .*: name that folder with --data"),
    "number before": (lambda file: f"0,{file}", "more columns than two"),
    "other year": (lambda file: file.replace("2018", "2017"), "is it the list of another year"),
}


@pytest.mark.parametrize(("written", "hint"), ELSEWHERE.values(), ids=ELSEWHERE)
def test_where_images_lie_instead_is_told(
    tmp_path: Path, written: Callable[[str], str], hint: str
) -> None:
    """A list that names no file that is here: the line tells the likeliest way on."""
    make_images(tmp_path / "root")
    text = "".join(f"{written(file)},{label}\n" for file, label in FILES.items())
    (tmp_path / "list.txt").write_text(text)

    with pytest.raises(DataError, match=rf"3 of 3 images .* are missing.*{hint}"):
        find_images(tmp_path / "root", tmp_path / "list.txt")


WRONG_JSON = {
    "renumbered labels": (
        annotation_json({"t/Aves/12/a.jpg": 0}),
        "lies in folder 12 but is labelled 0",
    ),
    "test set": (json.dumps({"images": [{"id": 1, "file_name": "a.jpg"}]}), "has no annotations"),
    "html": ("<html></html>", "expected iNaturalist annotation JSON"),
    "list": ("[1, 2]", "expected iNaturalist annotation JSON"),
    "escaping path": (annotation_json({"../../etc/passwd": 1}), "below the data folder"),
    "image twice": (
        json.dumps(
            {
                "images": [{"id": 1, "file_name": "a"}],
                "annotations": [{"image_id": 1, "category_id": 1}] * 2,
            }
        ),
        "exactly one annotation per image",
    ),
}


@pytest.mark.parametrize(("text", "message"), WRONG_JSON.values(), ids=WRONG_JSON)
def test_wrong_annotations_are_named(tmp_path: Path, text: str, message: str) -> None:
    """Each kind of wrong annotation file has its own clear line."""
    (tmp_path / "val2018.json").write_text(text)

    with pytest.raises(DataError, match=message):
        find_images(tmp_path, names=["val2018.json"])


def test_named_folders_have_no_labels(tmp_path: Path) -> None:
    """Folders with names are not numbered by sorting: the label would be an invention."""
    make_images(tmp_path, {"bird/a.jpg": 0})

    with pytest.raises(DataError, match="isn't a category id"):
        find_images(tmp_path)


def test_several_label_files_are_a_question(tmp_path: Path) -> None:
    """Two fitting annotation files are listed, none is picked."""
    for name in ("val2017.json", "val2018.json"):
        (tmp_path / name).write_text(annotation_json(FILES))

    with pytest.raises(DataError, match=r"val2017\.json, val2018\.json"):
        find_images(tmp_path)


def annotated(images: object, annotations: object) -> str:
    return json.dumps({"images": images, "annotations": annotations})


def of_one(key: object = 1, image_id: object = 1, file: object = "a.jpg", label: object = 3) -> str:
    """Annotations of one image, with one field that may be odd."""
    image, annotation = {"id": key, "file_name": file}, {"image_id": image_id, "category_id": label}
    return annotated([image], [annotation])


@pytest.mark.parametrize(
    "text",
    [
        *(of_one("7", 7), of_one(7, "7"), of_one(7.0, 7), of_one("a-b", "a-b")),
        *(of_one(label=3.0), of_one(label="3"), of_one(file="a\\b.jpg"), of_one(10**30, 10**30)),
        of_one().replace('"id"', '"area": NaN, "id"'),
    ],
)
def test_annotations_in_other_spellings(tmp_path: Path, text: str) -> None:
    """Ids as text or numbers, whole numbers with a point; what isn't needed may be anything."""
    (tmp_path / "a.json").write_text(text)

    assert from_file(tmp_path, tmp_path / "a.json").labels == (3,)


ODD_JSON = {
    "fraction": of_one(label=3.5),
    "fraction as text": of_one(label="3.5"),
    "truth": of_one(label=True),
    "nothing": of_one(label=None),
    "negative": of_one(label=-3),
    "infinity": of_one(label=float("inf")),
    "no number": of_one(label=float("nan")),
    "5,000 digits": of_one().replace("3", "9" * 5000),
    "huge": of_one().replace("3", "1e99999"),
    "name that is a number": of_one(file=7),
    "no name": of_one(file=None),
    "id that is true": of_one(True, True),
    "id that is a list": of_one([1], [1]),
    "key twice": of_one().replace('"category_id"', '"category_id": 5, "category_id"'),
    "escaped key twice": of_one().replace('"category_id"', '"category\\u005fid": 5, "category_id"'),
    "two images of an id": annotated(
        [{"id": 1, "file_name": "a"}, {"id": "1", "file_name": "b"}],
        [{"image_id": 1, "category_id": 1}],
    ),
    "image without annotation": annotated(
        [{"id": 1, "file_name": "a"}, {"id": 2, "file_name": "b"}],
        [{"image_id": 1, "category_id": 1}],
    ),
    "entries that are none": annotated([1], [2]),
    "no lists": annotated({}, {}),
    "deep": of_one().replace("3", "[" * 100_000),
    "lone surrogate": of_one(file="\ud800.jpg"),
    "control bytes": of_one(file="a\x1b[2J.jpg"),
    "NUL": of_one(file="a\0.jpg"),
    "drive": of_one(file="C:\\a.jpg"),
    "deep name": of_one(file="a/" * 2000 + "b.jpg"),
    "long name": of_one(file="a" * 5000),
    "no file": of_one(file="."),
}


@pytest.mark.parametrize("text", ODD_JSON.values(), ids=ODD_JSON)
def test_odd_annotations_are_one_line(tmp_path: Path, text: str) -> None:
    """Nothing is rounded, guessed or left out, and nothing is a traceback."""
    (tmp_path / "a.json").write_text(text)

    with pytest.raises(DataError) as error:
        from_file(tmp_path, tmp_path / "a.json")

    assert str(error.value).isprintable()
    assert len(str(error.value)) < 800


anything = st.recursive(
    st.one_of(
        st.sampled_from([1, 2, 1.0, 2.5, True, None, float("inf"), float("nan"), 10**40]),
        st.sampled_from(["a.jpg", "../b", "1", "2.0", "\ud800", "\0", "t/3/c.jpg", ""]),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(["id", "file_name", "image_id", "category_id"]), inner),
    ),
    max_leaves=8,
)
records = st.lists(
    st.fixed_dictionaries(
        {}, optional=dict.fromkeys(("id", "file_name", "image_id", "category_id"), anything)
    ),
    max_size=3,
)


@settings(max_examples=150)
@given(
    st.fixed_dictionaries(
        {},
        optional={
            "images": st.one_of(records, anything),
            "annotations": st.one_of(records, anything),
        },
    )
)
def test_any_json_is_annotations_or_one_line(
    tmp_path_factory: pytest.TempPathFactory, content: dict[str, object]
) -> None:
    """What is read has a whole label and a path below the folder for each image, none left out."""
    path = tmp_path_factory.getbasetemp() / "any.json"
    path.write_text(json.dumps(content))

    try:
        found = from_file(path.parent, path)
    except DataError as error:
        found = str(error)

    if isinstance(found, str):
        assert found.isprintable()
        return
    assert len(found) == len(content["images"]) == len(content["annotations"])  # type: ignore[arg-type]
    assert all(type(label) is int for label in found.labels)
