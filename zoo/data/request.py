"""What to prepare from what, decided before anything is read."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ..errors import DataError, MixzooError
from ..manifest import Dataset, Split
from ..net.sources import Location
from .find import find_images
from .marks import Form, Mark, SplitName, read_mark


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
        if split is None or _json_name(split) is None or not self.dataset.image_tree:
            raise DataError(
                f"{self.dataset.name}: its manifest names no annotation JSON and no archive of its "
                f"{name} images, so it can't be prepared. Lay the images out by hand, with a list file."
            )
        return split

    def json_name(self, name: SplitName) -> str:
        """The name of a split's annotation file."""
        return _json_name(self.split(name)) or ""

    def place(self, name: SplitName) -> Path:
        """Where a split's images lie once they are prepared: the folder, or the split's tar."""
        return (
            self.root
            if self.form == "files"
            else self.root / f"{Path(self.json_name(name)).stem}.tar"
        )

    def md5_of(self, file: str) -> str | None:
        """The publisher's md5 of a file, None if the manifest states none."""
        return next((it.md5 for it in self.dataset.files if it.name == file), None)

    @property
    def archive_name(self) -> str:
        """The archive's name at its publisher: that of the tree it holds."""
        return f"{self.dataset.image_tree}.tar.gz"

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
        """An earlier run's mark, if it vouches for what is asked now and all images are here."""
        mark = read_mark(self.root, self.json_name(name))
        md5 = self.md5_of(self.archive_name)
        if mark is None or md5 not in (None, mark.archive.md5):
            return None
        if (mark.dataset, mark.split, mark.form) != (self.dataset.name, name, self.form):
            return None
        try:
            images = find_images(self.place(name), self.root / self.json_name(name))
        except MixzooError:
            return None
        return mark if images.sha256() == mark.list_sha256 else None


def _json_name(split: Split) -> str | None:
    names = [PurePosixPath(name).name for name in split.annotations]
    return next((name for name in names if name.endswith(".json")), None)
