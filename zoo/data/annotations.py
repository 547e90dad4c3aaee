"""Gets the annotation file of a split first, so that the archive's pass knows what to keep."""

from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from ..errors import DataError, IntegrityError, SourceError
from ..files import ignore
from ..net.sources import Location, sibling
from ..net.stream import open_stream
from .labels import LabelledImages, from_annotations
from .marks import Origin
from .request import Request, SplitName
from .tars import HashedReader, open_tar_gz

LARGEST = 4 << 30  # bytes of a JSON; inat2018's are two orders of magnitude smaller


@dataclass(frozen=True)
class Annotations:
    """A split's annotations. content: of their file. origin: where it came from."""

    content: bytes
    images: LabelledImages
    origin: Origin


def get_annotations(
    request: Request, split: SplitName, archive: Location, work: Path
) -> Annotations:
    """Read a split's annotations from the first place that has them.

    These are: what the request names; what lies beside a local `archive`; the JSON in the root,
    which is then not compared with any md5; the archive in the root; the data set's base URL.
    work: a folder for a temporary file. Raises IntegrityError on a wrong md5 or a damaged archive,
    DataError for annotations that aren't this split's, SourceError if they can't be had.
    """
    dataset, name, expected = request.dataset, request.json_name(split), request.split(split).images
    place = _place(request, name, archive)
    if str(place).endswith(".json"):
        content, origin = _plain(place)
    else:
        content, origin = _unpacked(place, name, request.md5_of(f"{name}.tar.gz"))
    path = work / name
    path.write_bytes(content)
    images = replace(from_annotations(request.root, path), origin=name)
    if expected not in (None, len(images)):
        raise DataError(
            f"{place}: expected {expected:,} images, as the split of {dataset.name} has, got "
            f"{len(images):,}. Is it another split's or another year's file?"
        )
    if max(images.labels) >= dataset.num_classes:
        raise DataError(
            f"{place}: expected labels from 0 to {dataset.num_classes - 1}, got {max(images.labels)}. "
            "Is it another data set's file?"
        )
    return Annotations(content, images, origin)


def require_md5(origin: Origin, left: str = "Nothing was changed") -> None:
    """Raise IntegrityError if a file isn't the published one. left: what the folder is now."""
    if origin.expected_md5 and not origin.checked:
        raise IntegrityError(
            f"{origin.source}: md5 is {origin.md5}, the manifest says {origin.expected_md5}. {left}; "
            "download the file again."
        )


def _place(request: Request, name: str, archive: Location) -> Location:
    packed = f"{name}.tar.gz"
    places = list(request.annotations)
    stem = name.removesuffix(".json")
    named = [place for place in places if stem in str(place).rpartition("/")[2]]
    if named or len(places) == 1:
        return (named or places)[0]
    near = [] if places else [sibling(archive, packed), sibling(archive, name)]
    local = [*near, Location(request.root / name), Location(request.root / packed)]
    for place in local:
        if isinstance(place.address, Path) and place.address.is_file():
            return place
    if request.dataset.base_url:
        return Location(f"{request.dataset.base_url.rstrip('/')}/{packed}")
    raise SourceError(
        f"{request.dataset.name}: its manifest names no address of {name}. Put it into "
        f"{request.root}, or name it with --annotations FILE|URL."
    )


def _plain(place: Location) -> tuple[bytes, Origin]:
    with open_stream(place) as (_, chunks), HashedReader(chunks, ignore) as reader:
        content = reader.read()
        return content, Origin(source=str(place), size=len(content), md5=reader.md5())


def _unpacked(place: Location, name: str, expected: str | None) -> tuple[bytes, Origin]:
    content = None
    with open_stream(place) as (_, chunks), HashedReader(chunks, ignore) as reader:
        with open_tar_gz(reader, str(place)) as members:
            for member in members:
                if member.isreg() and PurePosixPath(member.name).name == name:
                    if member.size > LARGEST:
                        raise IntegrityError(f"{place}: {name} claims {member.size:,} bytes.")
                    content = members.body(member)
        md5 = reader.md5()
        origin = Origin(source=str(place), size=reader.received, md5=md5, expected_md5=expected)
    require_md5(origin)
    if content is None:
        raise DataError(f"{place}: expected an archive with {name}, it holds none.")
    return content, origin
