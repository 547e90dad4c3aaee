"""However a list was written, it is read as the list it is, or refused in one line."""

import codecs
from collections.abc import Callable
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mixzoo.zoo.data import from_file
from mixzoo.zoo.data.lists import whole
from mixzoo.zoo.errors import DataError, MixzooError

PAIRS = [("t/Aves/12/a.jpg", 12), ("t/Aves/3/b c.JPG", 3), ("t/Fungi/7/d.jpeg", 7)]
PLAIN = "".join(f"{file},{label}\n" for file, label in PAIRS)


def read(root: Path, content: str | bytes) -> list[tuple[str, int]]:
    """The pairs of a list file with this content."""
    path = root / "list"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    images = from_file(root, path)
    return list(zip(images.files, images.labels, strict=True))


SPELLINGS: dict[str, Callable[[Path], str | bytes]] = {
    "commas": lambda _: PLAIN,
    "blanks": lambda _: PLAIN.replace(",", "   "),
    "tabs": lambda _: PLAIN.replace(",", "\t"),
    "semicolons": lambda _: PLAIN.replace(",", " ; "),
    "comma and blank": lambda _: PLAIN.replace(",", ", "),
    "each line its own": lambda _: PLAIN.replace(",", "\t", 1).replace(",", ";", 1),
    "header": lambda _: "file name,category_id\n" + PLAIN,
    "header of tabs": lambda _: '"path"\t"label"\n' + PLAIN.replace(",", "\t"),
    "quotes": lambda _: "".join(f'"{file}","{label}"\n' for file, label in PAIRS),
    "single quotes": lambda _: "".join(f"'{file}' {label}\n" for file, label in PAIRS),
    "whole lines quoted": lambda _: "".join(f'"{file},{label}"\n' for file, label in PAIRS),
    "backslashes": lambda _: PLAIN.replace("/", "\\"),
    "absolute": lambda root: "".join(f"{root}/{file},{label}\n" for file, label in PAIRS),
    "dots": lambda _: "".join(f"./{file.replace('/', '//')},{label}\n" for file, label in PAIRS),
    "labels first": lambda _: "".join(f"{label} {file}\n" for file, label in PAIRS),
    "whole numbers with a point": lambda _: PLAIN.replace("\n", ".0\n"),
    "Windows' lines": lambda _: PLAIN.replace("\n", "\r\n"),
    "old lines": lambda _: PLAIN.replace("\n", "\r"),
    "no last line end": lambda _: PLAIN.rstrip(),
    "blank and comment lines": lambda _: "# of 2018\n\n" + PLAIN.replace("\n", "\n \n#\n"),
    "byte-order mark": lambda _: codecs.BOM_UTF8 + PLAIN.encode(),
    "a mark where files were joined": lambda _: "\ufeff".join(PLAIN.splitlines(keepends=True)),
    "UTF-16": lambda _: PLAIN.encode("utf-16"),
    "UTF-16, big end first": lambda _: codecs.BOM_UTF16_BE + PLAIN.encode("utf-16-be"),
    "UTF-32": lambda _: PLAIN.encode("utf-32"),
}


@pytest.mark.parametrize("spell", SPELLINGS.values(), ids=SPELLINGS)
def test_usual_spellings_are_read(tmp_path: Path, spell: Callable[[Path], str | bytes]) -> None:
    """What people's programs write is the same list."""
    assert read(tmp_path, spell(tmp_path)) == PAIRS


def test_data_folder_behind_a_link(tmp_path: Path) -> None:
    """Absolute paths may be those of the folder itself, or of the link that leads there."""
    (tmp_path / "disk").mkdir()
    link = tmp_path / "link"
    link.symlink_to("disk")

    for root in (link, tmp_path / "disk"):
        assert read(link, f"{root}/a.jpg,3") == [("a.jpg", 3)]


