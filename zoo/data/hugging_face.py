"""Writes out a data set of the library `datasets` as image files: from the Hub, or from a folder.

Encoded images become files with the very bytes that the data set holds. No code of a data set is
run: the library has run none since its version 4. It is an extra, imported once it is asked.
"""

import io
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from ..errors import DataError, MixzooError, SourceError, UsageError, several, wall
from ..files import write
from ..images import SUFFIXES, open_image
from ..net.progress import count_bar
from ..net.sources import offline
from .own import CLASSES, in_order, parts_of

if TYPE_CHECKING:
    from datasets import Dataset, Features

HUB = "hf://"
SAVED = ("dataset_dict.json", "state.json", "*.parquet", "data/*.parquet", "*/*.parquet")
Found = list[tuple[str, str, str]]


def is_data_set(source: str) -> bool:
    """Whether a source is one: `hf://USER/NAME`, or a folder that the library saved or reads."""
    return source.startswith(HUB) or any(any(Path(source).glob(form)) for form in SAVED)


def write_out(source: str, root: Path, columns: Sequence[str] = ()) -> tuple[Found, list[str]]:
    """Write a data set's images below `root`, as `SPLIT/CLASS NUMBER/POSITION.jpg`.

    source: `hf://USER/NAME`, perhaps with `/CONFIG` and `@REVISION`, or a folder. columns: of the
    image and its class, where they can't be told. Returns each image's split, path and class, and
    the classes in the order of their numbers, if it has one. What is there with these bytes stays.
    Raises UsageError without the extra, SourceError for what can't be had, DataError for what holds
    no images with classes.
    """
    root.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=".datasets-", dir=root) as cache:
        parts = _read(source, cache)
        features = next(iter(parts.values())).features
        image, label = _columns(source, features, columns)
        order = list(getattr(features[label], "names", None) or [])
        values = () if order else {str(value) for part in parts.values() for value in part[label]}
        names = order or in_order(values)
        numbers = {name: number for number, name in enumerate(names)}
        total = sum(map(len, parts.values()))
        found: Found = []
        with count_bar("writing images", total, " img") as bar:
            for split, part in parts.items():
                for place, (content, value) in enumerate(_rows(part, image, label, source)):
                    where = f"{source}: image {place} of {split or 'train'}"
                    name = names[value] if value in range(len(names)) else str(value)
                    if name not in numbers:
                        raise DataError(
                            f"{where}: expected one of its classes, got {value!r}. Leave it out."
                        )
                    suffix = _suffix(content, where)
                    file = f"{split or 'all'}/{numbers[name]}/{place:06d}{suffix}"
                    path = root / file
                    path.parent.mkdir(parents=True, exist_ok=True)
                    if not path.is_file() or path.read_bytes() != content:
                        write(path, content)
                    found.append((split, file, name))
                    bar.update()
    return found, order


def _read(source: str, cache: str) -> "dict[str, Dataset]":
    """The data set's splits by our names, "" where nothing says which images validate."""
    try:
        import datasets
    except ImportError:
        raise UsageError(
            f"{source}: the package datasets isn't installed. Run: pip install 'mixzoo[datasets]'"
        ) from None
    if not sys.stderr.isatty():
        datasets.disable_progress_bars()
    kind: type[MixzooError] = DataError
    if source.startswith(HUB):
        kind = SourceError
        if name := offline():
            raise SourceError(f"{source}: {name} forbids the network. Unset it, or name a folder.")
    options: Any = {"cache_dir": cache, "streaming": False}
    with wall(kind, source, "See: mixzoo data init --help"):
        if any((Path(source) / name).is_file() for name in SAVED[:2]):
            read: Any = datasets.load_from_disk(source)
        elif kind is DataError:
            read = datasets.load_dataset(source, **options)
        else:
            address, _, revision = source.removeprefix(HUB).partition("@")
            user, name, config = [*address.split("/", 2), "", ""][:3]
            options["revision"] = revision or None
            read = datasets.load_dataset(f"{user}/{name}", config or None, **options)
    if isinstance(read, datasets.Dataset):
        return {"": read}
    parts = {part: read[name] for part, name in parts_of(read)}
    return parts if len(parts) > 1 else {"": next(iter((parts or read).values()))}


def _columns(source: str, features: "Features", given: Sequence[str]) -> tuple[str, str]:
    """The columns of the image and of its class."""
    from datasets import ClassLabel, Image

    images = [name for name, kind in features.items() if isinstance(kind, Image)]
    labels = [name for name, kind in features.items() if isinstance(kind, ClassLabel)]
    labels = labels or [name for name in features if name.lower() in CLASSES]
    if given:
        images, labels = ([it for it in found if it == name] for found, name in
                          zip((images, list(features)), given, strict=True))  # fmt: skip
    if len(images) != 1 or len(labels) != 1:
        told = several((f"{name} ({type(kind).__name__})" for name, kind in features.items()))
        raise DataError(
            f"{source}: expected a column of images and one of their classes, got {told}. Name "
            "them with --columns IMAGE,CLASS."
        )
    return images[0], labels[0]


def _rows(part: "Dataset", image: str, label: str, source: str) -> Iterator[tuple[bytes, Any]]:
    """The encoded image and the class of each row."""
    from datasets import Image

    with wall(DataError, source):
        encoded = part.select_columns([image, label]).cast_column(image, Image(decode=False))
        for row in encoded:
            cell: Any = row[image]  # type: ignore[index]
            yield cell["bytes"] or Path(cell["path"]).read_bytes(), row[label]  # type: ignore[index]


def _suffix(content: bytes, where: str) -> str:
    """The ending of a file with this content. Raises DataError for no image that we decode."""
    with wall(DataError, f"{where}: expected a picture"), open_image(io.BytesIO(content)) as opened:
        suffix = f".{(opened.format or '').lower().replace('jpeg', 'jpg').replace('mpo', 'jpg')}"
    if suffix not in SUFFIXES:
        raise DataError(f"{where}: expected a picture, got {suffix[1:]}. Convert it.")
    return suffix
