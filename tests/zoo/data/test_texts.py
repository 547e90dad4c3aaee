"""Label files are read as they are published: packed or not, found under the names of both."""

import gzip
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mixzoo.zoo.data import find_images, from_file
from mixzoo.zoo.data.texts import unpacked
from mixzoo.zoo.errors import DataError, IntegrityError, MixzooError

from ..packing import tarred, zipped
from .conftest import annotation_json

FILES = ["t/Aves/12/a.jpg", "t/Aves/3/b.jpg"]
JSON = annotation_json(FILES)
LIST = b"t/Aves/12/a.jpg,12\nt/Aves/3/b.jpg,3\n"


PACKED = {
    "json": JSON,
    "json with a mark": b"\xef\xbb\xbf" + JSON,
    "json in UTF-16": JSON.decode().encode("utf-16"),
    "json.gz": gzip.compress(JSON),
    "json.tar.gz": tarred(("val2018.json", JSON), mode="w:gz"),
    "json.tar.gz in a folder": tarred(
        ("./annotations/val2018.json", JSON), ("README", b"hello"), mode="w:gz"
    ),
    "json.tar.gz of a Mac": tarred(("._val2018.json", b"\0"), ("val2018.json", JSON), mode="w:gz"),
    "json.tar": tarred(("val2018.json", JSON)),
    "json.zip": zipped(("val2018.json", JSON)),
    "json.zip of a Mac": zipped(("val.json", JSON), ("__MACOSX/._val.json", b"\0")),
    "list": LIST,
    "list.gz": gzip.compress(LIST),
    "list.zip": zipped(("val.txt", LIST)),
}


@pytest.mark.parametrize("content", PACKED.values(), ids=PACKED)
def test_content_decides(tmp_path: Path, content: bytes) -> None:
    """Whatever the file is called, its images and labels are the same."""
    for name in ("labels", "val2018.json.tar.gz", "val.txt"):
        (tmp_path / name).write_bytes(content)

        images = from_file(tmp_path, tmp_path / name)

        assert (images.files, images.labels) == (tuple(FILES), (12, 3))


@pytest.mark.parametrize("name", ["val2018.json.tar.gz", "annotations/val2018.json.zip", "val.csv"])
def test_packed_label_files_are_found(tmp_path: Path, name: str) -> None:
    """As they were downloaded; an unpacked one beside it is taken first."""
    for file in (*FILES, name):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).touch()
    (tmp_path / name).write_bytes(LIST if name.endswith("csv") else PACKED["json.tar.gz"])

    assert find_images(tmp_path).origin == Path(name).name
    (tmp_path / "val2018.json").write_bytes(JSON)
    assert find_images(tmp_path, names=["val2018.json"]).origin == "val2018.json"


REFUSED: dict[str, tuple[bytes, type[MixzooError], str]] = {
    "two": (
        tarred(("a.json", JSON), ("b.json", JSON), mode="w:gz"),
        DataError,
        r"it holds several \(a.json, b.json",
    ),
    "none": (
        tarred(("a.jpg", b""), mode="w:gz"),
        DataError,
        "expected an archive with one label file, it holds none",
    ),
    "zip of images": (zipped(("a.jpg", b"")), DataError, "it holds none"),
    "bomb": (gzip.compress(b"a" * (3 << 20)), IntegrityError, "expected a label file of at most"),
    "bomb in a zip": (zipped(("a.txt", b"a" * (3 << 20))), IntegrityError, "of at most"),
    "cut gzip": (gzip.compress(JSON)[:-9], IntegrityError, "whole label file: .*Download it again"),
    "cut tar": (
        tarred(("a.json", JSON))[:600],
        IntegrityError,
        "expected a whole label file: ",
    ),
    "cut zip": (zipped(("a.json", JSON))[:-9], IntegrityError, "expected a whole label file: "),
}


@pytest.mark.parametrize(("content", "kind", "message"), REFUSED.values(), ids=REFUSED)
def test_what_is_damaged_or_holds_several(
    tmp_path: Path, content: bytes, kind: type[MixzooError], message: str
) -> None:
    """One line; which of two files is meant is asked, not guessed."""
    (tmp_path / "labels").write_bytes(content)

    with pytest.raises(kind, match=message) as error:
        from_file(tmp_path, tmp_path / "labels")

    assert "\n" not in str(error.value)


def flipped(content: bytes) -> st.SearchStrategy[bytes]:
    """The content with some of its bytes changed, or its end cut off."""
    changes = st.dictionaries(st.integers(0, len(content) - 1), st.integers(0, 255), max_size=4)
    cut = st.one_of(st.just(len(content)), st.integers(0, len(content)))

    def change(at: dict[int, int], end: int) -> bytes:
        return bytes(at.get(i, byte) for i, byte in enumerate(content))[:end]

    return st.builds(change, changes, cut)


@settings(max_examples=150)
@given(st.sampled_from([*PACKED.values()]).flatmap(flipped))
def test_damage_is_one_line(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    """Of any packed form: the images, or an error of the package; no exception of another kind."""
    path = tmp_path_factory.getbasetemp() / "labels"
    path.write_bytes(content)

    line = outcome(lambda: from_file(path.parent, path))

    assert "\n" not in line


@settings(max_examples=100)
@given(st.sampled_from([b"\x1f\x8b\x08\0", b"PK\x03\x04", b"PK\x05\x06"]), st.binary(max_size=400))
def test_bytes_behind_a_magic_number_are_one_line(start: bytes, rest: bytes) -> None:
    """What only begins as an archive does."""
    assert "\n" not in outcome(lambda: unpacked(start + rest, "labels"))


def outcome(read: Callable[[], object]) -> str:
    """Nothing, or the line of an error that was raised on purpose."""
    try:
        read()
    except MixzooError as error:
        return str(error)
    return ""
