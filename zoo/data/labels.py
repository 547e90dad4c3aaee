"""Reads the labelled images of a split: from annotation JSON, a list, or class folders.

The label of an iNaturalist image is its `category_id`, an integer that is also the name of the
folder it lies in. Nothing here ever numbers classes by sorting or by first appearance.
"""

import hashlib
import json
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePath, PurePosixPath
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from ..archive import why_unsafe
from ..errors import DataError, several, wall
from ..images import SUFFIXES, is_hidden, is_picture
from ..manifest import each_once
from .diagnose import category, diagnose_labels
from .lists import read_lines, whole
from .stores import FolderStore, ImageStore
from .texts import read_text

EXPECTED = "expected iNaturalist annotation JSON (images, annotations)"
OWN = "mixzoo data init"  # contributor of annotations whose classes have numbers of their own
OFFICIAL = "Download the official file again."
# A path that can only be one: most are, and half a million are asked in a second.
_PLAIN = re.compile(r"(?:[\w-][\w.+ -]{0,200}/){0,9}[\w-][\w.+ -]{0,200}", re.ASCII)


@dataclass(frozen=True)
class LabelledImages:
    """Image files with their labels, in the order of their source.

    store: what reads `files`, POSIX paths. labels: class index per file. origin: where the labels
    were read, for reports. notes: sentences on what was left out of the count, and on what was read
    although it is unusual.
    """

    store: ImageStore
    files: tuple[str, ...]
    labels: tuple[int, ...]
    origin: str
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.files)

    @property
    def root(self) -> Path:
        """The folder or archive that the images lie in."""
        return self.store.root

    def read(self, index: int) -> bytes:
        """The bytes of one image. Raises DataError naming its file if it can't be read."""
        return self.store.read(self.files[index])

    @cached_property
    def sizes(self) -> npt.NDArray[np.int64]:
        """(N,) bytes of each file when this was first asked for; -1 where there is none."""

        def size(file: str) -> int:
            try:
                return self.store.size(file)
            except DataError:
                return -1

        return np.array([size(file) for file in self.files], np.int64)

    def sha256(self) -> str:
        """Hash of the sorted "path,label" lines: equal lists hash equal whatever their source."""
        pairs = zip(self.files, self.labels, strict=True)
        return _hash_lines(f"{file},{label}\n" for file, label in pairs)

    def files_sha256(self) -> str:
        """Hash of the sorted "path,label,sha256 of the file" lines: equal only for equal images."""
        pairs = zip(self.files, self.labels, strict=True)
        return _hash_lines(
            f"{file},{n},{hashlib.sha256(self.store.read(file)).hexdigest()}\n" for file, n in pairs
        )

    def class_counts(self) -> Counter[int]:
        """Images per label."""
        return Counter(self.labels)


def from_file(root: Path, path: Path) -> LabelledImages:
    """Read the label file of images below `root`: annotation JSON or a list, packed or not.

    A COCO-like JSON (iNaturalist's) labels each image by its annotation's `category_id`; a list has
    lines `path,label` (see `lists`). The content tells them apart. Raises DataError for what is
    neither, names an image twice or one outside of `root`, or contradicts `<category_id>` folders;
    IntegrityError for a damaged archive.
    """
    text, unusual = read_text(path)
    as_json = path.suffix == ".json" or text.lstrip()[:1] in ("{", "[")
    if as_json:
        with wall(DataError, f"{path}: {EXPECTED}", OFFICIAL):
            (pairs, own), more = _annotated(text, path), []
    else:
        (pairs, more), own = read_lines(text, path), False
    files = below(root, (file for file, _ in pairs), path)
    labels = tuple(label for _, label in pairs)
    _check_labels(files, labels, path, own=own)
    unusual += more
    if sample := next((file for file, _ in pairs if "\\" in file), None):
        unusual.append(f"backslashes as slashes ({sample!r})")
    notes = (f"{path.name} was read with {several(unusual)}.",) if unusual else ()
    return LabelledImages(FolderStore(root), files, labels, path.name, notes)


def from_folders(root: Path) -> LabelledImages:
    """Read images from `<category_id>/` or `<supercategory>/<category_id>/` folders.

    Links are followed. Raises DataError if a folder that holds images isn't named by an integer, or
    can't be read, or if a link leads nowhere.
    """
    files: list[str] = []
    labels: list[int] = []
    left_out: list[str] = []
    for folder, names in walk(root, left_out):
        pictures = [name for name in names if is_picture(PurePosixPath(name))]
        for name in sorted(set(names).difference(pictures)):
            left_out.append((folder / name).as_posix())
            if not (root / folder / name).exists():  # it may have been a folder of images
                raise DataError(f"{root / folder / name}: is a link that leads nowhere. Mend it.")
        label = category(folder.name)
        if pictures and label is None:
            raise DataError(
                f"{root / folder}: holds images, but its name isn't a category id (an integer), so "
                "they have no label. Make a benchmark of images of your own (mixzoo data init "
                "DIR), or name the labels with --list FILE."
            )
        files += [(folder / name).as_posix() for name in pictures]
        labels += [label or 0] * len(pictures)
    if not files:
        others = f", but {len(left_out):,} other files, first {left_out[0]}" if left_out else ""
        raise DataError(
            f"{root}: no annotation, list or image folder found{others}. See: mixzoo data --help"
        )
    notes = [
        f"{len(left_out):,} files and folders in {root} are left out, first {first}: they are "
        f"hidden, or no pictures by their names ({', '.join(sorted(SUFFIXES))})."
        for first in left_out[:1]
    ]
    store = FolderStore(root)
    return LabelledImages(store, tuple(files), tuple(labels), "category_id folders", tuple(notes))


