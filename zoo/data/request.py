"""What to prepare from what, decided before anything is read; and the mark that it was prepared.

`prepared-val2018.json` is written last, when every image is on the disk. Until it is there, nothing
that lies in the folder is vouched for. It never claims a check that wasn't made.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

import msgspec

from ..errors import DataError
from ..files import write
from ..manifest import Dataset, Split
from ..net.sources import Location

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

    format: Literal[1] = 1
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
        return msgspec.json.decode(mark_path(root, annotations).read_bytes(), type=Mark)
    except (OSError, msgspec.MsgspecError, RecursionError):
        return None


def write_mark(root: Path, annotations: str, mark: Mark) -> None:
    """Write a split's mark, whole or not at all."""
    content = msgspec.json.format(msgspec.json.encode(mark), indent=2)
    write(mark_path(root, annotations), content + b"\n")


@dataclass(frozen=True)
class Request:
    """What to prepare from what.

    archive: None for the one in the root, else at the data set's address. annotations: .json or
    .json.tar.gz, none for what lies in the root or beside the archive, else at the address. form:
    image files, or one tar a split.
    """

    dataset: Dataset
    root: Path
    splits: Sequence[SplitName]
    archive: Location | None = None
    annotations: Sequence[Location] = ()
    form: Form = "files"

    def split(self, name: SplitName) -> Split:
        """The manifest's facts of a split. Raises DataError where they don't suffice."""
        split = self.dataset.split(name)
        if split is None or _json_name(split) is None:
            raise DataError(
                f"{self.dataset.name}: its manifest names no annotation JSON of its {name} images. "
                "Lay the images out by hand, with a list file."
            )
        return split

    def json_name(self, name: SplitName) -> str:
        """The name of a split's annotation file."""
        return _json_name(self.split(name)) or ""

    def place(self, name: SplitName) -> Path:
        """Where a split's images lie once they are prepared: the folder, or the split's tar."""
        tar = self.root / f"{Path(self.json_name(name)).stem}.tar"
        return self.root if self.form == "files" else tar

    def published(self, file: str) -> Location | None:
        """A file's address at its publisher, None if the manifest names none."""
        base = self.dataset.base_url
        return Location(f"{base.rstrip('/')}/{file}") if base else None

    def md5_of(self, file: str) -> str | None:
        """The publisher's md5 of a file, None if the manifest states none."""
        return next((it.md5 for it in self.dataset.files if it.name == file), None)

    @property
    def archive_name(self) -> str:
        """The archive's name at its publisher: that of the tree it holds. Raises DataError."""
        if not self.dataset.image_tree:
            raise DataError(
                f"{self.dataset.name}: its manifest names no archive of its images, so they can't "
                "be prepared. Lay them out by hand."
            )
        return f"{self.dataset.image_tree}.tar.gz"

    def archive_place(self) -> Location:
        """Where the archive is. Raises DataError if nothing tells."""
        here = self.root / self.archive_name
        named = self.archive or (Location(here) if here.is_file() else None)
        if place := named or self.published(self.archive_name):
            return place
        raise DataError(
            f"{self.dataset.name}: its manifest names no address of {self.archive_name}. Fetch it "
            "by hand and name it with --archive FILE."
        )


def _json_name(split: Split) -> str | None:
    names = [PurePosixPath(name).name for name in split.annotations]
    return next((name for name in names if name.endswith(".json")), None)
