"""Tells which mistake made a list of labels wrong, from the folders that the images lie in.

In iNaturalist's layout, `<supercategory>/<category_id>/<file>`, the folder's number is the label.
Every way of numbering folders by their place in some order gives labels that look right and aren't.
"""

from collections.abc import Callable, Iterable, Sequence

from ..manifest import Dataset

Folder = tuple[str, str]  # supercategory (path above), category id as written


def diagnose_labels(files: Sequence[str], labels: Sequence[int]) -> str | None:
    """Why labels contradict the numbers of their folders, or None if they don't.

    files: POSIX paths, in the order of the list. labels: class index per file. Files in
    folders that aren't named by a number are left out, since nothing can be told of them.
    """
    folders, told = _numbered(files, labels)
    wrong = sum(int(name) != label for (_, name), label in zip(folders, told, strict=True))
    if not wrong:
        return None
    label_of = dict(zip(folders, told, strict=True))
    if any(label_of[folder] != label for folder, label in zip(folders, told, strict=True)):
        return (
            f"{wrong} of {len(files)} labels aren't their folder's number, and one folder has "
            "several: the list belongs to other images, or its lines were mixed up"
        )
    for name, order in _ORDERS.items():
        if order(folders) == label_of:
            return name
    if len(set(label_of.values())) == len(label_of):
        return "the classes were renumbered in an order that isn't known here"
    return "several folders share one label"


def numberings(files: Sequence[str], labels: Sequence[int]) -> dict[str, dict[int, int]]:
    """The known wrong numberings: in words -> class -> its wrong number.

    Classes are those of the folders that the files lie in, else the labels. files, labels: of
    `diagnose_labels`. Numberings that change nothing, or give two classes one number,
    are left out.
    """
    folders, _ = _numbered(files, labels)
    folders = folders or [("", str(label)) for label in labels]
    found = {}
    for name, order in _ORDERS.items():
        numbers = {int(folder): number for (_, folder), number in order(folders).items()}
        one_to_one = len(set(numbers.values())) == len(numbers)
        changes_any = any(was != number for was, number in numbers.items())
        if one_to_one and changes_any and numbers not in found.values():
            found[name] = numbers
    return found


def _numbered(files: Sequence[str], labels: Sequence[int]) -> tuple[list[Folder], list[int]]:
    """Folders and labels of the files whose folder is named by a number."""
    folders: list[Folder] = []
    told: list[int] = []
    for file, label in zip(files, labels, strict=True):
        supercategory, _, name = file.rpartition("/")[0].rpartition("/")
        if category(name) is not None:
            folders.append((supercategory, name))
            told.append(label)
    return folders, told


def category(folder: str) -> int | None:
    """The category id that a folder is named by, None for another name.

    Of up to nine digits, as a label: longer ones are dates or numbers of records.
    """
    return int(folder) if len(folder) < 10 and folder.isascii() and folder.isdecimal() else None


def diagnose_list(
    files: Sequence[str],
    labels: Sequence[int],
    dataset: Dataset,
    split: str,
    others: Iterable[Dataset] = (),
) -> str | None:
    """Why a list isn't this split's, or None if nothing speaks against it.

    dataset: whose split ("val" or "train") it should be. others: data sets it might be of instead.
    """
    count, other_split = len(files), "train" if split == "val" else "val"

    def images(of: Dataset, name: str) -> int | None:
        known = of.split(name)
        return known.images if known else None

    if images(dataset, other_split) == count != images(dataset, split):
        return f"it is the {other_split} list: {count:,} images, as {dataset.name}'s {other_split} split has"
    trees = {file.partition("/")[0] for file in files}
    for other in others:
        if (
            other.image_tree
            and other.image_tree != dataset.image_tree
            and trees == {other.image_tree}
        ):
            return f"it is a list of {other.name}: its paths begin with {other.image_tree}/"
        for name in ("val", "train"):
            if other.name != dataset.name and images(other, name) == count != images(
                dataset, split
            ):
                return f"it is {other.name}'s {name} list, by its {count:,} images"
    if dataset.image_tree and trees.isdisjoint({dataset.image_tree}):
        return (
            f"it is a list of other images: paths should begin with {dataset.image_tree}/, "
            f"got {min(trees)}/"
        )
    if labels and max(labels) >= dataset.num_classes:
        return (
            f"it has label {max(labels)}, {dataset.name} has classes 0 to {dataset.num_classes - 1}"
        )
    return None


def _places(
    key: Callable[[Folder], object],
) -> Callable[[Sequence[Folder]], dict[Folder, int]]:
    """Numbers folders by their place in the order of a key; equal keys share a number."""

    def number(folders: Sequence[Folder]) -> dict[Folder, int]:
        keys = sorted({key(folder) for folder in folders})  # type: ignore[type-var]
        place = {value: i for i, value in enumerate(keys)}
        return {folder: place[key(folder)] for folder in set(folders)}

    return number


def _appearance(folders: Sequence[Folder]) -> dict[Folder, int]:
    return {folder: i for i, folder in enumerate(dict.fromkeys(folders))}


def _shifted(by: int) -> Callable[[Sequence[Folder]], dict[Folder, int]]:
    return lambda folders: {folder: int(folder[1]) + by for folder in set(folders)}


# In this order: a few folders can fit several of them, and the likeliest mistake is named.
_ORDERS: dict[str, Callable[[Sequence[Folder]], dict[Folder, int]]] = {
    "off by one: each label is the folder's number plus 1": _shifted(1),
    "off by one: each label is the folder's number minus 1": _shifted(-1),
    "gaps closed: each label is the place of the folder among those that are here, in the order of "
    "numbers": _places(lambda folder: int(folder[1])),
    "string-sorted folders: each label is the place of the folder among the names sorted as text "
    "(0, 1, 10, 100, ...)": _places(lambda folder: folder[1]),
    "shifted by supercategory: each label is the place of <supercategory>/<id> among the paths "
    "sorted as text": _places(lambda folder: folder),
    "shifted by supercategory: each label is the place of the folder, supercategory by "
    "supercategory, in the order of numbers": _places(lambda folder: (folder[0], int(folder[1]))),
    "supercategories in place of species: each label is the place of the folder above among its "
    "neighbours": _places(lambda folder: folder[0]),
    "first-appearance numbering: each label is the place of the folder in the order in which the "
    "list first names it": _appearance,
    "first-appearance numbering: each label is the place of the folder in the order in which the "
    "sorted paths first name it": lambda folders: _appearance(sorted(folders)),
}