REFUSED = {
    "no label": ("a.jpg\n", "line 1: expected 'path,label'"),
    "no label in a later line": ("a.jpg,1\nb.jpg\n", "line 2"),
    "negative": ("a.jpg,1\nb.jpg,-1\n", "line 2"),
    "fraction": ("a.jpg,3.5\n", "integer label"),
    "name": ("a.jpg,1\nb.jpg,bird\n", "line 2"),
    "other digits": ("a.jpg,٣\n", "integer label"),
    "5,000 digits": (f"a.jpg,{'9' * 5000}\n", "integer label"),
    "empty": ("\n", "got an empty file"),
    "header alone": ("path,label\n", "got an empty file"),
    "two headers": ("path,label\npath,label\na.jpg,1\n", "line 2"),
    "index column": (",path,label\n0,a.jpg,3\n", "expected two columns.*got 3"),
    "column behind the label": ("a.jpg,3,800\n", "line 1"),
    "order that changes": ("a.jpg,1\n2,b.jpg\n", "in the order of the lines before"),
    "comment or image": ("a.jpg,1\n#b.jpg,1\n", "may be a comment, or an image"),
    "comma that parts or belongs to the name": ("1 ,a.jpg\n", "line 1"),
    "quote that stays open": ('"a.jpg,1\n', "line 1"),
    "twice": ("a.jpg,1\n./a.jpg,1\n", "stand more than once, first a.jpg"),
    "out of the folder": ("a/../../b.jpg,1\n", "leads out of the folder"),
    "another disk": ("D:\\data\\a.jpg,1\n", "has a drive letter.*Write paths from that folder on"),
    "elsewhere": ("/data/a.jpg,1\n", "has an absolute path.*Write paths from that folder on"),
    "control bytes": ("a\x1b[2J.jpg,1\n", "control characters"),
    "NUL": ("a\0.jpg,1\n", "NUL characters"),
    "UTF-16 without mark": (PLAIN.encode("utf-16-le"), "NUL characters"),
    "Latin-1": ("é.jpg,1\n".encode("latin-1"), "byte 0 isn't text in UTF-8"),
    "half a UTF-16": (PLAIN.encode("utf-16")[:-1], "isn't text in UTF-16"),
    "picture": (b"\xff\xd8\xff\xe0" + bytes(99), "expected a label file"),
    "folder too deep": ("d/" * 2000 + "a.jpg,1\n", "has a path of more than"),
    "folder of many digits": (f"{'9' * 99}/a.jpg,1\n{'8' * 5000}/b.jpg,2\n", "more than 255 bytes"),
}


@pytest.mark.parametrize(("content", "message"), REFUSED.values(), ids=REFUSED)
def test_what_means_two_things_or_none_is_refused(
    tmp_path: Path, content: str | bytes, message: str
) -> None:
    """One line with what was got and the way on."""
    with pytest.raises(DataError, match=message) as error:
        read(tmp_path, content)

    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 700


def test_unusual_spellings_are_said(tmp_path: Path) -> None:
    """What was understood, what was left out, how much and an example of it; a plain list is silent."""
    path = tmp_path / "l.txt"
    path.write_text("\ufeffpath,label\n# seen on Monday\na\\b.jpg,3.0\n")

    (note,) = from_file(tmp_path, path).notes

    assert note.startswith("l.txt was read with a byte-order mark, a line of column names ('path,l")
    assert "comments left out (1, first '# seen on Monday')" in note
    path.write_text(PLAIN)
    assert not from_file(tmp_path, path).notes


@pytest.mark.parametrize("value", [3, 3.0, "3", "3.0", "03"])
def test_what_is_a_whole_number(value: object) -> None:
    """Programs write whole numbers as text, and as numbers with a point."""
    assert whole(value) == 3


NO_WHOLE_NUMBERS: list[object] = [True, False, None, [3], -1, "-1", 10**9, 10**5000, "9" * 5000]
NO_WHOLE_NUMBERS += ["", " 3", "٣", 3.5, "3.5", -3.0, "3e0", 1e300, float("inf"), float("nan")]


