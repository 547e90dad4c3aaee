"""Finds the labelled images of a split in a folder or a tar, asking rather than guessing."""

import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from unicodedata import normalize

from ..errors import DataError
from ..tars import GZIP
from .labels import LabelledImages, from_file, from_folders
from .request import SplitName, read_mark
from .stores import FolderStore, ImageStore, TarStore
from .texts import PACKED


def find_images(
    data: Path,
    labels: Path | None = None,
    *,
    names: Iterable[str] = (),
    split: SplitName = "val",
    allow_missing: bool = False,
) -> LabelledImages:
    """Find a split's labelled images: files below a folder, or in a tar.

    data: the folder, or a tar of images whose label file lies beside it (`val2018.tar`,
    `val2018.json`). A folder's images may lie in such a tar too. labels: the label file, annotation
    JSON or a list, packed or not. Without it they are looked for: under `names` (annotation files,
    from a manifest), also packed; then under common ones (`val*.json`, packed, `val*.txt`, also in
    `annotations/` and `meta/`); then as `<category_id>` folders. allow_missing: images that aren't
    there are left for the reader to find. Raises DataError if nothing is found, if several sources
    compete, if labels contradict folders, or if any image is missing; IntegrityError for a damaged
    archive of labels.
    """
    tar = data if data.is_file() else None
    folder = data.parent if tar else data
    if not folder.is_dir():
        raise DataError(f"--data {data}: expected the folder of the images. Name that one.")
    if tar:
        with tar.open("rb") as file:
            if file.read(2) == GZIP:
                raise DataError(
                    f"--data {tar}: is packed, so no image of it can be read by itself. Prepare it "
                    f"first: mixzoo data prepare BENCHMARK --root DIR --archive {tar}"
                )
        names = [f"{tar.stem}.json", *names]
    path = labels or label_file(folder, names, split)
    if path:
        images = from_file(folder, path)
        images = replace(images, store=TarStore(tar) if tar else _store(folder, path, images))
    elif tar:
        raise DataError(
            f"{tar}: has no labels: expected {tar.stem}.json beside it. Put it there, or name "
            "the labels with --annotations FILE or --list FILE."
        )
    else:
        images = _from_folders(folder, split, names)
    if not allow_missing:
        _require_files(images)
    return images


def named_file(data: Path, names: Iterable[str]) -> Path | None:
    """The first of some label files that lies in a folder, packed or not; None if none does."""
    paths = (data / f"{name}{ending}" for name in names for ending in ("", *PACKED))
    return next((path for path in paths if path.is_file()), None)


def label_file(data: Path, names: Iterable[str], split: SplitName) -> Path | None:
    """A split's label file in a folder, None if there is none. names: looked for first.

    Raises DataError where several fit and none is in `names`.
    """
    if path := named_file(data, names):
        return path
    annotations = (f"{split}*.json", f"annotations/{split}*.json")
    for patterns in (
        annotations,
        tuple(f"{pattern}{ending}" for pattern in annotations for ending in PACKED),
        tuple(
            f"{at}{split}*{ending}" for at in ("", "meta/") for ending in (".txt", ".csv", ".tsv")
        ),
    ):
        found = sorted(path for pattern in patterns for path in data.glob(pattern))
        if len(found) > 1:
            listed = ", ".join(path.relative_to(data).as_posix() for path in found)
            option = "--annotations or --list" if split == "val" else "--train-list"
            raise DataError(f"{data}: several label files fit ({listed}). Name one with {option}.")
        if found:
            return found[0]
    return None


def _from_folders(data: Path, split: SplitName, names: Iterable[str]) -> LabelledImages:
    """Class folders: those in the split's own folder, else (of validation images) in `data`."""
    if (data / split).is_dir():
        return from_folders(data / split)
    trees = sorted(path.name for path in data.glob("train*") if path.is_dir())
    if trees and split == "val":
        raise DataError(
            f"{data}: {trees[0]}/ holds train and val images together, or train images alone, so "
            "the split needs its annotation file (val2018.json or the like). Put it there or name "
            "it with --annotations."
        )
    if split == "train":
        raise DataError(
            f"{data}: expected the training split's labels ({', '.join(names)}, train*.json, "
            "train*.txt or folders train/<category_id>), found none. Put them there, or name them "
            "with --train-list FILE. Of images of your own: mixzoo data init DIR."
        )
    return from_folders(data)


def _store(folder: Path, labels: Path, images: LabelledImages) -> ImageStore:
    """What was prepared last, else the label file's tar, the folder, or a `val*.tar`."""
    first, loose = images.files[0], FolderStore(folder)
    mark = read_mark(folder, labels.name)
    if mark and mark.form == "files":
        return loose
    name = labels.name
    for ending in PACKED:
        name = name.removesuffix(ending)
    own, others = folder / f"{Path(name).stem}.tar", sorted(folder.glob("val*.tar"))
    for path in [own, *([] if loose.has(first) else others)]:
        if path.is_file() and (tar := TarStore(path)).has(first):
            return tar
    return loose


def _require_files(images: LabelledImages) -> None:
    missing = [file for file in images.files if not images.store.has(file)]
    if not missing:
        return
    here = images.root
    hint = "Unpack the archive so that this path exists, or see: mixzoo data prepare --help"
    if len(missing) == len(images) and isinstance(images.store, FolderStore):
        hint = _other_place(here, missing[0]) or hint
    raise DataError(
        f"{here}: {len(missing)} of {len(images)} images named by {images.origin} are missing, "
        f"first {missing[0]}. {hint}"
    )


def _other_place(here: Path, file: str) -> str | None:
    """Where a list's first file lies instead, if none lies where the list says."""
    trees = sorted(path for path in here.iterdir() if path.is_dir())
    for folder in (here.resolve().parent, *trees):
        if (folder / file).is_file():
            return f"It lies in {folder}: name that folder with --data."
    for form in ("NFC", "NFD"):
        if (here / normalize(form, file)).is_file():
            return f"It is there with its accents written in another way ({form}). Write them so in the list."
    if any((here / column).is_file() for column in re.split("[,;\t]", file)):
        return "The list has more columns than two. Keep the path and the label alone."
    tree, slash, _ = file.partition("/")
    if trees and slash and not (here / tree).exists():
        return (
            f"The paths begin with {tree}/, here there is {trees[0].name}/: is it the list of "
            "another year or data set?"
        )
    return None
