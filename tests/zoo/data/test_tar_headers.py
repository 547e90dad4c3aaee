"""The walk over a tar's headers finds what `tarfile` finds, in every format that is written today."""

import io
import tarfile
from contextlib import suppress
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mixzoo.zoo.data.tar_headers import TarError, TarWalk

FORMATS = {"ustar": tarfile.USTAR_FORMAT, "gnu": tarfile.GNU_FORMAT, "pax": tarfile.PAX_FORMAT}
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


def walked(content: bytes) -> list[tuple[str, int, int, bool, bool]]:
    """Name, offset, size, file, folder of each member."""
    walk = TarWalk(io.BufferedReader(io.BytesIO(content)))  # type: ignore[arg-type]
    return [(it.name.rstrip("/"), it.offset, it.size, it.is_file, it.is_folder) for it in walk]


def by_tarfile(content: bytes) -> list[tuple[str, int, int, bool, bool]]:
    """The same by the standard library."""
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        return [(it.name, it.offset_data, it.size, it.isreg(), it.isdir()) for it in tar]


@settings(max_examples=150, deadline=None)
@given(entries=st.lists(members(), max_size=6), kind=st.sampled_from(sorted(FORMATS)))
def test_finds_what_tarfile_finds(entries: list[Any], kind: str) -> None:
    """Names of any length and alphabet, empty files, folders, links: all as `tarfile` has them."""
    content = pack(entries, FORMATS[kind])

    assert walked(content) == by_tarfile(content)


@settings(max_examples=60, deadline=None)
@given(
    entries=st.lists(members(), min_size=1, max_size=5),
    read=st.lists(st.booleans(), min_size=5, max_size=5),
)
def test_bodies_are_the_members_own(entries: list[Any], read: list[bool]) -> None:
    """Whichever bodies are read and whichever are passed over, each is its member's."""
    content = pack(entries, tarfile.PAX_FORMAT)
    walk = TarWalk(io.BufferedReader(io.BytesIO(content)))  # type: ignore[arg-type]

    found = [walk.body(it) if wanted else None for it, wanted in zip(walk, read, strict=False)]

    assert found == [
        data if wanted else None for (_, data), wanted in zip(entries, read, strict=False)
    ]


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_damaged_tar_ends_or_is_refused(data: st.DataObject) -> None:
    """Flipped and missing bytes lead to TarError or to another list, never to anything else."""
    entries = [(tarfile.TarInfo("a" * 200), b""), (tarfile.TarInfo("b"), b"")]
    content = bytearray(pack(entries, data.draw(st.sampled_from(sorted(FORMATS.values())))))
    for _ in range(data.draw(st.integers(0, 3))):
        content[data.draw(st.integers(0, 2500))] = data.draw(st.integers(0, 255))

    with suppress(TarError):
        walked(bytes(content[: data.draw(st.integers(0, len(content)))]))


def test_pax_size_prevails() -> None:
    """Files of 8 GiB and more have their size in a pax header; so may small ones."""
    info, data = tarfile.TarInfo("large.jpg"), Random(0).randbytes(700)
    info.size, info.pax_headers = len(data), {"size": "700"}
    content = bytearray(pack([(info, data)], tarfile.PAX_FORMAT))
    start = content.index(b"large.jpg\0")
    short = tarfile.TarInfo("large.jpg")
    content[start : start + 512] = short.tobuf(tarfile.USTAR_FORMAT)

    assert walked(bytes(content)) == by_tarfile(bytes(content))
    assert walked(bytes(content))[0][2] == 700


def test_pax_size_of_a_link_has_no_body() -> None:
    """Whatever a link's size is said to be, the next header follows at once."""
    info = tarfile.TarInfo("link")
    info.type, info.linkname, info.pax_headers = tarfile.SYMTYPE, "x", {"size": "700"}
    content = pack([(info, b""), (tarfile.TarInfo("b"), b"")], tarfile.PAX_FORMAT)

    assert [(it[0], it[1]) for it in walked(content)] == [
        (it[0], it[1]) for it in by_tarfile(content)
    ]


def test_global_pax_header_is_passed_over() -> None:
    """`git archive` begins with one."""
    entries = [(tarfile.TarInfo("a.jpg"), b"")]
    content = pack(entries, tarfile.PAX_FORMAT, pax_headers={"comment": "c" * 900})

    assert walked(content) == by_tarfile(content)


def test_size_beyond_octal_digits() -> None:
    """GNU writes sizes from 8 GiB on in base 256; the header alone is needed to know."""
    info = tarfile.TarInfo("huge")
    info.size = 10 << 30
    stream = io.BufferedReader(io.BytesIO(info.tobuf(tarfile.GNU_FORMAT)))  # type: ignore[arg-type]

    member = next(iter(TarWalk(stream)))

    assert member.size == 10 << 30


def test_times_in_a_gnu_header_are_no_folder() -> None:
    """`tar --format=oldgnu --incremental` has two times where ustar has the front of a long name."""
    header = bytearray(tarfile.TarInfo("a.jpg").tobuf(tarfile.GNU_FORMAT))
    header[345:356] = b"14201234567"
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)

    assert walked(bytes(header) + bytes(1024))[0][0] == "a.jpg"


def test_negative_size_is_refused() -> None:
    """A size below zero would send the walk backwards."""
    info = tarfile.TarInfo("back")
    info.size = -512

    with pytest.raises(TarError, match="negative size"):
        walked(info.tobuf(tarfile.GNU_FORMAT) + bytes(1024))


def test_sparse_file_is_refused() -> None:
    """Its body isn't its content."""
    info = tarfile.TarInfo("sparse")
    info.pax_headers = {"GNU.sparse.major": "1"}

    with pytest.raises(TarError, match="sparse"):
        walked(pack([(info, b"")], tarfile.PAX_FORMAT))


def test_name_of_a_gigabyte_is_refused() -> None:
    """An extended header is held in memory, so its size is bounded."""
    info = tarfile.TarInfo("././@LongLink")
    info.type, info.size = tarfile.GNUTYPE_LONGNAME, 1 << 30

    with pytest.raises(TarError, match="claims a name of 1,073,741,824 bytes"):
        walked(info.tobuf(tarfile.GNU_FORMAT))
