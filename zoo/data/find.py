"""Finds the labelled images of a split in a folder or a tar, asking rather than guessing."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from ..errors import DataError
from .labels import LabelledImages, from_annotations, from_folders, from_list_file
from .marks import read_mark
from .stores import FolderStore, ImageStore, TarStore

COMMON_LIST_NAMES = ("val*.txt", "meta/val*.txt")
COMMON_ANNOTATION_NAMES = ("val*.json", "annotations/val*.json")


def find_images(
    data: Path,
    *,
    annotations: Path | None = None,
    list_file: Path | None = None,
    names: Iterable[str] = (),
    allow_missing: bool = False,
) -> LabelledImages:
    """Find a split's labelled images: files below a folder, or in a tar.

    data: the folder, or a tar of images whose label file lies beside it (`val2018.tar`,
    `val2018.json`). A folder's images may lie in such a tar too. annotations, list_file: name the
    label source outright. names: annotation file names to look for first (from a manifest); then
    common ones (`val*.json`, `val*.txt`, also in `annotations/` and `meta/`); then `<category_id>`
    folders. allow_missing: images that aren't there are left for the reader to find.
    Raises DataError if nothing is found, if several sources compete, if labels contradict folders,
    or if any image is missing.
    """
    if annotations and list_file:
        raise DataError("Both --annotations and --list were given; expected one of them.")
    tar = data if data.is_file() else None
    folder = data.parent if tar else data
    if not folder.is_dir():
        raise DataError(f"--data {data}: expected a folder with the images, found none there.")
    if tar:
        names = [f"{tar.stem}.json", *names]
    path = list_file or annotations or _label_file(folder, names)
    if path is None:
        if tar:
            raise DataError(
                f"{tar}: has no labels: expected {tar.stem}.json beside it. Put it there, or name "
                "the labels with --annotations FILE or --list FILE."
            )
        return _from_folders(folder)
    as_list = path == list_file or (path != annotations and path.suffix != ".json")
    images = (from_list_file if as_list else from_annotations)(folder, path)
    images = replace(images, store=TarStore(tar) if tar else _store(folder, path, images))
    if not allow_missing:
        _require_files(images)
    return images


def _label_file(data: Path, names: Iterable[str]) -> Path | None:
    for name in names:
        if (data / name).is_file():
            return data / name
    for patterns in (COMMON_ANNOTATION_NAMES, COMMON_LIST_NAMES):
        found = sorted(path for pattern in patterns for path in data.glob(pattern))
        if len(found) > 1:
            listed = ", ".join(path.relative_to(data).as_posix() for path in found)
            raise DataError(
                f"{data}: several label files fit ({listed}). Name one with --annotations or --list."
            )
        if found:
            return found[0]
    return None


def _from_folders(data: Path) -> LabelledImages:
    trees = [path.name for path in data.glob("train_val*") if path.is_dir()]
    if trees:
        raise DataError(
            f"{data}: {trees[0]}/ holds train and val images together, so the split needs its "
            "annotation file (val2018.json or the like). Put it there or name it with --annotations."
        )
    return from_folders(data / "val" if (data / "val").is_dir() else data)


def _store(folder: Path, labels: Path, images: LabelledImages) -> ImageStore:
    """What was prepared last, else the label file's tar, the folder, or a `val*.tar`."""
    first, loose = images.files[0], FolderStore(folder)
    mark = read_mark(folder, labels.name)
    if mark and mark.form == "files":
        return loose
    own, others = folder / f"{labels.stem}.tar", sorted(folder.glob("val*.tar"))
    for path in [own, *([] if loose.has(first) else others)]:
        if path.is_file() and (tar := TarStore(path)).has(first):
            return tar
    return loose


def _require_files(images: LabelledImages) -> None:
    missing = [file for file in images.files if not images.store.has(file)]
    if not missing:
        return
    tree, here = missing[0].partition("/")[0], images.root
    hint = "Unpack the archive so that this path exists, or see: mixzoo data prepare --help"
    if len(missing) == len(images) and isinstance(images.store, FolderStore) and here.is_dir():
        trees = sorted(path.name for path in here.iterdir() if path.is_dir() and path.name != tree)
        if trees and not (here / tree).exists():
            hint = (
                f"The paths begin with {tree}/, here there is {trees[0]}/: is it the list of another "
                "year or data set?"
            )
    raise DataError(
        f"{here}: {len(missing)} of {len(images)} images named by {images.origin} are missing, first "
        f"{missing[0]}. {hint}"
    )
