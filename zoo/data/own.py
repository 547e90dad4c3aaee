"""A data set of one's own: class folders, or a table of paths and classes, become annotations and a
manifest, which every command takes.

Classes are numbered here, once, and written down with their names; nothing numbers them again.
"""

import csv
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from ..catalog import Benchmark
from ..errors import DataError, UsageError, several, wall
from ..files import write
from ..images import is_picture, open_image
from ..manifest import (
    Dataset,
    FileSource,
    Manifest,
    Metric,
    Row,
    Split,
    Training,
    manifest_of,
    manifest_text,
)
from .labels import LabelledImages, walk
from .stores import FolderStore
from .texts import read_text

TRAIN, VAL = ("train", "training"), ("val", "valid", "validation", "test", "testing")
PATHS = ("path", "file", "image", "filename", "file_name", "image_path", "filepath")
CLASSES = ("label", "class", "species", "category", "class_name", "category_id", "target")
LOOKED_AT = 40  # images whose sizes say which crop fits
LARGE, SMALL_BATCH = 20_000, 64  # training images from which on batches are the released runs'


@dataclass(frozen=True)
class OwnImages:
    """What was found. root: where the paths begin. classes: names, in the order of their numbers.

    train, val: path and class number of each image. notes: sentences on what was decided.
    """

    root: Path
    classes: tuple[str, ...]
    train: tuple[tuple[str, int], ...]
    val: tuple[tuple[str, int], ...]
    notes: tuple[str, ...]


def look(root: Path, table: Path | None = None, share: float = 0.1, seed: int = 0) -> OwnImages:
    """Find the images of a folder with their classes, and split them where they aren't.

    root: holds `train/` and `val/` (or `test/`), each with a folder for each class, or the class
    folders alone. table: a CSV or TSV with a line of column names instead: a path below root, a
    class, and perhaps a `split`. share: of each class's images that validate where nothing says which,
    drawn from `seed`; one at least, where a class has two.
    Raises DataError for what holds no images by classes, or classes of one split alone.
    """
    if not root.is_dir():
        raise UsageError(f"{root}: expected a folder with images, got none. Name that one.")
    found = list(_of_table(root, table) if table else _of_folders(root))
    if not found:
        raise DataError(
            f"{root}: expected pictures in a folder for each class (train/ant/1.jpg, or ant/1.jpg), "
            "got none. Name a table of paths and classes with --table FILE.csv."
        )
    names = _in_order({name for _, _, name in found})
    numbers = {name: number for number, name in enumerate(names)}
    notes = [f"Classes are numbered in the order of their names: {several(_numbered(names))}."]
    parts = {
        part: tuple((file, numbers[name]) for split, file, name in found if split == part)
        for part in ("train", "val", "")
    }
    if parts[""]:
        if parts["train"] or parts["val"]:
            raise DataError(
                f"{root}: expected a split for all images or for none, got none for {parts[''][0][0]}. Add it, or leave all out."
            )
        parts["train"], parts["val"] = _split(parts[""], share, seed)
        notes.append(
            f"Nothing says which images validate: {len(parts['val']):,} of {len(found):,} were drawn "
            f"from seed {seed}, class by class."
        )
    if not (parts["train"] and parts["val"]):
        have, lack = ("val", "train") if parts["val"] else ("train", "val")
        raise DataError(
            f"{root}: expected images to train and to validate, got {have} and no {lack}. Add some."
        )
    for part, other in (("train", "val"), ("val", "train")):
        there = {label for _, label in parts[part]}
        if missing := [name for name in names if numbers[name] not in there]:
            message = f"{several(missing)}: in {other}, but without an image in {part}"
            if part == "train":
                raise DataError(
                    f"{root}: {message}. A network can't learn what it never sees. Add images, or leave the class out."
                )
            notes.append(f"{message}.")
    return OwnImages(root, names, parts["train"], parts["val"], tuple(notes))


