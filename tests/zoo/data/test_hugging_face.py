"""A data set of the library `datasets` becomes image files, classes and splits."""

import io
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mixzoo.zoo.data.hugging_face import is_data_set, write_out
from mixzoo.zoo.errors import DataError, SourceError, UsageError
from PIL import Image

datasets = pytest.importorskip("datasets", reason="needs mixzoo[datasets]")
NAMES = ["wasp", "ant", "never"]  # numbered by the data set, not by letters
Mixzoo = Callable[..., tuple[int, str, str]]


def _bytes(number: int, form: str = "jpeg") -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (40, 32), (9 * number, 80, 10)).save(file, form)
    return file.getvalue()


def _split(count: int, first: int = 0, label: Any = None, **more: Any) -> Any:
    """So many pictures, of wasps and ants in turn. label: the column's type."""
    cells = [{"bytes": _bytes(first + n), "path": None} for n in range(count)]
    labels = [n % 2 if label is None else NAMES[n % 2] for n in range(count)]
    kinds = {"image": datasets.Image(), "label": label or datasets.ClassLabel(names=NAMES)}
    table = {"image": cells, "label": labels} | {name: [0] * count for name in more}
    return datasets.Dataset.from_dict(table, features=datasets.Features(kinds | more))


def _saved(root: Path, form: str) -> Path:
    """Train and test, saved by the library or as a repository of parquet files has them."""
    parts = {"train": _split(6), "test": _split(4, 6)}
    if form == "saved":
        datasets.DatasetDict(parts).save_to_disk(str(root))
        return root
    (root / "data").mkdir(parents=True)
    for name, part in parts.items():
        part.to_parquet(str(root / f"data/{name}-00000-of-00001.parquet"))
    return root


@pytest.mark.parametrize("form", ["saved", "parquet"])
def test_images_are_the_bytes_that_the_data_set_holds(tmp_path: Path, form: str) -> None:
    """Below their class's number, once; classes keep the data set's numbers."""
    source = str(_saved(tmp_path / "x", form))
    assert is_data_set(source)

    found, order = write_out(source, tmp_path / "out")
    times = [(tmp_path / "out" / file).stat().st_mtime_ns for _, file, _ in found]
    again, _ = write_out(source, tmp_path / "out")

    assert order == NAMES
    assert found == again
    assert times == [(tmp_path / "out" / file).stat().st_mtime_ns for _, file, _ in found]
    assert Counter(split for split, _, _ in found) == {"train": 6, "val": 4}
    assert found[1] == ("train", "train/1/000001.jpg", "ant")
    held = [(tmp_path / "out" / file).read_bytes() for _, file, _ in found]
    assert held == [_bytes(n) for n in range(10)]
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["train", "val"]


def test_one_split_with_names_for_labels(tmp_path: Path) -> None:
    """Nothing says which images validate; names are numbered in their order."""
    _split(4, label=datasets.Value("string")).save_to_disk(str(tmp_path / "x"))

    found, order = write_out(str(tmp_path / "x"), tmp_path / "out")

    assert order == []
    assert found[0] == ("", "all/1/000000.jpg", "wasp")


def test_columns_are_asked_for_and_named(tmp_path: Path) -> None:
    """Two columns of classes are no guess."""
    source = str(tmp_path / "x")
    _split(4, coarse=datasets.ClassLabel(names=["insect"])).save_to_disk(source)

    with pytest.raises(DataError, match=r"label \(ClassLabel\), coarse .* --columns IMAGE,CLASS"):
        write_out(source, tmp_path / "out")
    with pytest.raises(DataError, match="--columns"):
        write_out(source, tmp_path / "out", ["image", "none"])
    found, order = write_out(source, tmp_path / "out", ["image", "coarse"])
    assert order == ["insect"]
    assert {name for _, _, name in found} == {"insect"}


def test_what_is_no_data_set_of_images_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No label, no picture, no parquet file, no network, code of its own, no library."""
    cells = [{"bytes": b"no picture", "path": None}]
    kinds = {"image": datasets.Image(), "label": datasets.ClassLabel(names=NAMES)}
    for name, label, content in (("a", -1, _bytes(0)), ("b", 0, cells[0]["bytes"])):
        table = {"image": [{"bytes": content, "path": None}], "label": [label]}
        one = datasets.Dataset.from_dict(table, features=datasets.Features(kinds))
        one.save_to_disk(str(tmp_path / name))
    (tmp_path / "c").mkdir()
    (tmp_path / "c/x.parquet").write_bytes(b"PAR1")
    (tmp_path / "d").mkdir()
    (tmp_path / "d/d.py").write_text("raise SystemExit('run')")
    _split(2).to_parquet(str(tmp_path / "d/train.parquet"))

    for name, message in (
        ("a", "image 0 of train: expected one of its classes, got -1"),
        ("b", "image 0 of train: expected a picture"),
        ("c", "arquet"),
        ("d", "scripts are no longer supported"),
    ):
        with pytest.raises(DataError, match=message) as raised:
            write_out(str(tmp_path / name), tmp_path / "out")
        assert "\n" not in str(raised.value)
    monkeypatch.setenv("MIXZOO_OFFLINE", "1")
    with pytest.raises(SourceError, match="MIXZOO_OFFLINE forbids"):
        write_out("hf://me/x", tmp_path / "out")
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(UsageError, match=r"pip install 'mixzoo\[datasets\]'"):
        write_out(str(tmp_path / "a"), tmp_path / "out")


def test_the_hub_is_asked_without_code_and_for_a_revision(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`hf://USER/NAME/CONFIG@REVISION`, as the library takes it."""
    asked: list[Any] = []

    def load(*words: Any, **options: Any) -> Any:
        del options["cache_dir"]
        asked.append((words, options))
        return datasets.DatasetDict(train=_split(2), validation=_split(2))

    monkeypatch.setattr(datasets, "load_dataset", load)
    found, _ = write_out("hf://me/x/small@v1", tmp_path / "out")
    write_out("hf://me/x", tmp_path / "out")

    assert asked == [
        (("me/x", "small"), {"revision": "v1", "streaming": False}),
        (("me/x", None), {"revision": None, "streaming": False}),
    ]
    assert {split for split, _, _ in found} == {"train", "val"}


def test_from_the_command_line_to_a_run(mixzoo: Mixzoo, tmp_path: Path) -> None:
    """`data init` writes the images where it is told to, and the row trains."""
    source = _saved(tmp_path / "x", "saved")

    here = mixzoo("data", "init", source, "--to", source)
    made = mixzoo(
        *("data", "init", source, "--to", tmp_path / "bugs", "--epochs", 1),
        *("--architecture", "resnet18_w4"),
    )
    manifest = tmp_path / "bugs/bugs.toml"
    trained = mixzoo(
        *("train", "resnet18_w4.mixup_bugs", "--manifest", manifest, "--data", tmp_path / "bugs"),
        *("--out", tmp_path / "run", "--set", "batch_size=4", "--set", "micro_batch=4"),
    )

    assert here[0] == UsageError.exit_code
    assert "name it with --to" in here[2]
    assert made[0] == trained[0] == 0, (made, trained)
    assert "bugs: 3 classes, 6 images to train, 4 to validate" in made[1]
    assert "numbered as in the data set: 0 wasp, 1 ant, 2 never" in made[1]
    assert "never: without an image" in made[1]
