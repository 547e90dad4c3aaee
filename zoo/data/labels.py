"""Reads the labelled images of a split: from annotation JSON, a list file or class folders.

The label of an iNaturalist image is its `category_id`, an integer that is also the name of the
folder it lies in. Nothing here ever numbers classes by sorting or by first appearance.
"""

import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

import numpy as np
import numpy.typing as npt

from ..errors import DataError
from ..images import SUFFIXES
from .diagnose import diagnose_labels
from .stores import FolderStore, ImageStore


@dataclass(frozen=True)
class LabelledImages:
    """Image files with their labels, in the order of their source.

    store: what reads `files`, POSIX paths. labels: class index per file. origin: where the labels
    were read, for reports.
    """

    store: ImageStore
    files: tuple[str, ...]
    labels: tuple[int, ...]
    origin: str

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


def from_annotations(root: Path, path: Path) -> LabelledImages:
    """Read a COCO-like annotation file (iNaturalist's): labels are `category_id`.

    Raises DataError if the file is no such JSON, has no annotations (a test set), names an image
    twice or not at all, or contradicts the `<category_id>` folder in the file name.
    """
    try:
        content = json.loads(_read_text(path))
        names = {image["id"]: str(image["file_name"]) for image in content["images"]}
        pairs = [
            (int(a["image_id"]), int(a["category_id"])) for a in content.get("annotations", ())
        ]
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{path}: expected iNaturalist annotation JSON (images, annotations), got "
            f"{type(error).__name__}: {error}. Download the official file again."
        ) from None
    if not pairs:
        raise DataError(f"{path}: has no annotations, so no labels. Is it the test set's file?")
    if len(dict(pairs)) != len(pairs) or {image for image, _ in pairs} != names.keys():
        raise DataError(
            f"{path}: expected exactly one annotation per image, got {len(pairs)} annotations for "
            f"{len(names)} images. Download the official file again."
        )
    files = tuple(_relative(names[image], path) for image, _ in pairs)
    labels = tuple(label for _, label in pairs)
    _check_labels(files, labels, path)
    return LabelledImages(FolderStore(root), files, labels, path.name)


def from_list_file(root: Path, path: Path) -> LabelledImages:
    """Read a list file with lines `path,label` or `path label`.

    Raises DataError naming the first line that isn't one, if an image stands twice, or if labels
    contradict `<category_id>` folders.
    """
    files, labels = [], []
    for number, line in enumerate(_read_text(path).splitlines(), start=1):
        if not line.strip():
            continue
        file, _, label = line.strip().rpartition("," if "," in line else " ")
        if not file or not label.strip().isdecimal():
            raise DataError(
                f"{path}, line {number}: expected 'path,label' or 'path label' with an integer "
                f"label, got {line.strip()[:80]!r}."
            )
        files.append(_relative(file.strip(), path))
        labels.append(int(label))
    if not files:
        raise DataError(f"{path}: expected lines 'path,label', got an empty file.")
    _check_labels(files, labels, path)
    return LabelledImages(FolderStore(root), tuple(files), tuple(labels), path.name)


def from_folders(root: Path) -> LabelledImages:
    """Read images from `<category_id>/` or `<supercategory>/<category_id>/` folders.

    Raises DataError if a folder that holds images isn't named by an integer.
    """
    files: list[str] = []
    labels: list[int] = []
    for folder, folders, names in os.walk(root):
        folders.sort()
        found = sorted(name for name in names if Path(name).suffix.lower() in SUFFIXES)
        if not found:
            continue
        relative = Path(folder).relative_to(root)
        if not relative.name.isdecimal():
            raise DataError(
                f"{folder}: holds images, but its name isn't a category id (an integer), so they "
                "have no label. Name the labels with --list FILE or --annotations FILE."
            )
        files += [(relative / name).as_posix() for name in found]
        labels += [int(relative.name)] * len(found)
    if not files:
        raise DataError(f"{root}: no annotation file, no list file and no image folders found.")
    return LabelledImages(FolderStore(root), tuple(files), tuple(labels), "category_id folders")


def _hash_lines(lines: Iterable[str]) -> str:
    return hashlib.sha256("".join(sorted(lines)).encode()).hexdigest()


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read as a text file: {error}.") from None


def _relative(file: str, source: Path) -> str:
    path = PurePosixPath(file)
    if path.is_absolute() or ".." in path.parts:
        raise DataError(f"{source}: expected image paths below the data folder, got {file!r}.")
    return path.as_posix()


def _check_labels(files: Sequence[str], labels: Sequence[int], source: Path) -> None:
    """Each image once, and no label against the number of its folder."""
    repeated = [file for file, count in Counter(files).items() if count > 1]
    if repeated:
        raise DataError(
            f"{source}: expected each image once; {len(repeated)} stand more than once, first "
            f"{repeated[0]}. Counting an image twice would change the number."
        )
    mistake = diagnose_labels(files, labels)
    if mistake is None:
        return
    for file, label in zip(files, labels, strict=True):
        folder = PurePosixPath(file).parent.name
        if folder.isdecimal() and int(folder) != label:
            raise DataError(
                f"{source}: {file} lies in folder {folder} but is labelled {label}. iNaturalist's "
                f"label is the folder's number. What is wrong: {mistake}. Use the official annotations."
            )


def supercategory(file: str, label: int | None = None) -> str:
    """The folder above the `<category_id>` folder, "" if the path isn't of that kind.

    file: POSIX path like `train_val2018/<supercategory>/<category_id>/<name>.jpg`. label: the
    category that the folder must be of, if it matters.
    """
    *above, category = PurePosixPath(file).parent.parts or ("",)
    fits = category.isdecimal() and label in (None, int(category))
    return above[-1] if above and fits else ""
