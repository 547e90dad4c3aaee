"""What to prepare from what, decided before anything is read."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ..errors import DataError
from ..manifest import Dataset, Split
from ..net.sources import Location
from .annotations import annotation_name, md5_of
from .find import find_images
from .marks import Mark, mark_path, read_mark
from .sinks import Form

SplitName = Literal["val", "train"]


@dataclass(frozen=True)
class Plan:
    """What to prepare from what.

    archive: None for the one in the root, else at the data set's address. annotations: .json or
    .json.tar.gz, none for what lies in the root or beside the archive, else at the address. form:
    image files, or one tar a split. stop_early: end when all images were found, without md5.
    """

    dataset: Dataset
    root: Path
    splits: Sequence[SplitName]
    archive: Location | None = None
    annotations: Sequence[Location] = ()
    form: Form = "files"
    stop_early: bool = False

    def split(self, name: SplitName) -> Split:
        """The manifest's facts of a split. Raises DataError where they don't suffice."""
        split = self.dataset.val if name == "val" else self.dataset.train
        if split is None or annotation_name(split) is None or not self.dataset.image_tree:
            raise DataError(
                f"{self.dataset.name}: its manifest names no annotation JSON and no archive of its "
                f"{name} images, so it can't be prepared. Lay the images out by hand, with a list file."
            )
        return split

    def json_name(self, name: SplitName) -> str:
        """The name of a split's annotation file."""
        return annotation_name(self.split(name)) or ""

    def tar(self, name: SplitName) -> Path:
        """Where a split's tar lies, if it is prepared as one."""
        return self.root / f"{Path(self.json_name(name)).stem}.tar"

    @property
    def archive_name(self) -> str:
        """The archive's name at its publisher: that of the tree it holds."""
        return f"{self.dataset.image_tree}.tar.gz"

    @property
    def archive_md5(self) -> str | None:
        """The publisher's md5 of the archive, None if the manifest states none."""
        return md5_of(self.dataset, self.archive_name)

    def archive_place(self) -> Location:
        """Where the archive is. Raises DataError if nothing tells."""
        if self.archive:
            return self.archive
        here = self.root / self.archive_name
        if here.is_file():
            return Location(here)
        if not self.dataset.base_url:
            raise DataError(
                f"{self.dataset.name}: its manifest names no address of {self.archive_name}. Fetch it "
                "by hand and name it with --archive FILE."
            )
        return Location(f"{self.dataset.base_url.rstrip('/')}/{self.archive_name}")

    def done(self, name: SplitName) -> Mark | None:
        """The mark of an earlier run, if it vouches for what is asked now and all images are here."""
        mark = read_mark(mark_path(self.root, self.json_name(name)))
        asked = (self.dataset.name, name, self.form)
        if mark is None or (mark.dataset, mark.split, mark.form) != asked:
            return None
        if not self.stop_early and mark.archive.md5 is None:
            return None
        if mark.archive.md5 is not None and self.archive_md5 not in (None, mark.archive.md5):
            return None
        data = self.tar(name) if self.form == "tar" else self.root
        try:
            images = find_images(data, annotations=self.root / self.json_name(name))
        except DataError:
            return None
        return mark if images.sha256() == mark.list_sha256 else None
