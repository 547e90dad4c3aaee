"""An archive is unpacked whole and inside its folder, or refused in one line with nothing left."""

import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mixzoo.zoo import archive as rules
from mixzoo.zoo.archive import (
    MOST_GROWTH,
    SMALL,
    Entry,
    judged,
    list_archive,
    parts,
    unpack,
    why_unsafe,
)
from mixzoo.zoo.errors import IntegrityError, SourceError, UsageError

from .packing import tarred, zipped

FILES = {"vis/a.png": b"\x89PNG" * 300, "vis/deep/b.png": b"b" * 10, "empty.txt": b""}


def zip_of(path: Path, entries: Sequence[tuple[str | zipfile.ZipInfo, bytes]]) -> Path:
    path.write_bytes(zipped(*entries))
    return path


def tar_of(path: Path, files: dict[str, bytes], *links: str, mode: str = "w") -> Path:
    path.write_bytes(tarred(*files.items(), links=links, mode=mode))
    return path


def special_zip(name: str, mode: int) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.create_system = 3
    info.external_attr = mode << 16
    return info


def require_refused(archive: Path, message: str) -> None:
    """Refused in one line, and the folder above is as it was."""
    before = sorted(archive.parent.rglob("*"))

    with pytest.raises(IntegrityError) as caught:
        unpack(archive, archive.parent / "out")

    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert archive.name in str(caught.value)
    assert sorted(archive.parent.rglob("*")) == before


@pytest.mark.parametrize("name", ["v.zip", "without_ending"])
def test_honest_zip_is_unpacked_whole(tmp_path: Path, name: str) -> None:
    """Every file with its bytes; the content decides what a file is, not its name."""
    archive = zip_of(tmp_path / name, list(FILES.items()))

    files = unpack(archive, tmp_path / "new" / "out")

    out = tmp_path / "new" / "out"
    assert {str(p.relative_to(out)): p.read_bytes() for p in files} == FILES
    assert sorted(out.parent.iterdir()) == [out]
    assert stat.S_IMODE(out.stat().st_mode) == 0o755


def test_folders_and_the_folder_itself_are_honest_entries(tmp_path: Path) -> None:
    """`zip -r . ` and Windows' backslashes are what people make."""
    names = [("./", b""), ("./a/b.txt", b"b")], [("a\\", b""), ("a\\b.txt", b"b")]
    for number, entries in enumerate(names):
        out = tmp_path / str(number)

        unpack(zip_of(tmp_path / f"{number}.zip", entries), out)

        assert (out / "a/b.txt").read_bytes() == b"b"


def test_modes_of_the_archive_are_not_taken_over(tmp_path: Path) -> None:
    """No set-user-id program comes out of a picture archive."""
    archive = zip_of(tmp_path / "v.zip", [(special_zip("run", stat.S_IFREG | 0o6755), b"#!")])

    (path,) = unpack(archive, tmp_path / "out")

    assert not path.stat().st_mode & (stat.S_ISUID | stat.S_ISGID | stat.S_IXUSR)


def central(content: bytes, offset: int, form: str, value: int) -> bytes:
    """A zip with another number in the list of its entries, which stands at its end."""
    changed = bytearray(content)
    struct.pack_into(form, changed, content.index(b"PK\x01\x02") + offset, value)
    return bytes(changed)


def same(content: bytes) -> bytes:
    return content


Entries = list[tuple[str | zipfile.ZipInfo, bytes]]
NAMED: dict[str, str] = {
    "../evil": "leads out of the folder",
    "a/../../evil": "leads out of the folder",
    "..\\evil": "leads out of the folder",
    "/etc/evil": "absolute path",
    "//server/share/evil": "absolute path",
    "\\evil": "absolute path",
    "C:\\evil": "drive letter",
    "a/c:evil": "drive letter",
    "a\x1b[2Jb": "control characters",
    "a\nb": "control characters",
    "n" * 256: "more than 255 bytes",
    "d/" * 300 + "x": "folders deep",
    "d/" * 2000 + "x": "1000 bytes",
}
SPECIAL = {stat.S_IFLNK: "is a link", stat.S_IFIFO: "is a device", stat.S_IFCHR: "is a device"}
# which of the two a program shows would depend on the program
TWICE = [("a", "a"), ("a", "./a"), ("a", "a/b"), ("a/b", "a"), ("x/y", "x\\y")]
TEXT_SUM = struct.pack("<I", zlib.crc32(b"text"))
ONE: Entries = [("aXb.txt", b"text" * 100)]
HOSTILE: list[tuple[Entries, Callable[[bytes], bytes], str]] = [
    *(([("good", b""), (name, b"")], same, message) for name, message in NAMED.items()),
    # also where a link points inside: a later entry could be written through it
    *(
        ([(special_zip("a", k | 0o777), b"/etc"), ("a/b", b"")], same, m)
        for k, m in SPECIAL.items()
    ),
    *(([(one, b"x"), (other, b"x")], same, "stands twice") for one, other in TWICE),
    # zipfile ends names at a NUL; what stands behind it is judged too
    (ONE, lambda it: it.replace(b"aXb.txt", b"a\0b.txt"), "control characters"),
    (ONE, lambda it: central(it, 8, "<H", 1), "is encrypted"),
    (ONE, lambda it: central(it, 10, "<H", 97), "cannot be read here"),
    # zipfile alone would take an early end with the right checksum for whole
    (ONE, lambda it: central(it, 24, "<I", 500), "isn't 500 bytes long"),
    # found when the second is written: the first is gone too
    (
        [("1", b""), ("2", b"text")],
        lambda it: it.replace(TEXT_SUM, b"\1\2\3\4"),
        "Download it again",
    ),
    ([("zeros", bytes(5 << 20))], same, "to grow at most 100 times"),
]


