"""Gets the annotation file of a split first, so that the archive's pass knows what to keep."""

import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from unicodedata import normalize

from ..errors import DataError, IntegrityError, SourceError
from ..files import ignore
from ..images import is_picture
from ..net.sources import Location, sibling
from ..net.stream import open_stream
from ..tars import GZIP, HashedReader
from .labels import LabelledImages, from_file
from .marks import Origin
from .request import Request, SplitName
from .texts import read, unpacked


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
    DataError for annotations that aren't this split's or name files outside of its image tree,
    SourceError if they can't be had.
    """
    dataset, name, expected = request.dataset, request.json_name(split), request.split(split).images
    place = _place(request, name, archive)
    with open_stream(place) as (_, chunks), HashedReader(chunks, ignore) as reader:
        packed = read(io.BufferedReader(reader), place)
        md5 = reader.md5()
    stated = request.md5_of(f"{name}.tar.gz") if packed.startswith(GZIP) else None
    origin = Origin(source=str(place), size=len(packed), md5=md5, expected_md5=stated)
    require_md5(origin)
    content = unpacked(packed, place, name)
    path = work / name
    path.write_bytes(content)
    images = replace(from_file(request.root, path), origin=name)
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
    _require_tree(images.files, dataset.image_tree, place)
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


def _require_tree(files: Sequence[str], tree: str, place: Location) -> None:
    """Raise DataError for a file that isn't an image of the tree: it would be written there.

    Also for two names that are one where neither case nor the way to write an accent counts.
    """
    seen: dict[str, str] = {}
    for file in files:
        other = seen.setdefault(normalize("NFC", file).casefold(), file)
        problem = ""
        if not file.startswith(f"{tree}/") or not is_picture(PurePosixPath(file)):
            problem = f"expected images in {tree}/, named as images are, got {file!r}"
        elif other != file:
            problem = f"{other!r} and {file!r} would be one file on some disks"
        if problem:
            raise DataError(
                f"{place}: {problem}. Nothing was changed; use the published annotations."
            )
