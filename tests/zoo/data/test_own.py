"""A folder of one's own images becomes a benchmark that everything takes."""

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mixzoo.train.data import find_data
from mixzoo.zoo.catalog import Benchmark, open_catalog
from mixzoo.zoo.data import find_images
from mixzoo.zoo.data.classes import class_names
from mixzoo.zoo.data.own import _split, look, manifest_for, write_own
from mixzoo.zoo.errors import DataError, ManifestError, MixzooError, UsageError
from mixzoo.zoo.manifest import Split, manifest_text, parse_manifest
from mixzoo.zoo.publish.own_rows import add_row
from msgspec.structs import replace
from PIL import Image

from ...emulator.hub_upload import Hub
from ...mini_rows import MIXUP

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


PIECES = (
    "path",
    "label",
    "split",
    "train",
    "val",
    '"',
    "a",
    "x" * 300,
    "x/0.png",
    "x/1.png",
    "x/2.png",
)
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
    assert any("one of 7 is 14.3 points" in note for note in first.notes)
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


@given(
    lines=st.lists(
        st.lists(st.sampled_from([*PIECES]) | st.text(max_size=9), max_size=4), max_size=5
    ),
    mark=st.sampled_from(",;\t|"),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_table_is_read_or_refused(tmp_path: Path, lines: list[list[str]], mark: str) -> None:
    """In one line; what is read are pictures that are there, with the class that stands beside."""
    if not (tmp_path / "x").exists():
        _pictures(tmp_path, {"x": 3})
    text = "\n".join(mark.join(line) for line in lines)
    (tmp_path / "t.csv").write_text(text, encoding="utf-8", errors="replace", newline="")

    refused = ""
    try:
        own = look(tmp_path, tmp_path / "t.csv")
    except MixzooError as error:
        refused = str(error)
    assert "\n" not in refused
    if refused:
        return
    for file, label in (*own.train, *own.val):
        assert (tmp_path / file).is_file()
        assert own.classes[label] in text


@pytest.mark.parametrize("order", ["{file},{name}", '"{file}";{name}', "{name}\t{file}"])
def test_table_without_column_names(tmp_path: Path, order: str) -> None:
    """Of two columns the pictures' is known by them; absolute paths are taken, numbers are names."""
    _pictures(tmp_path / "x", {"2021": 4})
    lines = [order.format(file=f"2021/{n}.png", name=(7, 12)[n % 2]) for n in range(3)]
    lines.append(order.format(file=tmp_path / "x/2021/3.png", name=12))
    (tmp_path / "t.csv").write_text("\n".join(lines))

    own = look(tmp_path / "x", tmp_path / "t.csv", share=0.5)

    assert own.classes == ("7", "12")
    assert sorted((*own.train, *own.val)) == [(f"2021/{n}.png", n % 2) for n in range(4)]


def test_columns_of_a_table_are_named(tmp_path: Path) -> None:
    """Where their names tell nothing."""
    _pictures(tmp_path, {"x": 2})
    (tmp_path / "t.csv").write_text("bild,art,x\nx/0.png,biene,1\n\nx/1.png,biene,2\n")

    own = look(tmp_path, tmp_path / "t.csv", columns=("Bild", "art"))

    assert own.classes == ("biene",)
    with pytest.raises(DataError, match="line 2: expected a file below"):
        look(tmp_path, tmp_path / "t.csv", columns=("x", "art"))
    (tmp_path / "x/1.png").unlink()
    with pytest.raises(DataError, match="line 4: expected a file below"):
        look(tmp_path, tmp_path / "t.csv", columns=("bild", "art"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n0.png,bee\n", "expected columns such as 'path' and 'label', got 'a', 'b'"),
        ("path,label\n0.png,a\n0.png,b\n", "each image once, got 0.png more often"),
        ("path,label\n../x/0.png,a\n", "expected image paths below"),
        ("0.png,1.png\n", "expected columns such as 'path' and 'label', got '0.png', '1.png'"),
        ("path,label\n0.png\n", "line 2: expected a file below .* and a class, got '0.png' and ''"),
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
        ({"train/a\nb": 1, "val/a": 1}, "has control characters"),
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


def test_numbered_and_dated_folders_train(mixzoo: Mixzoo, tmp_path: Path) -> None:
    """What `data init` numbered isn't held against iNaturalist's folders."""
    root = _pictures(tmp_path / "flowers", {str(n): 4 for n in (10, 9, 2)})

    made = mixzoo("data", "init", root, "--architecture", "resnet18_w4", "--epochs", 1)
    of = ("--manifest", root / "flowers.toml")
    checked = mixzoo("data", "verify", "flowers", "--root", root, "--split", "all", *of)
    trained = mixzoo(
        *("train", "resnet18_w4.mixup_flowers", *of, "--data", root, "--out", tmp_path / "run"),
        *("--set", "batch_size=8", "--set", "micro_batch=8"),
    )

    assert made[0] == checked[0] == trained[0] == 0, (made, checked, trained)
    log = (tmp_path / "run/resnet18_w4.mixup_flowers.log.json").read_text()
    assert '"mode": "train"' in log  # less than log_every steps


def test_counts_are_held_against_the_images(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before a training: a number on other images isn't the benchmark's."""
    own = look(_pictures(tmp_path / "x", SPLIT))
    manifest = manifest_for(own, "mine", open_catalog().benchmark("inat2018"))
    write_own(own, manifest)

    find_data(manifest, tmp_path / "x")
    assert capsys.readouterr().err == ""
    find_data(
        replace(
            manifest,
            dataset=replace(manifest.dataset, train=Split(images=9, annotations=["train.json"])),
        ),
        tmp_path / "x",
    )

    assert "train.json: 7 images, but the manifest of mine says 9" in capsys.readouterr().err


def test_manifest_names_as_many_classes_as_there_are(tmp_path: Path) -> None:
    """`data init` writes them; another number of names is an error."""
    own = look(_pictures(tmp_path / "x", SPLIT))
    text = manifest_text(manifest_for(own, "mine", open_catalog().benchmark("inat2018")))

    assert class_names(Benchmark(parse_manifest(text, ""), None, tmp_path)) == ["ant", "bee"]
    with pytest.raises(ManifestError, match=r"'dataset\.classes': expected 2 names, got 1"):
        parse_manifest(text.replace('["ant", "bee"]', '["ant"]'), "")


def test_published_rows_outlive_force(tmp_path: Path) -> None:
    """Their number and file stay; where they can't be true any more, nothing is written."""
    root, like = (
        _pictures(tmp_path / "mine", {"a": 9, "b": 9}),
        open_catalog().benchmark("inat2018"),
    )
    own = look(root)
    *_, target = write_own(own, first := manifest_for(own, "mine", like, "resnet18_w4"))
    (tmp_path / "w.pth").write_bytes(b"weights")
    row = replace(first.rows[1], reported_top1=50.0)
    add_row(target, first, row, {"weights": tmp_path / "w.pth"})

    write_own(own, manifest_for(own, "mine", like, "resnet34_w4", epochs=7), force=True)

    (benchmark,) = (b for b in open_catalog([target]).benchmarks.values() if b.name == "mine")
    assert benchmark.manifest.row(row.id) == row
    assert benchmark.manifest.row("resnet34_w4.mixup_mine")
    assert benchmark.asset(row.id)
    write_own(own, benchmark.manifest)  # the same again needs no force
    before = {path: path.read_bytes() for path in root.glob("*.*")}
    other = look(root, seed=5)
    assert other.val != own.val
    for images, name, crop in ((other, "mine", None), (other, "beside", None), (own, "mine", 16)):
        with pytest.raises(UsageError, match=r"mine\.toml: resnet18_w4\.mixup_mine: published"):
            write_own(images, manifest_for(images, name, like, crop=crop), force=True)
    target.unlink()
    with pytest.raises(ManifestError, match="expected a row of the manifest"):
        write_own(own, manifest_for(own, "mine", like), force=True)  # its lock is still there
    target.write_bytes(before[target])
    assert {path: path.read_bytes() for path in before} == before


def test_archives_are_for_another_command(tmp_path: Path) -> None:
    """A folder of a published data set, as it is downloaded."""
    (tmp_path / "train_val2018.tar.gz").write_bytes(b"")

    with pytest.raises(DataError, match="mixzoo data prepare BENCHMARK --root"):
        look(tmp_path)


def test_unknown_network_is_refused_before_writing(mixzoo: Mixzoo, tmp_path: Path) -> None:
    """Not ten rows of it."""
    root = _pictures(tmp_path / "mine", {"a": 9, "b": 9})

    code, _, said = mixzoo("data", "init", root, "--architecture", "resnet9000")

    assert (code, "resnet9000: expected" in said) == (2, True)
    assert {path.name for path in root.iterdir()} == {"a", "b"}


@pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")
def test_from_a_folder_to_a_published_row(
    mixzoo: Mixzoo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hub_server: Hub
) -> None:
    """The source document's mixture in five commands, no file written by hand; blanks in paths."""
    monkeypatch.chdir(tmp_path)
    _pictures(tmp_path / "my bees", {"a": 20, "b": 20}, 32)
    of = ("--manifest", "my bees/my_bees.toml")
    mixture = ("mix_mode=mixup,cutmix", "alpha=0.8,1", "mix_prob=0.4,0.6", "batch_size=16")
    settings = [word for one in (*mixture, "micro_batch=16") for word in ("--set", one)]
    row = "resnet18_w4.mixup_cutmix_my_bees"

    steps = [
        mixzoo("data", "init", "my bees", "--architecture", "resnet18_w4", "--epochs", 1),
        mixzoo(
            *("train", "resnet18_w4.mixup_my_bees", *of, "--data", "my bees", "--out", "a run"),
            *settings,
        ),
        mixzoo("train", "publish", "a run", *of),
        mixzoo("eval", row, *of, "--data", "my bees", "--evidence", "ev"),
        mixzoo(
            "zoo", "publish", row, *of, "--evidence", "ev", "--repo", "me/bees", "--folder", "r"
        ),
    ]

    assert [code for code, _, _ in steps] == [0] * 5, steps
    assert "mixzoo train resnet18_w4.mixup_my_bees --manifest 'my bees/my_bees.toml'" in steps[0][1]
    assert "epoch 1 of 1: top-1" in steps[1][2]
    assert "mixzoo train publish 'a run' --manifest 'my bees/my_bees.toml'" in steps[1][1]
    told = f"  mixzoo eval {row} --data 'my bees' --manifest 'my bees/my_bees.toml'"
    assert told in steps[2][1].splitlines()
    assert "reproduced" in steps[3][1]
    card = (tmp_path / "r/README.md").read_text()
    assert "0.8" in card
    assert "mixup, cutmix" in card or "mixup + cutmix" in card
    assert f"{row}.safetensors" in hub_server.repos["me/bees"].files


def test_ten_classes_do_not_train_thousands(mixzoo: Mixzoo, tmp_path: Path) -> None:
    """A benchmark's row on images of another data set says how to make one of them."""
    root = _pictures(tmp_path / "mine", {"train/0": 2, "train/1": 2, "val/0": 1, "val/1": 1})

    code, _, err = mixzoo("train", "resnet50.mixup_inat2018", "--data", root)

    assert code == DataError.exit_code
    assert "images of 2 classes, the network has 8,142" in err
    assert "mixzoo data init" in err


def test_recipe_settings_typed_as_options_are_named(mixzoo: Mixzoo) -> None:
    """`--lr` is `--set lr`."""
    code, _, err = mixzoo("train", MIXUP, "--lr", "0.1")

    assert code == UsageError.exit_code
    assert "Say --set lr=VALUE" in err
