"""Holds a prepared split against the facts: counts of images and classes, each file's bytes."""

import io
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath
from typing import Any

import msgspec

from ..errors import DataError, wall
from ..files import OnBytes, ignore
from ..images import is_picture
from ..manifest import Dataset
from ..parallel import each_in_parallel
from .diagnose import diagnose_list
from .find import find_images, label_file
from .labels import LabelledImages, supercategory, walk
from .request import Mark, Request, SplitName, read_mark
from .stores import TarStore

TAIL = 4096  # bytes at the end that are looked at first; some cameras write behind the picture
_JPEG, _JPEG_END = b"\xff\xd8", b"\xff\xd9"


class GroupImages(msgspec.Struct, frozen=True):
    """Counts of one supercategory. Expected ones are None where the manifest doesn't tell."""

    name: str
    classes: int
    images: int
    expected_classes: int | None
    expected_images: int | None

    @property
    def right(self) -> bool:
        """Whether both counts are the expected ones, as far as these are known."""
        return self.expected_classes in (None, self.classes) and self.expected_images in (
            None,
            self.images,
        )


class Findings(msgspec.Struct, frozen=True, kw_only=True):
    """What a split was found to be.

    images: that its annotations name. wrong_classes: label -> images, where the manifest expects
    another count. missing, empty, damaged, foreign: files. damaged: cut short, or (deep) not to be
    decoded. notes: what can't be judged. deep: whether every image was decoded.
    """

    split: SplitName
    origin: str
    images: int
    expected_images: int | None
    groups: Sequence[GroupImages]
    expected_per_class: int | None = None
    wrong_classes: dict[int, int] = {}
    list_problem: str | None = None
    missing: Sequence[str] = ()
    empty: Sequence[str] = ()
    damaged: Sequence[str] = ()
    foreign: Sequence[str] = ()
    notes: Sequence[str] = ()
    mark: Mark | None = None
    deep: bool = False

    @property
    def problems(self) -> list[str]:
        """Each problem on a line; none if all is as it should be."""
        lines = [self.list_problem] if self.list_problem else []
        if self.expected_images not in (None, self.images):
            lines.append(f"expected {self.expected_images:,} images, got {self.images:,}")
        if wrong := [group.name for group in self.groups if not group.right]:
            lines.append(f"other counts than the manifest's in {', '.join(wrong)}")
        if self.wrong_classes:
            label, count = next(iter(self.wrong_classes.items()))
            lines.append(
                f"expected {self.expected_per_class} images of each class; "
                f"{len(self.wrong_classes):,} classes have another count, first class {label}: "
                f"{count}"
            )
        for what in ("missing", "empty", "damaged", "foreign"):
            files: Sequence[str] = getattr(self, what)
            if files:
                lines.append(f"{len(files):,} {what}, first {files[0]}")
        return lines

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        problems = self.problems
        return msgspec.to_builtins(self) | {"problems": problems, "ok": not problems}


def examine(
    request: Request,
    name: SplitName,
    *,
    deep: bool = False,
    others: Iterable[Dataset] = (),
    on_images: OnBytes = ignore,
) -> Findings:
    """Check a split that lies in `request.root`, in either form.

    deep: decode every image, else only the ends of each file are read. others: data sets whose
    lists are told apart by name. on_images: told how many more images were looked at. Raises
    DataError if there are no labels to check, or they contradict their folders.
    """
    split = request.split(name)
    path = label_file(request.root, split.annotations, name)
    if path is None:
        raise DataError(
            f"{request.root}: expected {split.annotations[0]} or the like, found none. Prepare it "
            "first, with mixzoo data prepare."
        )
    images = find_images(request.root, path, allow_missing=True)
    here = [file for file in images.files if images.store.has(file)]
    missing = sorted(set(images.files) - set(here))
    states = each_in_parallel(
        lambda file, report: _state(images, file, deep, report), here, [0] * len(here), on_images
    )
    foreign, notes = _foreign(request, name, images)
    per_class, counts = split.per_class, images.class_counts()
    classes = range(request.dataset.num_classes) if per_class is not None else ()
    return Findings(
        split=name,
        origin=images.origin,
        images=len(images),
        expected_images=split.images,
        groups=_groups(request.dataset, name, images),
        expected_per_class=per_class,
        wrong_classes={c: counts[c] for c in classes if counts[c] != per_class},
        list_problem=diagnose_list(images.files, images.labels, request.dataset, name, others),
        missing=missing,
        empty=[file for file, state in zip(here, states, strict=True) if state == "empty"],
        damaged=[file for file, state in zip(here, states, strict=True) if state == "damaged"],
        foreign=foreign,
        notes=notes,
        mark=read_mark(request.root, request.json_name(name)),
        deep=deep,
    )


def _groups(dataset: Dataset, name: SplitName, images: LabelledImages) -> list[GroupImages]:
    """Supercategories in the manifest's order, then those that it doesn't know."""
    column = 2 if name == "val" else 1
    pairs = [(supercategory(f), n) for f, n in zip(images.files, images.labels, strict=True)]
    files = Counter(group for group, _ in pairs)
    classes = Counter(group for group, _ in set(pairs))
    known = dataset.supercategories
    return [
        GroupImages(
            name=group,
            classes=classes[group],
            images=files[group],
            expected_classes=known[group][0] if group in known else (0 if known else None),
            expected_images=known[group][column] if group in known else (0 if known else None),
        )
        for group in [*known, *sorted(files.keys() - known.keys())]
    ]


def _state(images: LabelledImages, file: str, deep: bool, report: OnBytes) -> str:
    """ "whole", "empty" or "damaged"."""
    store = images.store
    size = store.size(file)
    report(1)
    if size == 0:
        return "empty"
    # A JPEG that doesn't end as it should is only suspect: decoding decides.
    sound = (
        not deep
        and store.part(file, 0, len(_JPEG)) == _JPEG
        and _JPEG_END in store.part(file, max(0, size - TAIL), TAIL)
    )
    if not sound:
        from ..images import open_image

        try:
            content = io.BytesIO(store.read(file))
            with wall(DataError, "an image"), open_image(content) as image:
                image.load()
        except DataError:
            return "damaged"
    return "whole"


def _foreign(
    request: Request, name: SplitName, images: LabelledImages
) -> tuple[list[str], list[str]]:
    """Files beside the images that no annotations name, and what can't be said about them."""
    if isinstance(images.store, TarStore):
        return sorted(images.store.index.keys() - set(images.files)), [*images.notes]
    root, tree, named = request.root, request.dataset.image_tree, set(images.files)
    other: SplitName = "train" if name == "val" else "val"
    path = root / request.json_name(other) if other == "val" or request.dataset.train else None
    if path and path.is_file():
        named |= set(find_images(root, path, allow_missing=True).files)
    hidden: list[str] = []
    walked = walk(root / tree, hidden) if (root / tree).is_dir() else ()
    here = (PurePosixPath(tree, folder, it).as_posix() for folder, names in walked for it in names)
    unnamed = sorted(file for file in here if file not in named)
    if not tree:  # what else lies in a folder of one's own is one's own business
        unnamed = [file for file in unnamed if is_picture(PurePosixPath(file))]
    notes = [*images.notes]
    if hidden:
        notes.append(
            f"{len(hidden):,} hidden files in {tree or '.'}/ don't count, first {hidden[0]}"
        )
    if path and not path.is_file() and unnamed:
        notes.append(
            f"{len(unnamed):,} files in {tree}/ aren't named by {images.origin}; "
            f"without {path.name} beside it nothing tells whether they are foreign"
        )
        return [], notes
    return unnamed, notes
