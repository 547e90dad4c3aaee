"""The text of a label file as it was published or saved: packed or not, in any Unicode encoding.

The content decides, never the name: who saves a list has the suffix, the mark and the archive that
their program gave it.
"""

import codecs
import gzip
import io
import zipfile
from pathlib import Path, PurePosixPath
from typing import IO

from ..archive import MOST_GROWTH, SMALL
from ..errors import DataError, IntegrityError, several, wall
from ..images import is_hidden
from ..tars import GZIP, StrictTar

LARGEST = 1 << 30  # bytes of a label file, unpacked; inat2018's largest has a tenth of them
PACKED = (".tar.gz", ".gz", ".zip")  # endings under which label files are looked for too
_KINDS = (".json", ".txt", ".csv", ".tsv")  # endings of a label file among others in an archive
_MARKS = (  # of byte order; UTF-32's begins as UTF-16's does
    (codecs.BOM_UTF8, "utf-8-sig", "a byte-order mark"),
    (codecs.BOM_UTF32_LE, "utf-32", "UTF-32"),
    (codecs.BOM_UTF32_BE, "utf-32", "UTF-32"),
    (codecs.BOM_UTF16_LE, "utf-16", "UTF-16"),
    (codecs.BOM_UTF16_BE, "utf-16", "UTF-16"),
)


def read_text(path: Path) -> tuple[str, list[str]]:
    """The text of a label file, and what was unusual about how it is written.

    Raises DataError for what is no text, IntegrityError for a damaged archive, one of more than
    LARGEST bytes, or one that holds no label file or several.
    """
    with wall(DataError, f"{path}: cannot be read", ""), path.open("rb") as file:
        content = read(file, path)
    content = unpacked(content, path)
    marks = ((code, said) for mark, code, said in _MARKS if content.startswith(mark))
    code, said = next(marks, ("utf-8", ""))
    try:
        text = content.decode(code)
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path}: expected a label file in UTF-8, but byte {error.start:,} isn't text in "
            f"{code.removesuffix('-sig').upper()}. Save it as UTF-8."
        ) from None
    if "\0" in text:
        raise DataError(
            f"{path}: expected a label file, got NUL characters, as of a binary file, or of UTF-16 "
            "without its mark. Save it as UTF-8."
        )
    return text, [said] if said else []


def unpacked(content: bytes, source: object, wanted: str = "") -> bytes:
    """The label file that bytes are, or that they pack: as gzip, tar, both, or zip.

    source: for messages. wanted: its name, where an archive may hold others beside it. Raises
    IntegrityError as `read_text` does, DataError where an archive doesn't hold exactly one.
    """

    def fits(name: str) -> bool:
        path = PurePosixPath(name)
        kind = path.name == wanted if wanted else path.suffix.lower() in _KINDS
        return kind and not is_hidden(path)

    with wall(IntegrityError, f"{source}: expected a whole label file", "Download it again."):
        most = min(LARGEST, max(SMALL, MOST_GROWTH * len(content)))
        if content.startswith(GZIP):
            with gzip.open(io.BytesIO(content)) as inflated:
                content = read(inflated, source, most)
        if content[257:262] == b"ustar":
            with StrictTar(fileobj=io.BytesIO(content)) as tar:
                found = {it.name: tar.body(it) for it in tar if it.isreg() and fits(it.name)}
        elif content.startswith(b"PK\x03\x04"):
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                found = dict.fromkeys(filter(fits, archive.namelist()), b"")
                if len(found) == 1:
                    with archive.open(next(iter(found))) as entry:
                        found = dict.fromkeys(found, read(entry, source, most))
        else:
            return content
    if len(found) != 1:
        got = f"several ({several(found)})" if found else "none"
        raise DataError(
            f"{source}: expected an archive with {wanted or 'one label file'}, it holds {got}. "
            "Unpack it, and name the file."
        )
    return next(iter(found.values()))


def read(file: IO[bytes] | gzip.GzipFile, source: object, most: int = LARGEST) -> bytes:
    """A label file's bytes. Raises IntegrityError if they are more than `most`."""
    content = file.read(most + 1)
    if len(content) > most:
        raise IntegrityError(
            f"{source}: expected a label file of at most {most:,} bytes, got more. Is it the "
            "archive of the images?"
        )
    return content
