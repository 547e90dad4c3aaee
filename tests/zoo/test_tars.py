"""The strict walk over a tar finds what `tarfile` finds, and never takes damage for an end."""

import io
import tarfile
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mixzoo.zoo.tars import StrictTar

FORMATS = (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT)
KINDS = (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.CONTTYPE, tarfile.DIRTYPE)
LINKS = (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE)

part = st.text(
    st.characters(codec="utf-8", exclude_characters="/\0\\", exclude_categories=["Cc", "Cs"]),
    min_size=1,
    max_size=70,
)
name = st.lists(part, min_size=1, max_size=5).map("/".join)


@st.composite
def members(draw: st.DrawFn) -> tuple[tarfile.TarInfo, bytes]:
    """A member of any kind, with a body where its kind has one."""
    info = tarfile.TarInfo(draw(name))
    info.type = draw(st.sampled_from(KINDS + LINKS))
    data = draw(st.binary(max_size=1500)) if info.isreg() else b""
    info.size = len(data)
    info.mtime = draw(st.integers(0, 2**33 - 1))
    if info.type in LINKS[:2]:
        info.linkname = draw(name)
    return info, data


def pack(entries: list[tuple[tarfile.TarInfo, bytes]], kind: int, **options: Any) -> bytes:
    """A tar of these entries; those that the format can't hold are left out."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w", format=kind, **options) as tar:
        for info, data in entries:
            try:
                tar.addfile(info, io.BytesIO(data))
            except ValueError:  # ustar has room for 256 bytes of a name
                continue
    return content.getvalue()


def walked(content: bytes) -> list[tuple[str, int, int, bytes]]:
    """Name, offset, size and kind of each member."""
    with StrictTar(fileobj=io.BytesIO(content)) as tar:
        return [(it.name, it.offset_data, it.size, it.type) for it in tar]


def by_tarfile(content: bytes) -> list[tuple[str, int, int, bytes]]:
    """The same by the standard library."""
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        return [(it.name, it.offset_data, it.size, it.type) for it in tar]


@settings(max_examples=80)
@given(entries=st.lists(members(), max_size=6), kind=st.sampled_from(FORMATS))
def test_finds_what_tarfile_finds(entries: list[Any], kind: int) -> None:
    """Names of any length and alphabet, empty files, folders, links: all as `tarfile` has them."""
    content = pack(entries, kind)

    assert walked(content) == by_tarfile(content)


@settings(max_examples=60)
@given(entries=st.lists(members(), min_size=1, max_size=5), wanted=st.sets(st.integers(0, 4)))
def test_bodies_are_the_members_own(entries: list[Any], wanted: set[int]) -> None:
    """Whichever bodies are read and whichever are passed over, each is its member's."""
    wanted = {n for n in wanted if n < len(entries) and entries[n][0].isreg()}
    content = pack(entries, tarfile.PAX_FORMAT)

    with StrictTar(fileobj=io.BytesIO(content)) as tar:
        found = {n: tar.body(it) for n, it in enumerate(tar) if n in wanted}

    assert found == {n: entries[n][1] for n in wanted}


@settings(max_examples=100)
@given(cut=st.integers(0, 1 << 16), kind=st.sampled_from(FORMATS))
def test_a_cut_is_never_an_end(cut: int, kind: int) -> None:
    """Up to the mark of the end every missing byte is an error, not a shorter list."""
    entries = [(tarfile.TarInfo("a" * 99), b""), (tarfile.TarInfo("b"), Random(0).randbytes(700))]
    entries[1][0].size = 700
    content = pack(entries, kind)
    end = len(content.rstrip(b"\0")) + 511 & ~511

    with pytest.raises(tarfile.TarError):
        walked(content[: cut % end])


@settings(max_examples=300)
@given(data=st.data())
def test_damage_is_refused_or_stays_within_the_tar(data: st.DataObject) -> None:
    """Flipped bytes lead to TarError, or to members that lie one behind the other in the tar."""
    entries = [(tarfile.TarInfo("a" * 200), b""), (tarfile.TarInfo("b"), b"")]
    content = bytearray(pack(entries, data.draw(st.sampled_from(FORMATS))))
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, 2500))] = data.draw(st.integers(0, 255))

    try:
        found = walked(bytes(content))
    except tarfile.TarError:
        return

    ends = [0]
    for _, offset, size, _ in found:
        assert ends[-1] + tarfile.BLOCKSIZE <= offset <= offset + size <= len(content)
        ends.append(offset + size)


