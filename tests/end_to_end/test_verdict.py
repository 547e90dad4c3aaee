"""A number is judged only if weights, images and list are those of the table."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mixzoo.zoo.catalog import package_path

from ..mini_rows import VANILLA as ROW
from ..mini_rows import hits, weights

Run = Callable[..., tuple[int, str, str]]  # the fixture `mixzoo`


@pytest.fixture
def judged(mixzoo: Run, mini_images: Path, tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Evaluates mini's vanilla row on a changed copy of its images; returns the report's row."""

    def run(ref: object = ROW, change: Callable[[Path, dict[str, Any]], None] | None = None):
        data = tmp_path / "data"
        (data / "train_val2018").mkdir(parents=True)
        annotations = json.loads((mini_images / "val2018.json").read_text())
        for image in annotations["images"]:
            path = data / image["file_name"]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.hardlink_to(mini_images / image["file_name"])
        if change:
            change(data, annotations)
        (data / "val2018.json").write_text(json.dumps(annotations))
        code, out, err = mixzoo("eval", ref, "--data", data, "--json")
        assert code == 0, err
        return json.loads(out)["rows"][0]

    return run


def test_weights_are_recognised_by_their_hash(judged: Callable[..., Any], tmp_path: Path) -> None:
    """The row's weights under another name are judged as that row."""
    copy = tmp_path / "some_file.pth"
    copy.write_bytes(weights(ROW).read_bytes())

    row = judged(copy)

    assert (row["id"], row["verdict"], row["heads"][0]["correct"]) == (ROW, "reproduced", hits(ROW))


def test_a_missing_image_in_the_list_is_not_comparable(judged: Callable[..., Any]) -> None:
    """999 of 1,000 images: the number is shown, not judged."""

    def drop_one(_: Path, annotations: dict[str, Any]) -> None:
        gone = annotations["annotations"].pop()
        annotations["images"] = [i for i in annotations["images"] if i["id"] != gone["image_id"]]

    row = judged(change=drop_one)

    assert row["verdict"] == "not comparable"
    assert "999 images, the table's validation set has 1000" in row["reason"]


def test_another_list_of_the_same_length_is_not_comparable(judged: Callable[..., Any]) -> None:
    """One image under another name, so as many, but not those."""

    def rename_one(data: Path, annotations: dict[str, Any]) -> None:
        old = annotations["images"][0]["file_name"]
        annotations["images"][0]["file_name"] = old.replace(".jpg", "x.jpg")
        (data / old).rename(data / annotations["images"][0]["file_name"])

    row = judged(change=rename_one)

    assert row["verdict"] == "not comparable"
    assert "another list" in row["reason"]


def test_an_image_with_other_bytes_is_not_comparable(judged: Callable[..., Any]) -> None:
    """The listed names, but one picture is another."""

    def replace_one(data: Path, annotations: dict[str, Any]) -> None:
        one, other = (data / image["file_name"] for image in annotations["images"][:2])
        content = other.read_bytes()
        one.unlink()
        one.write_bytes(content)

    row = judged(change=replace_one)

    assert row["verdict"] == "not comparable"
    assert "not with the locked bytes" in row["reason"]


def test_a_table_on_an_unknown_number_of_images_judges_nothing(
    mixzoo: Run, mini_images: Path, tmp_path: Path
) -> None:
    """Where the manifest doesn't know how many images there are, the number is only shown."""
    text = (package_path("manifests") / "mini.toml").read_text()
    text = text.replace('name = "mini"', 'name = "copy"', 1).replace("_mini", "_copy")
    text = "".join(
        line
        for line in text.splitlines(keepends=True)
        if not line.startswith(("images = 1000", "list_sha256", "files_sha256"))
    )
    (tmp_path / "copy.toml").write_text(text)
    row = ("--row", ROW.replace("_mini", "_copy"), "--manifest", tmp_path / "copy.toml")

    code, out, err = mixzoo("eval", weights(ROW), *row, "--data", mini_images, "--json")

    assert code == 0, err
    judged = json.loads(out)["rows"][0]
    assert judged["verdict"] == "not comparable"
    assert "not known" in judged["reason"]