@pytest.mark.parametrize(("entries", "change", "message"), HOSTILE, ids=lambda it: ascii(it)[:20])
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_what_no_honest_zip_has_refuses_the_whole(
    tmp_path: Path, entries: Entries, change: Callable[[bytes], bytes], message: str
) -> None:
    """Nothing is written, not even the good entry before a bad one."""
    archive = zip_of(tmp_path / "v", entries)
    archive.write_bytes(change(archive.read_bytes()))

    require_refused(archive, message)


def test_bombs_are_refused_by_count_and_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each limit by itself."""
    zeros = zip_of(tmp_path / "ratio.zip", [("zeros", bytes(5 << 20))])
    many = zip_of(tmp_path / "many.zip", [(str(i), b"") for i in range(12)])

    monkeypatch.setattr(rules, "MOST_ENTRIES", 11)
    require_refused(many, "at most 11 entries")
    monkeypatch.setattr(rules, "MOST_BYTES", 1 << 20)
    require_refused(zeros, "at most 1,048,576 bytes unpacked")


def test_bomb_of_entries_that_share_their_bytes_is_refused(tmp_path: Path) -> None:
    """Overlapping entries (Fifield 2019) pass a limit per entry; the archive's own ratio tells."""
    entries = [Entry(str(i), 2 << 20, 1 << 20, is_folder=False) for i in range(100)]

    assert "expected it to grow" in (rules.why_refused(entries, 1 << 20) or "")


