"""`mixzoo data`, as a user runs it."""

import json
import os
import re
import runpy
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def published(tmp_path: Path) -> Any:
    """The small data set of the tests of preparing."""
    path = Path(__file__).parents[1] / "zoo/data/conftest.py"
    return runpy.run_path(str(path))["publish"].__wrapped__(tmp_path)()


@pytest.fixture
def prepare(published: Any, mixzoo: Run, tmp_path: Path) -> Run:
    """`mixzoo data prepare` of it into `root`, with more flags."""
    named = ["--manifest", published.manifest(), "--archive", published.archive]
    return lambda *flags: mixzoo(
        "data", "prepare", "own", "--root", tmp_path / "root", *named, *flags
    )


@pytest.fixture
def verify(published: Any, mixzoo: Run, tmp_path: Path) -> Run:
    """`mixzoo data verify` of `root`, with more flags."""
    named = ["--manifest", published.manifest(), "--root", tmp_path / "root"]
    return lambda *flags: mixzoo("data", "verify", "own", *named, *flags)


def said(out: str) -> str:
    """What was printed, whatever the terminal's width made of it."""
    return " ".join(out.split())


@pytest.mark.parametrize("form", ["files", "tar"])
def test_prepare_says_what_was_checked(
    prepare: Run, published: Any, tmp_path: Path, form: str
) -> None:
    """The place, how many images, and both md5s."""
    code, out, err = prepare("--as", form)

    assert (code, err) == (0, "")
    assert "Noise-2018 (val) is in" in out
    assert "24 images (24 written)" in said(out)
    md5s = [it.md5 for it in published.dataset.files]
    assert f"archive: md5 {md5s[0]} is the published one." in said(out)
    assert f"annotations: md5 {md5s[2]} is the published one." in said(out)


def test_prepare_all_splits_and_again(prepare: Run, tmp_path: Path) -> None:
    """Each split is reported; the second run says that the first did it."""
    for what in ("24 written", "prepared before"):
        code, out, _ = prepare("--split", "all")

        assert code == 0
        assert [f"({split}) is in" in said(out) for split in ("train", "val")] == [True, True]
        assert said(out).count(f"({what})") == 2
    assert (tmp_path / "root/train2018.json").is_file()


def test_wrong_archive_is_one_line(prepare: Run, published: Any) -> None:
    """An archive that changed: exit code of integrity, one line."""
    with tarfile.open(published.archive, "w:gz") as tar:
        tar.add(published.folder / "own.toml", "x")

    code, out, err = prepare()

    assert (code, out) == (5, "")
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert "the manifest says" in err


def test_drawn_data_set_has_no_archive(mixzoo: Run, tmp_path: Path) -> None:
    """`mini` is drawn by the package, so flags about archives are refused."""
    code, _, err = mixzoo("data", "prepare", "mini", "--root", tmp_path, "--as", "tar")

    assert code == 2
    assert "is drawn by the package" in err


def test_data_set_without_archive(mixzoo: Run, write_benchmark: Any, tmp_path: Path) -> None:
    """A manifest that names no image tree can't be prepared from one."""
    manifest = write_benchmark("")

    code, _, err = mixzoo("data", "prepare", "own", "--root", tmp_path, "--manifest", manifest)

    assert code == 7
    assert "can't be prepared" in err


def test_verify_shows_the_supercategories(prepare: Run, verify: Run) -> None:
    """A table of counts and one line of summary."""
    prepare()

    code, out, err = verify()

    assert (code, err) == (0, "")
    lines = [line.split() for line in out.splitlines()]
    assert ["Aves", "4", "4", "8", "8", "ok"] in lines
    assert "24 images named by val2018.json, the ends of every file read: all as expected" in said(
        out
    )


def test_verify_without_facts(
    prepare: Run, verify: Run, published: Any, mixzoo: Run, tmp_path: Path
) -> None:
    """Where the manifest has no table of supercategories, none is called right."""
    prepare()
    manifest = published.manifest()
    head, _, rest = manifest.read_text().partition("[dataset.supercategories]")
    manifest.write_text(head + rest[rest.index("[[rows]]") :])

    code, out, _ = mixzoo(
        "data", "verify", "own", "--manifest", manifest, "--root", tmp_path / "root"
    )

    assert code == 0
    lines = [line.split() for line in out.splitlines()]
    assert ["Aves", "4", "8"] in lines


@pytest.mark.parametrize("as_json", [False, True])
def test_verify_finds_problems(
    prepare: Run, verify: Run, published: Any, tmp_path: Path, as_json: bool
) -> None:
    """Exit code 7, the problems on lines and in the error; as JSON the files in full."""
    prepare()
    first, second, *_ = sorted(published.images["val"])
    (tmp_path / "root" / first).unlink()
    os.truncate(tmp_path / "root" / second, 0)

    code, out, err = verify(*["--json"] * as_json)

    assert code == 7
    assert err.count("\n") == 1
    assert "val: 1 missing" in err
    if as_json:
        (found,) = json.loads(out)
        assert (found["ok"], found["missing"], found["empty"]) == (False, [first], [second])
    else:
        assert f"problem: 1 missing, first {first}" in said(out)
        assert "2 problems" in out


@pytest.mark.parametrize("form", ["files", "tar"])
def test_verify_json(prepare: Run, verify: Run, form: str) -> None:
    """All findings as data, with the mark of what was checked when it was prepared."""
    prepare("--as", form)

    code, out, _ = verify("--deep", "--json")

    (found,) = json.loads(out)
    assert code == 0
    assert found["ok"] is True
    assert found["problems"] == []
    assert found["images"] == found["expected_images"] == 24
    assert found["deep"] is True
    assert found["mark"]["form"] == form
    assert found["mark"]["archive"]["md5"] == found["mark"]["archive"]["expected_md5"]


def test_wrong_label_order_is_named(prepare: Run, verify: Run, tmp_path: Path) -> None:
    """Annotations that were numbered by sorting names as text are refused with that name."""
    prepare()
    path = tmp_path / "root/val2018.json"
    content = json.loads(path.read_text())
    order = sorted(map(str, range(12)))
    for pair in content["annotations"]:
        pair["category_id"] = order.index(str(pair["category_id"]))
    path.write_text(json.dumps(content))

    code, _, err = verify()

    assert code == 7
    assert "string-sorted folders" in err


def test_who_watches_a_file_sees_lines(
    prepare: Run, verify: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where stderr is no terminal: what is done, of how much, how fast, and the time left."""
    prepare()
    monkeypatch.setattr("mixzoo.zoo.net.progress.EVERY", 0)

    _, _, err = verify()

    assert re.search(r"verifying: \d+ of 24, \d+ %, .* img/s, .* left", err)


def test_what_is_unusual_is_a_note(prepare: Run, verify: Run, tmp_path: Path) -> None:
    """Of a label file's spelling, and of what isn't counted; nothing of it is a problem."""
    prepare()
    path = tmp_path / "root/val2018.json"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    (tmp_path / "root/train_val2018/._x.jpg").touch()

    code, out, _ = verify()

    assert code == 0
    assert "note: val2018.json was read with a byte-order mark." in out
    assert "note: 1 hidden files in train_val2018/ don't count, first ._x.jpg" in out
