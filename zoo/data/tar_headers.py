"""Walks the members of a tar that streams by: headers are read, bodies are left to the caller.

`tarfile` halves the speed of such a walk, since it joins the skipped bytes in Python; and it follows
links, sparse maps and owners that an image archive has no use for. The formats read are those that
GNU tar, bsdtar and tarfile write: v7, ustar, GNU (long names, large sizes) and pax (POSIX.1-2001).
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Protocol

BLOCK = 512  # bytes of a tar's unit: headers are one, bodies are padded to it
SKIP = 1 << 20  # bytes passed over at once
LONGEST_NAME = 1 << 20  # bytes that a header of names may be long; honest ones are far shorter

_REGULAR = b"\0", b"0", b"7"
# Links, devices, folders: no body, whatever their size field says (POSIX: "unspecified").
_BODILESS = b"1", b"2", b"3", b"4", b"5", b"6"
_LONG_NAME, _LONG_LINK, _PAX, _PAX_GLOBAL = b"L", b"K", b"x", b"g"
_GNU_MAGIC = b"ustar  "  # its prefix field holds other things


class TarError(Exception):
    """These bytes aren't a whole tar."""


class Reader(Protocol):
    """What a walk needs of a stream; `io.BufferedReader` is one."""

    def read(self, size: int, /) -> bytes:
        """Exactly so many bytes, fewer only at the end."""
        ...

    def readinto(self, buffer: memoryview, /) -> int:
        """Fill a buffer, return how many bytes came; fewer only at the end."""
        ...


@dataclass(frozen=True)
class Member:
    """One entry. offset: of its first body byte in the tar. size: of its body, in bytes.

    is_file: a regular file, whose body is its content. is_folder: a directory.
    """

    name: str
    offset: int
    size: int
    is_file: bool
    is_folder: bool = False


class TarWalk:
    """The members of a tar in order, each body read at most once, and before the next member.

    A body that isn't read is skipped. Raises TarError where the bytes aren't a tar's or end early,
    and whatever the stream raises.
    """

    def __init__(self, stream: Reader) -> None:
        """stream: placed at the tar's first byte."""
        self._stream = stream
        self._position = 0
        self._body_end = 0
        self._trash = memoryview(bytearray(SKIP))

    def __iter__(self) -> Iterator[Member]:
        name, size = None, None  # told by an extended header before the one they are for
        while (header := self._header()) is not None:
            member, kind = _parse(header, self._position)
            if kind in (_LONG_NAME, _LONG_LINK, _PAX, _PAX_GLOBAL):
                body = self._extended(member)
                if kind == _LONG_NAME:
                    name = _text(body.split(b"\0")[0])
                elif kind == _PAX:
                    name, size = _pax(body, name, size)
                continue
            if size is not None and kind not in _BODILESS:
                member = replace(member, size=size)
            if name is not None:
                member = replace(member, name=name)
            name, size = None, None
            self._body_end = self._position + member.size
            yield member
        while self._stream.readinto(self._trash):
            pass  # to the stream's own end, where gzip compares its checksum

    def body(self, member: Member) -> bytes:
        """The content of the member that the walk stands at."""
        data = self._stream.read(member.size)
        self._position += len(data)
        if len(data) != member.size:
            raise TarError(f"it ends inside {member.name}")
        return data

    def _header(self) -> bytes | None:
        """The next header, or None at the mark of the end (a block of zeros)."""
        self._skip_to(-(-self._body_end // BLOCK) * BLOCK)
        block = self._stream.read(BLOCK)
        self._position += len(block)
        if len(block) != BLOCK:
            raise TarError("it ends without the mark of its end")
        return None if block.count(0) == BLOCK else block

    def _skip_to(self, position: int) -> None:
        while self._position < position:
            count = self._stream.readinto(self._trash[: position - self._position])
            if not count:
                raise TarError(f"it ends after {self._position:,} bytes, inside a member")
            self._position += count

    def _extended(self, member: Member) -> bytes:
        if member.size > LONGEST_NAME:
            raise TarError(f"a header claims a name of {member.size:,} bytes")
        body = self.body(member)
        self._body_end = self._position
        return body


def _parse(header: bytes, offset: int) -> tuple[Member, bytes]:
    if not _sums_up(header):
        raise TarError("a member's header is damaged")
    kind, magic = header[156:157], header[257:264]
    name = header[:100].split(b"\0")[0]
    prefix = header[345:500].split(b"\0")[0]
    if prefix and magic.startswith(b"ustar") and magic != _GNU_MAGIC:
        name = prefix + b"/" + name
    size = _number(header[124:136])
    if size < 0:
        raise TarError("a member claims a negative size")
    is_folder = kind == b"5" or (kind == b"\0" and name.endswith(b"/"))
    is_file = kind in _REGULAR and not is_folder
    body = 0 if kind in _BODILESS else size
    return Member(_text(name), offset, body, is_file, is_folder), kind


def _sums_up(header: bytes) -> bool:
    """Whether the bytes have the sum that the header states, its own field counted as spaces."""
    stated, rest = _number(header[148:156]), header[:148] + b" " * 8 + header[156:]
    total = sum(rest)
    # Some old tars sum signed bytes; counting those of every header would take longer than the rest.
    return stated == total or stated == total - 256 * sum(byte > 127 for byte in rest)


def _number(field: bytes) -> int:
    """Octal digits, or GNU's base 256 where the first bit is set."""
    if field[0] == 0o200:
        return int.from_bytes(field[1:], "big")
    if field[0] == 0o377:
        return int.from_bytes(field, "big") - (1 << 8 * len(field))
    digits = field.split(b"\0")[0].strip()
    try:
        return int(digits or b"0", 8)
    except ValueError:
        raise TarError("a member's header is damaged") from None


def _pax(body: bytes, name: str | None, size: int | None) -> tuple[str | None, int | None]:
    """Name and size that pax records "length key=value\\n" tell; they prevail over other headers."""
    while body.strip(b"\0"):
        length, _, _ = body.partition(b" ")
        if not length.isdigit() or not len(length) < int(length) <= len(body):
            raise TarError("a pax header is damaged")
        record, body = body[: int(length)], body[int(length) :]
        key, _, value = record[len(length) + 1 : -1].partition(b"=")
        if key.startswith(b"GNU.sparse."):
            raise TarError("it holds a sparse file, which an archive of images never does")
        if key == b"path":
            name = _text(value)
        elif key == b"size":
            if not value.isdigit():
                raise TarError("a pax header is damaged")
            size = int(value)
    return name, size


def _text(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")