def header(info: tarfile.TarInfo) -> bytes:
    """A member's first block, as GNU tar writes it."""
    return info.tobuf(tarfile.GNU_FORMAT)


def member(name: str = "a", kind: bytes = tarfile.REGTYPE, size: int = 0) -> tarfile.TarInfo:
    """A header's facts."""
    info = tarfile.TarInfo(name)
    info.type, info.size = kind, size
    return info


def sparse() -> bytes:
    """A file with a pax header that says that its body isn't its content."""
    info = member("sparse")
    info.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0"}
    return pack([(info, b"")], tarfile.PAX_FORMAT)


def damaged_second() -> bytes:
    """Two members, the second one's header with another sum."""
    content = bytearray(header(member("a")) + header(member("b")) + bytes(1024))
    content[512 + 150] ^= 1
    return bytes(content)


def pax(name: str, **facts: str) -> bytes:
    """A file whose pax header says more of it."""
    info = member(name)
    info.pax_headers = facts
    return pack([(info, b"")], tarfile.PAX_FORMAT)


def announced(kind: bytes, times: int) -> bytes:
    """So many headers in a row, each for the next."""
    body = (
        b"a".ljust(512, b"\0")
        if kind == tarfile.GNUTYPE_LONGNAME
        else b"7 a=bc\n".ljust(512, b"\0")
    )
    size = 1 if kind == tarfile.GNUTYPE_LONGNAME else 7
    return (header(member("x", kind, size)) + body) * times + header(member("a")) + bytes(1024)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (pax("a", size="9" * 30), "claims 999,999"),
        (pax("a", size="-7"), "negative size"),
        (announced(tarfile.XHDTYPE, 30_000), "more headers than any honest one"),
        (announced(tarfile.GNUTYPE_LONGNAME, 30_000), "more headers than any honest one"),
        (header(member(size=-512)) + bytes(1024), "negative size"),
        (header(member("s", tarfile.GNUTYPE_SPARSE)) + bytes(1024), "sparse"),
        (sparse(), "sparse"),
        (header(member("x", tarfile.XHDTYPE, -1)) + bytes(1024), "negative size"),
        (header(member("././@LongLink", tarfile.GNUTYPE_LONGNAME, 1 << 30)), "name of 1,073,741"),
        (header(member("x", tarfile.XHDTYPE, 1 << 30)), "claims a name of 1,073,741,824 bytes"),
        (damaged_second(), "header is damaged"),
        (header(member("a")), "without the mark of its end"),
        (b"<html>" * 999, "header is damaged"),
        (b"", "without the mark of its end"),
    ],
)
def test_what_no_tar_of_images_has(content: bytes, message: str) -> None:
    """It is refused before memory or time is spent on it, and no damage passes for the end."""
    with pytest.raises(tarfile.TarError, match=message):
        walked(content)


ODD = st.sampled_from(["", "-1", "9" * 5000, "1e9", "nan", "inf", "1,2", "\0", "../..", "a" * 5000])
FIELDS = st.sampled_from(
    ["size", "path", "linkpath", "mtime", "uid", "hdrcharset", "charset", "comment"]
    + [f"GNU.sparse.{it}" for it in ("major", "minor", "map", "size", "realsize", "name", "offset")]
)


@settings(max_examples=120)
@given(st.dictionaries(FIELDS, ODD, max_size=4), st.sampled_from([*KINDS, *LINKS]), st.data())
def test_odd_headers_are_read_or_refused(
    facts: dict[str, str], kind: bytes, data: st.DataObject
) -> None:
    """Whatever pax headers claim, of whatever member, whole or cut: TarError is all that is raised."""
    info = member("d/" * data.draw(st.sampled_from([0, 3, 2000])) + "a", kind)
    info.pax_headers, info.linkname = facts, data.draw(st.sampled_from(["", "../../etc/passwd"]))
    content = pack([(info, b""), (member("b"), b"")], tarfile.PAX_FORMAT)

    try:
        found = walked(content[: data.draw(st.sampled_from([len(content), 700, 1700]))])
    except tarfile.TarError:
        return

    assert all(0 <= size < 1 << 50 for _, _, size, _ in found)
