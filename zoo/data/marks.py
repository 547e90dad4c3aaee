"""The mark that a folder's split was prepared: what was checked then, and of what.

`prepared-val2018.json` is written last, when every image is on the disk. Until it is there, nothing
that lies in the folder is vouched for. It never claims a check that wasn't made.
"""

from pathlib import Path

import msgspec

from ..files import write
from .sinks import Form


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """One file that was read. md5: of all its bytes, None if they weren't all read.

    expected_md5: the publisher's, as the manifest states it, None if it states none.
    """

    source: str
    size: int | None = None
    md5: str | None = None
    expected_md5: str | None = None

    @property
    def checked(self) -> bool:
        """Whether its md5 was compared with the publisher's (unequal ones never get this far)."""
        return self.md5 is not None and self.md5 == self.expected_md5


class Mark(msgspec.Struct, frozen=True, kw_only=True):
    """What was prepared. list_sha256: of files and labels (`LabelledImages.sha256`)."""

    format: int = 1
    dataset: str
    split: str
    form: Form
    images: int
    list_sha256: str
    annotations: Origin
    archive: Origin


def mark_path(root: Path, annotations: str) -> Path:
    """Where the mark of a split lies. annotations: the name of its annotation file, for both forms."""
    return root / f"prepared-{annotations}"


def read_mark(path: Path) -> Mark | None:
    """The mark, or None if there is none that can be understood."""
    try:
        mark = msgspec.json.decode(path.read_bytes(), type=Mark)
    except (OSError, msgspec.MsgspecError):
        return None
    return mark if mark.format == 1 else None


def write_mark(path: Path, mark: Mark) -> None:
    """Write a mark, whole or not at all."""
    write(path, msgspec.json.format(msgspec.json.encode(mark), indent=2) + b"\n")