def walk(root: Path, passed: list[str]) -> Iterator[tuple[Path, list[str]]]:
    """Each folder below `root`, relative to it, with the names of its files, all in order.

    Links to folders are followed. passed: gets what is passed over, relative to `root`: hidden
    files and folders, and links that lead back to a folder above them. Raises DataError for a
    folder that can't be read, or that stands there under two names: its images would count twice.
    """
    seen: dict[tuple[int, int], Path] = {}
    for name, folders, names in os.walk(root, onerror=_unreadable, followlinks=True):
        folder = Path(name).relative_to(root)
        there = Path(name).stat()
        known = seen.setdefault((there.st_dev, there.st_ino), folder)
        if known != folder:
            if known not in folder.parents:
                raise DataError(
                    f"{root}: {known} and {folder} are one folder, so its images would count "
                    "twice. Remove the link, or name the labels with --list FILE."
                )
            passed.append(folder.as_posix())
            folders.clear()
            continue
        hidden = sorted(it for it in (*folders, *names) if is_hidden(PurePath(it)))
        passed += [(folder / it).as_posix() for it in hidden]
        folders[:] = sorted(set(folders).difference(hidden))
        yield folder, sorted(set(names).difference(hidden))


def _unreadable(error: OSError) -> None:
    raise DataError(
        f"{error.filename}: cannot be read: {error.strerror}. Make it readable, or name another "
        "file."
    )


class _Image(msgspec.Struct):
    id: int | float | str
    file_name: str


class _Annotation(msgspec.Struct):
    image_id: int | float | str
    category_id: int | float | str


class _Coco(msgspec.Struct):
    images: list[_Image]
    annotations: list[_Annotation] = []
    info: Any = None


def _annotated(text: str, source: Path) -> tuple[list[tuple[str, int]], bool]:
    """The file and label of each annotation of a COCO-like JSON, in its order; whether it is OWN."""
    # json, since it takes NaN where nobody looks; msgspec would take the last of a key's two values
    coco = msgspec.convert(json.loads(text, object_pairs_hook=each_once), _Coco)
    if not coco.annotations:
        raise DataError(f"{source}: has no annotations, so no labels. Is it the test set's file?")
    names = {_key(image.id): image.file_name for image in coco.images}
    labels: dict[str, int] = {}
    for one in coco.annotations:
        if (label := whole(one.category_id)) is None:
            raise DataError(
                f"{source}: {EXPECTED} with whole numbers as category_id, got "
                f"{one.category_id!r:.80} of image {one.image_id!r:.80}. {OFFICIAL}"
            )
        labels[_key(one.image_id)] = label
    images, count = len(coco.images), len(coco.annotations)
    if not len(names) == images == len(labels) == count or names.keys() != labels.keys():
        raise DataError(
            f"{source}: expected exactly one annotation per image, got {count} annotations of "
            f"{len(labels)} images, and {images} images of {len(names)} ids. {OFFICIAL}"
        )
    pairs = [(names[image], label) for image, label in labels.items()]
    return pairs, isinstance(coco.info, dict) and coco.info.get("contributor") == OWN


def _key(image: float | str) -> str:
    """An image's id, equal however written: 7, 7.0 and "7"."""
    return str(int(image) if isinstance(image, float) and image.is_integer() else image)


def _hash_lines(lines: Iterable[str]) -> str:
    return hashlib.sha256("".join(sorted(lines)).encode()).hexdigest()


def below(root: Path, files: Iterable[str], source: Path) -> tuple[str, ...]:
    """Images' paths below a folder, POSIX, as a file wrote them. Raises DataError for others."""
    roots = [f"{place.as_posix().rstrip('/')}/" for place in (root.absolute(), root.resolve())]
    return tuple(_below(file, roots, source) for file in files)


def _below(file: str, roots: Sequence[str], source: Path) -> str:
    """An image's path below the data folder, POSIX. roots: that folder's own paths, with a slash."""
    if _PLAIN.fullmatch(file):
        return file
    path = file.replace("\\", "/")
    path = next((path.removeprefix(root) for root in roots if path.startswith(root)), path)
    path = PurePosixPath(path).as_posix()
    if reason := why_unsafe(path) or ("names no file" if path == "." else None):
        raise DataError(
            f"{source}: expected image paths below the data folder {roots[0]}, but {file[:200]!r} "
            f"{reason}. Write paths from that folder on, or name with --data the folder that they "
            "begin at."
        )
    return path


def _check_labels(files: Sequence[str], labels: Sequence[int], source: Path, *, own: bool) -> None:
    """Each image once, and no label against the number of its folder, but in OWN numbering."""
    repeated = [file for file, count in Counter(files).items() if count > 1]
    if repeated:
        raise DataError(
            f"{source}: expected each image once; {len(repeated)} stand more than once, first "
            f"{repeated[0]}. Counting an image twice would change the number. Remove the "
            "repetitions."
        )
    mistake = None if own else diagnose_labels(files, labels)
    if mistake is None:
        return
    for file, label in zip(files, labels, strict=True):
        folder = PurePosixPath(file).parent.name
        if category(folder) not in (None, label):
            raise DataError(
                f"{source}: {file} lies in folder {folder} but is labelled {label}. iNaturalist's "
                f"label is the folder's number. What is wrong: {mistake}. Use the official "
                "annotations."
            )


def supercategory(file: str, label: int | None = None) -> str:
    """The folder above the `<category_id>` folder, "" if the path isn't of that kind.

    file: POSIX path like `train_val2018/<supercategory>/<category_id>/<name>.jpg`. label: the
    category that the folder must be of, if it matters.
    """
    *_, above, folder, _ = "", "", *file.split("/")
    number = category(folder)
    return above if number is not None and label in (None, number) else ""