def test_cut_zip_is_refused_wherever_it_is_cut(tmp_path: Path) -> None:
    """Its list of entries stands at its end."""
    archive = zip_of(tmp_path / "v.zip", list(FILES.items()))
    whole = archive.read_bytes()
    for end in range(1, len(whole), max(1, len(whole) // 25)):
        archive.write_bytes(whole[:end])
        require_refused(archive, "Download it again")


@pytest.mark.parametrize("content", [b"", b"PK", b"hello" * 500, b"\x1f\x8b" + b"x" * 600])
def test_what_is_no_archive_is_one_line(tmp_path: Path, content: bytes) -> None:
    """An empty file, text, and a gzip of nothing."""
    archive = tmp_path / "v.zip2"
    archive.write_bytes(content)

    require_refused(archive, "expected a whole ")


def test_existing_folder_and_missing_archive_are_the_users_errors(tmp_path: Path) -> None:
    """Nothing is merged into what is there."""
    archive = zip_of(tmp_path / "v.zip", list(FILES.items()))

    with pytest.raises(UsageError, match="exists already"):
        unpack(archive, tmp_path)
    with pytest.raises(UsageError, match="No such file"):
        unpack(tmp_path / "gone.zip", tmp_path / "out")
    with pytest.raises(UsageError, match="Is a directory"):
        unpack(tmp_path, tmp_path / "out")


def test_full_disk_is_told_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The room is known beforehand; so is what is needed."""
    archive = zip_of(tmp_path / "v.zip", list(FILES.items()))
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 100}))

    with pytest.raises(SourceError, match="expected room for 1,210 bytes"):
        unpack(archive, tmp_path / "out")

    assert not (tmp_path / "out").exists()


def test_disk_that_refuses_leaves_nothing(tmp_path: Path) -> None:
    """A target below a plain file can't be made: one line."""
    archive = zip_of(tmp_path / "v.zip", list(FILES.items()))

    with pytest.raises(SourceError, match="cannot be unpacked to"):
        unpack(archive, archive / "out")


def test_list_tells_unsafe_entries_without_writing(tmp_path: Path) -> None:
    """A look at an archive is free, and says which entries keep it from being unpacked."""
    archive = zip_of(tmp_path / "v.zip", [("good", b"12345"), ("../evil", b"")])

    content = list_archive(archive)

    assert [(e.name, e.size) for e in content.entries] == [("good", 5), ("../evil", 0)]
    assert [bool(e.unsafe) for e in content.entries] == [False, True]
    assert "'../evil' leads out" in (content.refused or "")
    assert list(tmp_path.iterdir()) == [archive]


@settings(max_examples=100)
@given(st.data())
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_any_damage_is_one_line_and_leaves_nothing(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Bytes changed or cut anywhere: the archive is unpacked, or refused by an error of the package."""
    folder = tmp_path_factory.mktemp("fuzz")
    archive = zip_of(folder / "v.zip", [*FILES.items(), ("large.txt", b"ab" * 70_000)])
    content = bytearray(archive.read_bytes())
    # What stands at the end, the list of entries, says what all else is.
    places = st.one_of(st.integers(0, len(content) - 1), st.integers(1, 300).map(lambda n: -n))
    for place in data.draw(st.lists(places, max_size=4)):
        content[place] = data.draw(st.sampled_from([0, 1, 0x7F, 0x80, 0xFF, 9, 14, 97]))
    archive.write_bytes(content[: data.draw(st.sampled_from([len(content), len(content) - 1, 99]))])

    line = ""
    for use in (lambda: unpack(archive, folder / "out"), lambda: list_archive(archive)):
        try:
            use()
        except (IntegrityError, SourceError) as error:
            line = str(error)

    assert "\n" not in line
    assert (folder / "out").exists() or list(folder.iterdir()) == [archive]


NAMES = st.lists(
    st.sampled_from(["..", ".", "", "a", "b", "C:", "\\", "\0", "é", "a" * 300]), max_size=5
)


@settings(max_examples=300)
@given(st.one_of(NAMES.map("/".join), NAMES.map("\\".join), st.text(max_size=20)))
def test_a_safe_name_stays_below_the_folder(name: str) -> None:
    """Whatever a name looks like: unsafe, or a path that stays where it belongs, on any system."""
    if why_unsafe(name) is None:
        path = parts(name)
        assert not path.is_absolute()
        assert ".." not in path.parts
        assert "\\" not in str(path)
        assert PurePosixPath("/out") in [
            *(PurePosixPath("/out") / path).parents,
            PurePosixPath("/out") / path,
        ]


@settings(max_examples=300)
@given(
    st.lists(st.tuples(st.sampled_from(["a", "b", "a/b", "a/b/c", "a\\b", "./a"]), st.booleans()))
)
def test_entries_judged_safe_never_meet(entries: list[tuple[str, bool]]) -> None:
    """Safe files have names of their own, and no file stands where a folder must be."""
    marked = judged([Entry(name, 0, 0, folder) for name, folder in entries])

    files = [parts(e.name) for e in marked if not e.unsafe and not e.is_folder]
    folders = {parts(e.name) for e in marked if not e.unsafe and e.is_folder}
    above = {parent for e in marked if not e.unsafe for parent in parts(e.name).parents}
    assert len(set(files)) == len(files)
    assert not set(files) & (folders | above)


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_tar_is_unpacked_whole_or_what_is_wanted_of_it(tmp_path: Path, mode: str) -> None:
    """Gzipped or not, as a zip is."""
    archive = tar_of(tmp_path / "logs.tar", FILES, mode=mode)

    files = unpack(archive, tmp_path / "all")
    some = unpack(archive, tmp_path / "some", wanted=lambda name: name.endswith("a.png"))

    assert {str(p.relative_to(tmp_path / "all")): p.read_bytes() for p in files} == FILES
    assert [str(p.relative_to(tmp_path / "some")) for p in some] == ["vis/a.png"]


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_tar_with_links_or_ways_out_or_too_much_is_refused(tmp_path: Path, mode: str) -> None:
    """Before the first byte is written, and without inflating all of a bomb."""
    bomb = {"a": bytes(2 * SMALL), "b": bytes(MOST_GROWTH * SMALL)} if mode == "w:gz" else {}

    require_refused(tar_of(tmp_path / "l.tar", FILES, "w.pth", mode=mode), "is a link")
    require_refused(tar_of(tmp_path / "o.tar", {"../w.pth": b""}, mode=mode), "leads out")
    require_refused(tar_of(tmp_path / "t.tar", {"w": b"", "./w": b"1"}, mode=mode), "stands twice")
    if bomb:
        require_refused(tar_of(tmp_path / "b.tar", bomb, mode=mode), "to grow at most 100 times")


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_cut_tar_is_refused(tmp_path: Path, mode: str) -> None:
    """In one line."""
    whole = tar_of(tmp_path / "w.tar", FILES, mode=mode).read_bytes()
    for length in (600, 1500) if mode == "w" else (len(whole) // 3, len(whole) - 9):
        (tmp_path / "c.tar").write_bytes(whole[:length])

        require_refused(tmp_path / "c.tar", "expected a whole ")


@pytest.mark.parametrize("pack", [zip_of, lambda path, entries: tar_of(path, dict(entries))])
@pytest.mark.parametrize("then", [["a"], ["a", "c"]])
def test_archive_that_changes_meanwhile_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pack: Any, then: list[str]
) -> None:
    """What was judged is what is written, or nothing is."""
    path = pack(tmp_path / "a", [("a", b"1"), ("b", b"2")])
    monkeypatch.setattr(
        rules, "require_space", lambda *_: pack(path, [(name, b"1") for name in then])
    )

    require_refused(path, "changed while it was read. Run again")