@pytest.mark.parametrize("value", NO_WHOLE_NUMBERS, ids=lambda value: str(type(value)))
def test_what_is_none(value: object) -> None:
    """Nothing is rounded, and truth is no number."""
    assert whole(value) is None


name = st.text(
    st.one_of(
        st.sampled_from("ab1 ,;#'\"._-"), st.characters(codec="utf-8", categories=["L", "N"])
    ),
    min_size=1,
    max_size=8,
).filter(lambda it: it == it.strip() and it.strip("."))
file = st.tuples(st.lists(name, max_size=2), name, st.sampled_from([".jpg", ".JPEG", ".png"])).map(
    lambda it: "/".join((*it[0], it[1] + it[2]))
)
pairs = st.lists(
    st.tuples(file, st.integers(0, 8141)), min_size=1, max_size=5, unique_by=lambda it: it[0]
)


def read_or_refusal(root: Path, content: bytes) -> list[tuple[str, int]] | str:
    """The pairs, or the one line why there are none; any other exception fails the test."""
    try:
        return read(root, content)
    except MixzooError as error:
        line = str(error)
    assert "\n" not in line
    return line


@st.composite
def spelling(draw: st.DrawFn) -> Callable[[list[tuple[str, int]], str], bytes]:
    """A way to write a list; not every one can write every list so that it stays one."""
    separator = draw(st.sampled_from([",", " ", "\t", ";", ", ", "  ", " ;", "\t\t"]))
    end = draw(st.sampled_from(["\n", "\r\n", "\r"]))
    quote = draw(st.sampled_from(["", "", '"', "'"]))
    prefix = draw(st.sampled_from(["", "./", "root"]))
    header = draw(st.sampled_from(["", "path{}label", "image_name{}class id", "# file{}id", "id"]))
    code = draw(st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32"]))
    point = draw(st.sampled_from(["", ".0"]))
    slash = draw(st.sampled_from("//\\"))
    first, shuffled = draw(st.booleans()), draw(st.randoms(use_true_random=False))
    between = draw(st.sampled_from(["", "", "# of 2018", "   "]))

    def write(listed: list[tuple[str, int]], root: str) -> bytes:
        lines = [header.format(separator)] if header else []
        for path, label in shuffled.sample(listed, len(listed)):
            whole_path = (root + "/" if prefix == "root" else prefix) + path
            text = whole_path.replace("/", slash).replace(quote, quote * 2) if quote else whole_path
            both = [f"{quote}{text}{quote}", f"{label}{point}"]
            lines += [
                separator.join(both[::-1] if first else both),
                *([between] if between else []),
            ]
        return end.join(lines).encode(code)

    return write


@settings(max_examples=120)
@given(listed=pairs, write=spelling())
def test_no_spelling_makes_another_list(
    tmp_path_factory: pytest.TempPathFactory, listed: list[tuple[str, int]], write: Callable
) -> None:
    """Any list in any spelling is read as itself, or refused in one line."""
    root = tmp_path_factory.getbasetemp()

    found = read_or_refusal(root, write(listed, str(root)))

    if isinstance(found, list):
        assert sorted(found) == sorted((PurePosixPath(path).as_posix(), n) for path, n in listed)


@settings(max_examples=120)
@given(
    st.one_of(
        st.binary(max_size=300),
        st.text(max_size=200).map(str.encode),
        st.lists(st.sampled_from([*'",;\t \n\r#/\\.3a\0', "a.jpg", "\ufeff", "٣", "{", "["])).map(
            lambda it: "".join(it).encode()
        ),
    )
)
def test_any_bytes_are_a_list_or_one_line(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    """No exception of another kind leaves the reader, and its paths stay below the folder."""
    root = tmp_path_factory.getbasetemp()

    found = read_or_refusal(root, content)

    if isinstance(found, list):
        assert all(path[0] != "/" and ".." not in path.split("/") for path, _ in found)
