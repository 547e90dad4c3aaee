"""The mark that a folder's split was prepared: what was checked then, and of what.

`prepared-val2018.json` is written last, when every image is on the disk. Until it is there, nothing
that lies in the folder is vouched for. It never claims a check that wasn't made.
"""

from pathlib import Path
from typing import Literal

import msgspec

from ..files import write

Form = Literal["files", "tar"]
SplitName = Literal["val", "train"]


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """One file that was read whole. size: bytes. md5: of all of them.

    expected_md5: the publisher's, as the manifest states it, None if it states none.
    """

    source: str
    size: int
    md5: str
    expected_md5: str | None = None

    @property
    def checked(self) -> bool:
        """Whether its md5 was compared with the publisher's (unequal ones never get this far)."""
        return self.md5 == self.expected_md5


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
    """Where a split's mark lies. annotations: the name of its annotation file, for both forms."""
    return root / f"prepared-{annotations}"


def read_mark(root: Path, annotations: str) -> Mark | None:
    """A split's mark, or None if there is none that can be understood."""
    try:
        mark = msgspec.json.decode(mark_path(root, annotations).read_bytes(), type=Mark)
    except (OSError, msgspec.MsgspecError, RecursionError):
        return None
    return mark if mark.format == 1 else None


def write_mark(root: Path, annotations: str, mark: Mark) -> None:
    """Write a split's mark, whole or not at all."""
    content = msgspec.json.format(msgspec.json.encode(mark), indent=2)
    write(mark_path(root, annotations), content + b"\n")
