"""A folder of one's own images becomes a benchmark that everything takes."""

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mixzoo.zoo.catalog import open_catalog
from mixzoo.zoo.data import find_images
from mixzoo.zoo.data.own import _split, look, manifest_for, write_own
from mixzoo.zoo.errors import DataError, UsageError
from mixzoo.zoo.manifest import parse_manifest
from PIL import Image

Mixzoo = Callable[..., tuple[int, str, str]]


def _pictures(root: Path, tree: dict[str, int], size: int = 40) -> Path:
    """Folders with so many pictures each."""
    for folder, count in tree.items():
        (root / folder).mkdir(parents=True)
        for number in range(count):
            Image.new("RGB", (size + 5, size), (number * 9 % 255, 80, 10)).save(
                root / folder / f"{number}.png"
            )
    return root


SPLIT = {"train/bee": 4, "train/ant/wings": 3, "val/bee": 2, "val/ant": 1}


@pytest.mark.parametrize("names", [("train", "val"), ("Training", "test"), ("train", "valid")])
def test_folders_of_splits_and_classes(tmp_path: Path, names: tuple[str, str]) -> None:
    """As people name them; folders below a class belong to it."""
    tree = {k.replace("train", names[0]).replace("val", names[1]): n for k, n in SPLIT.items()}

    own = look(_pictures(tmp_path / "x", tree))

    assert own.classes == ("ant", "bee")
    assert Counter(label for _, label in own.train) == {0: 3, 1: 4}
    assert Counter(label for _, label in own.val) == {0: 1, 1: 2}


def test_test_folder_beside_val_is_left_alone(tmp_path: Path) -> None:
    """What validates is val/ then."""
    own = look(_pictures(tmp_path / "x", {"train/a": 2, "val/a": 1, "test/a": 5}))

    assert len(own.val) == 1


def test_class_folders_alone_are_split(tmp_path: Path) -> None:
    """Class by class, from a seed, and said."""
    root = _pictures(tmp_path / "x", {"bee": 20, "ant": 10, "rare": 2, "one": 1})

    first, again, other = (
        look(root, share=0.2),
        look(root, share=0.2),
        look(root, share=0.2, seed=1),
    )

    assert first == again
    assert first.val != other.val
    assert Counter(label for _, label in first.val) == {0: 2, 1: 4, 3: 1}
    assert any("7 of 33 were drawn from seed 0" in note for note in first.notes)
    assert any(
        note.startswith("one: in train, but without an image in val") for note in first.notes
    )


def test_numbers_are_ordered_by_value(tmp_path: Path) -> None:
    """Class 10 comes after class 9, as nobody's string sort has it."""
    own = look(_pictures(tmp_path / "x", {str(n): 2 for n in (10, 9, 2)}))

    assert own.classes == ("2", "9", "10")


@pytest.mark.parametrize("mark", [",", ";", "\t"])
def test_table_of_paths(tmp_path: Path, mark: str) -> None:
    """With column names in any case and order, more columns, and splits."""
    _pictures(tmp_path, {"all": 4})
    lines = [["Species", "note", "Image", "split"]]
    lines += [["bee", "x", f"all/{n}.png", "val" if n > 2 else "train"] for n in range(4)]
    lines[1][0] = "ant"
    lines.append(["ant", "", "all/0.png", "test"])
    table = tmp_path / "mine.csv"
    table.write_text("\n".join(mark.join(line) for line in lines) + "\n")

    own = look(tmp_path, table)

    assert own.classes == ("ant", "bee")
    assert own.train == (("all/0.png", 0), ("all/1.png", 1), ("all/2.png", 1))
    assert own.val == (("all/3.png", 1), ("all/0.png", 0))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n0.png,bee\n", "expected columns such as 'path' and 'label', got 'a', 'b'"),
        ("path,label\nnone.png,bee\n", "line 2: expected a file below"),
        ("path,label\n0.png,\n", "line 2: expected a file below .* and a class"),
        ("path,label,split\n0.png,bee,maybe\n", "expected the split train or val, got 'maybe'"),
        ("", "expected"),
    ],
)
def test_table_that_says_nothing_is_refused(tmp_path: Path, text: str, message: str) -> None:
    """With its line."""
    _pictures(tmp_path / "x", {".": 1})
    (tmp_path / "t.csv").write_text(text)

    with pytest.raises(DataError, match=message):
        look(tmp_path / "x", tmp_path / "t.csv")


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        ({}, "expected pictures in a folder for each class"),
        ({"train/a": 1}, "got train and no val"),
        ({"train/a": 1, "val/a": 1, "val/b": 1}, "b: in val, but without an image in train"),
    ],
)
def test_folder_that_cannot_train_is_refused(
    tmp_path: Path, tree: dict[str, int], message: str
) -> None:
    """A network can't learn what it never sees."""
    (tmp_path / "x").mkdir()

    with pytest.raises(DataError, match=message):
        look(_pictures(tmp_path / "x", tree))


