"""Gets the annotation file of a split, small and first, so that the archive's pass knows what to keep."""

from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from ..errors import DataError, IntegrityError, SourceError
from ..manifest import Dataset, Split
from ..net.sources import Location, sibling
from ..net.stream import open_stream
from .inflate import HashedReader, open_tar_gz
from .labels import LabelledImages, from_annotations
from .marks import Origin

LARGEST = 4 << 30  # bytes of a JSON; inat2018's are two orders of magnitude smaller


@dataclass(frozen=True)
class Annotations:
    """A split's annotations. name: of the file. content: its bytes. origin: where they came from."""

    name: str
    content: bytes
    images: LabelledImages
    origin: Origin


def annotation_name(split: Split) -> str | None:
    """The name of a split's annotation JSON, None if its labels are lists alone."""
    names = [PurePosixPath(name).name for name in split.annotations]
    return next((name for name in names if name.endswith(".json")), None)


def md5_of(dataset: Dataset, name: str) -> str | None:
    """The publisher's md5 of a file, None if the manifest states none."""
    return next((file.md5 for file in dataset.files if file.name == name), None)


def get_annotations(
    dataset: Dataset, split: Split, root: Path, work: Path, places: list[Location]
) -> Annotations:
    """Read a split's annotations from the first place that has them.

    places: .json or .json.tar.gz files that were named. Otherwise: the JSON in `root`, which is then
    not compared with any md5; the archive in `root`; the data set's base URL. work: a folder for a
    temporary file. Raises IntegrityError on a wrong md5 or a damaged archive, DataError for
    annotations that aren't this split's, SourceError if they can't be had.
    """
    name = annotation_name(split)
    assert name is not None
    place = _place(dataset, name, root, places)
    if str(place).endswith(".json"):
        content, origin = _plain(place)
    else:
        content, origin = _unpacked(place, name, md5_of(dataset, f"{name}.tar.gz"))
    path = work / name
    path.write_bytes(content)
    images = replace(from_annotations(root, path), origin=name)
    if split.images not in (None, len(images)):
        raise DataError(
            f"{place}: expected {split.images:,} images, as the split of {dataset.name} has, got "
            f"{len(images):,}. Is it another split's or another year's file?"
        )
    if max(images.labels) >= dataset.num_classes:
        raise DataError(
            f"{place}: expected labels from 0 to {dataset.num_classes - 1}, got {max(images.labels)}. "
            "Is it another data set's file?"
        )
    return Annotations(name, content, images, origin)


def _place(dataset: Dataset, name: str, root: Path, places: list[Location]) -> Location:
    stem = name.removesuffix(".json")
    named = [place for place in places if stem in str(place).rpartition("/")[2]]
    if named or len(places) == 1:
        return (named or places)[0]
    local = [root / name, root / f"{name}.tar.gz"]
    if found := next((path for path in local if path.is_file()), None):
        return Location(found)
    if dataset.base_url:
        return Location(f"{dataset.base_url.rstrip('/')}/{name}.tar.gz")
    raise SourceError(
        f"{dataset.name}: its manifest names no address of {name}. Put it into {root}, or name it "
        "with --annotations FILE|URL."
    )


def beside(archive: Location, name: str) -> list[Location]:
    """The annotations that lie beside a local archive, packed or not."""
    near = [sibling(archive, f"{name}.tar.gz"), sibling(archive, name)]
    return [it for it in near if isinstance(it.address, Path) and it.address.is_file()][:1]


def _plain(place: Location) -> tuple[bytes, Origin]:
    with open_stream(place) as stream, HashedReader(stream.chunks, lambda _: None) as reader:
        content = reader.read()
        return content, Origin(source=str(place), size=len(content), md5=reader.md5())


def _unpacked(place: Location, name: str, expected: str | None) -> tuple[bytes, Origin]:
    content = None
    with open_stream(place) as stream, HashedReader(stream.chunks, lambda _: None) as reader:
        with open_tar_gz(reader, str(place)) as members:
            for member in members:
                if member.is_file and PurePosixPath(member.name).name == name:
                    if member.size > LARGEST:
                        raise IntegrityError(f"{place}: {name} claims {member.size:,} bytes.")
                    content = members.body(member)
        origin = Origin(
            source=str(place), size=reader.received, md5=reader.md5(), expected_md5=expected
        )
    require_md5(origin)
    if content is None:
        raise DataError(f"{place}: expected an archive with {name}, it holds none.")
    return content, origin


def require_md5(origin: Origin, left: str = "Nothing was changed") -> None:
    """Raise IntegrityError if a file isn't the published one. left: what the folder is now."""
    if origin.expected_md5 and origin.md5 != origin.expected_md5:
        raise IntegrityError(
            f"{origin.source}: md5 is {origin.md5}, the manifest says {origin.expected_md5}. {left}; "
            "download the file again."
        )