def manifest_for(
    own: OwnImages,
    name: str,
    like: Benchmark,
    architecture: str = "resnet50",
    crop: int | None = None,
    epochs: int = 100,
) -> Manifest:
    """A manifest with a row for each method of `like`'s table, without numbers.

    crop: pixels; None is 224, or where images are smaller the largest multiple of 16 that fits.
    Raises ManifestError for a name or architecture that no manifest may have.
    """
    fits = min(224, max(16, _shorter_side(own) // 16 * 16))
    crop = crop or fits
    batch = 256 if len(own.train) >= LARGE else SMALL_BATCH
    protocol = like.manifest.protocol
    ratio = protocol.resize / protocol.crop if crop >= 96 else 1.0
    rows = {row.method: row for row in like.manifest.rows}.values()
    manifest = Manifest(
        format=1,
        name=name,
        title=f"{own.root.resolve().name}: {len(own.classes)} classes",
        metric=Metric(statistic="last_epoch"),
        protocol=msgspec.structs.replace(protocol, crop=crop, resize=round(crop * ratio), note=""),
        training=Training(
            epochs=epochs,
            batch_size=batch,
            learning_rate=0.1 * batch / 256,
            weight_decay=1e-4,
        ),
        dataset=Dataset(
            name=name,
            num_classes=len(own.classes),
            train=Split(images=len(own.train), annotations=["train.json"]),
            val=Split(
                images=len(own.val),
                annotations=["val.json"],
                list_sha256=_listed(own, own.val).sha256(),
            ),
        ),
        sources=[FileSource(path="weights")],  # where `train publish` puts them
        rows=[
            Row(
                id=f"{architecture}.{row.method}_{name}",
                method=row.method,
                architecture=architecture,
                alpha=row.alpha,
                paper=row.paper,
            )
            for row in rows
        ],
    )
    return manifest_of(msgspec.to_builtins(manifest), f"{name}.toml")


def write_own(own: OwnImages, manifest: Manifest, force: bool = False) -> list[Path]:
    """Write `train.json`, `val.json` (as iNaturalist's) and the manifest into the images' folder.

    What is there with the same content stays. Raises UsageError for another content without `force`.
    """
    contents = {
        own.root / "train.json": _annotations(own, own.train),
        own.root / "val.json": _annotations(own, own.val),
        own.root / f"{manifest.name}.toml": manifest_text(manifest),
    }
    for path, text in contents.items():
        if path.exists() and not force and path.read_text(encoding="utf-8") != text:
            raise UsageError(
                f"{path}: is there, and says something else. Write over it with --force."
            )
    for path, text in contents.items():
        write(path, text)
    return list(contents)


def _of_folders(root: Path) -> Iterator[tuple[str, str, str]]:
    """Split ("" where there is none), path and class of each picture below class folders."""
    trees = {folder.name.lower(): folder for folder in root.iterdir() if folder.is_dir()}
    splits = [
        (part, trees[name])
        for part, known in (("train", TRAIN), ("val", VAL))
        for name in known
        if name in trees
    ]
    if len([part for part, _ in splits if part == "val"]) > 1:
        splits = [one for one in splits if one[1].name.lower() not in VAL[3:]]  # test beside val
    for part, tree in splits if splits else [("", root)]:
        for folder, names in walk(tree, []):
            for name in names:
                if folder.parts and is_picture(Path(name)):
                    yield part, (tree / folder / name).relative_to(root).as_posix(), folder.parts[0]


def _of_table(root: Path, table: Path) -> Iterator[tuple[str, str, str]]:
    text, _ = read_text(table)
    with wall(DataError, f"{table}: expected a table with a line of column names"):
        lines = list(
            csv.DictReader(text.splitlines(), dialect=csv.Sniffer().sniff(text[:4096], ",;\t"))
        )
    columns = {name.strip().lower(): name for name in (lines[0] if lines else {}) if name}
    path, label = (next((n for n in of if n in columns), None) for of in (PATHS, CLASSES))
    if not (path and label):
        raise DataError(
            f"{table}: expected columns such as 'path' and 'label', got "
            f"{several(map(repr, columns)) or 'none'}. Name them so in its first line."
        )
    for number, line in enumerate(lines, 2):
        file, name = (str(line[columns[it]] or "").strip() for it in (path, label))
        if not (root / file).is_file() or not name:
            raise DataError(
                f"{table}: line {number}: expected a file below {root} and a class, got {file!r} and "
                f"{name!r}. Correct the line."
            )
        split = str(line[columns["split"]] or "").strip().lower() if "split" in columns else ""
        if split and split not in TRAIN + VAL:
            raise DataError(
                f"{table}: line {number}: expected the split train or val, got {split!r}. Correct the line."
            )
        yield ("train" if split in TRAIN else "val" if split else ""), Path(file).as_posix(), name


def _split(
    images: Sequence[tuple[str, int]], share: float, seed: int
) -> tuple[tuple[tuple[str, int], ...], tuple[tuple[str, int], ...]]:
    """What trains and what validates, in the order of the images; each class by itself."""
    val: set[str] = set()
    for label, count in Counter(label for _, label in images).items():
        files = [file for file, of in images if of == label]
        chosen = np.random.default_rng((seed, label)).permutation(count)
        val |= {files[place] for place in chosen[: min(count - 1, max(1, round(share * count)))]}
    return tuple(it for it in images if it[0] not in val), tuple(
        it for it in images if it[0] in val
    )


def _in_order(names: Iterable[str]) -> tuple[str, ...]:
    """Numbers by their value, other names by their letters."""
    return tuple(
        sorted(names, key=lambda name: [(int(part or -1), "") if part.isdecimal() else (-1, part)
                                        for part in re.split(r"(\d+)", name)])
    )  # fmt: skip


def _numbered(names: Sequence[str]) -> list[str]:
    return [f"{number} {name}" for number, name in enumerate(names)]


def _shorter_side(own: OwnImages) -> int:
    """Of the first images, the median; what can't be read is left for `data verify` to name."""
    sides = []
    for file, _ in own.train[:LOOKED_AT]:
        with wall(DataError, file), open_image(own.root / file) as image:
            sides.append(min(image.size))
    return int(np.median(sides))


def _listed(own: OwnImages, part: Sequence[tuple[str, int]]) -> LabelledImages:
    files, labels = zip(*part, strict=True)
    return LabelledImages(FolderStore(own.root), files, labels, "")


def _annotations(own: OwnImages, part: Sequence[tuple[str, int]]) -> str:
    images = [{"id": n, "file_name": file} for n, (file, _) in enumerate(part)]
    labels = [{"id": n, "image_id": n, "category_id": c} for n, (_, c) in enumerate(part)]
    categories = [{"id": number, "name": name} for number, name in enumerate(own.classes)]
    return json.dumps({"images": images, "annotations": labels, "categories": categories})