def test_what_is_written_is_read(tmp_path: Path) -> None:
    """Annotations, their list's hash and the manifest agree; a second call writes the same."""
    own = look(_pictures(tmp_path / "x", SPLIT))
    like = open_catalog().benchmark("inat2018")
    manifest = manifest_for(own, "mine", like, "resnet18_w4")

    paths = write_own(own, manifest)
    write_own(own, manifest)

    found = find_images(tmp_path / "x", names=["val.json"])
    assert found.sha256() == manifest.dataset.val.list_sha256
    assert parse_manifest(paths[-1].read_text(), "") == manifest
    assert (manifest.protocol.crop, manifest.protocol.resize) == (32, 32)
    assert [row.method for row in manifest.rows] == [
        row.method for row in like.manifest.rows if row.architecture == "resnet50"
    ]
    names = json.loads(paths[0].read_text())["categories"]
    assert names == [{"id": 0, "name": "ant"}, {"id": 1, "name": "bee"}]
    paths[0].write_text("{}")
    with pytest.raises(UsageError, match="--force"):
        write_own(own, manifest)
    write_own(own, manifest, force=True)


def test_large_images_have_the_released_pixels(tmp_path: Path) -> None:
    """224 of 256, whatever the size above."""
    own = look(_pictures(tmp_path / "x", {"a": 2, "b": 2}, 300))

    manifest = manifest_for(own, "mine", open_catalog().benchmark("inat2018"))

    assert (manifest.protocol.crop, manifest.protocol.resize) == (224, 256)


@given(
    counts=st.lists(st.integers(1, 30), min_size=1, max_size=5),
    share=st.floats(0, 0.9),
    seed=st.integers(0, 9),
)
def test_any_split_is_whole(counts: list[int], share: float, seed: int) -> None:
    """Every image once; each class trains, and validates where it has two."""
    images = [(f"{label}/{n}", label) for label, count in enumerate(counts) for n in range(count)]

    train, val = _split(images, share, seed)

    assert sorted((*train, *val)) == sorted(images)
    for label, count in enumerate(counts):
        assert any(of == label for _, of in train)
        assert any(of == label for _, of in val) == (count > 1)


def test_from_a_folder_to_a_judged_row(
    mixzoo: Mixzoo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The source document's mixture in four commands, no file written by hand."""
    monkeypatch.chdir(tmp_path)
    _pictures(tmp_path / "mine", {"a": 20, "b": 20}, 32)
    of = ("--manifest", "mine/mine.toml")
    mixture = (
        "mix_mode=mixup,cutmix",
        "alpha=0.8,1",
        "mix_prob=0.4,0.6",
        "batch_size=8",
        "micro_batch=8",
    )
    settings = [word for one in mixture for word in ("--set", one)]

    steps = [
        mixzoo("data", "init", "mine", "--architecture", "resnet18_w4", "--epochs", 1),
        mixzoo("data", "verify", "mine", "--root", "mine", "--split", "all", *of),
        mixzoo("train", "resnet18_w4.mixup_mine", *of, "--data", "mine", "--out", "run", *settings),
        mixzoo("train", "publish", "run", *of),
        mixzoo("eval", "resnet18_w4.mixup_cutmix_mine", *of, "--data", "mine"),
    ]

    assert [code for code, _, _ in steps] == [0] * 5, steps
    assert "epoch 1 of 1: top-1" in steps[2][2]
    assert "reproduced" in steps[-1][1]


def test_ten_classes_do_not_train_thousands(mixzoo: Mixzoo, tmp_path: Path) -> None:
    """A benchmark's row on images of another data set says how to make one of them."""
    root = _pictures(tmp_path / "mine", {"train/0": 2, "train/1": 2, "val/0": 1, "val/1": 1})

    code, _, err = mixzoo("train", "resnet50.mixup_inat2018", "--data", root)

    assert code == DataError.exit_code
    assert "images of 2 classes, the network has 8,142" in err
    assert "mixzoo data init" in err


def test_recipe_settings_typed_as_options_are_named(mixzoo: Mixzoo) -> None:
    """`--lr` is `--set lr`."""
    code, _, err = mixzoo("train", "resnet18_w6.mixup_mini", "--lr", "0.1")

    assert code == UsageError.exit_code
    assert "Say --set lr=VALUE" in err
