"""A data set of one's own: class folders, or a table of paths and classes, become annotations and a
manifest, which every command takes.

Classes are numbered here, once, and written down with their names; nothing numbers them again.
"""

import csv
import io
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
from msgspec.structs import replace

from ..catalog import Benchmark, open_catalog
from ..errors import DataError, UsageError, several, wall
from ..files import alone, write
from ..images import is_picture, open_image
from ..lock import lock_path, read_lock
from ..looks import command
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
    slug,
)
from .labels import OWN, LabelledImages, below, walk
from .stores import FolderStore
from .texts import read_text

TRAIN, VAL = ("train", "training"), ("val", "valid", "validation", "test", "testing")
PATHS = ("path", "file", "image", "filename", "file_name", "image_path", "filepath")
CLASSES = ("label", "class", "species", "category", "class_name", "category_id", "target")
LOOKED_AT = 40  # images whose sizes say which crop fits
LONGEST = 200  # characters of a class's name in the manifest
FEW = 200  # validation images below which one of them is more than half a point
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


def look(
    root: Path,
    table: Path | None = None,
    share: float = 0.1,
    seed: int = 0,
    columns: Sequence[str] = (),
) -> OwnImages:
    """Find the images of a folder with their classes, and split them where they aren't.

    root: holds `train/` and `val/` (or `test/`), each with a folder for each class, or the class
    folders alone. table: a CSV or TSV of paths below root, classes, and perhaps a `split`, with a
    line of column names or of two columns; columns: the path's and the class's, where their names
    don't tell. For the rest, and errors, see `arrange`.
    """
    if not root.is_dir():
        raise UsageError(f"{root}: expected a folder with images, got none. Name that one.")
    found = list(_of_table(root, table, columns) if table else _of_folders(root))
    if not found:
        unpack = command("data", "prepare", "BENCHMARK", "--root", root)
        packed = f" Or unpack a published one's archives: {unpack}" * any(root.glob("*.tar.gz"))
        raise DataError(
            f"{root}: expected pictures in a folder for each class (train/ant/1.jpg, or ant/1.jpg), "
            f"got none. Name a table of paths and classes with --table FILE.csv.{packed}"
        )
    return arrange(root, found, share=share, seed=seed)


def arrange(
    root: Path,
    found: Sequence[tuple[str, str, str]],
    order: Sequence[str] = (),
    share: float = 0.1,
    seed: int = 0,
) -> OwnImages:
    """Number the classes of images, and split them where they aren't.

    found: split ("train", "val" or ""), path below root and class of each image. order: the classes
    by their numbers; none orders them by name. share: of each class's images that validate where
    nothing says which, drawn from `seed`; one at least, where a class has two.
    Raises DataError for classes that aren't in `train`, an image that stands twice in a split, or
    for what lacks one of the splits.
    """
    names = tuple(order) or in_order({name for _, _, name in found})
    files = below(root, (file for _, file, _ in found), root)  # as they will be read
    found = [(split, file, name) for (split, _, name), file in zip(found, files, strict=True)]
    numbers = {name: number for number, name in enumerate(names)}
    by = "as in the data set" if order else "in the order of their names"
    notes = [f"Classes are numbered {by}: {several(_numbered(names))}."]
    parts = {
        part: tuple((file, numbers[name]) for split, file, name in found if split == part)
        for part in ("train", "val", "")
    }
    for images in parts.values():
        if twice := [file for file, n in Counter(file for file, _ in images).items() if n > 1]:
            raise DataError(
                f"{root}: expected each image once, got {several(twice)} more often. Remove them."
            )
    if both := {file for file, _ in parts["train"]} & {file for file, _ in parts["val"]}:
        notes.append(f"{len(both):,} images both train and validate, first {min(both)}.")
    if parts[""]:
        if parts["train"] or parts["val"]:
            raise DataError(
                f"{root}: expected a split for all images or for none, got none for "
                f"{parts[''][0][0]}. Add it, or leave all out."
            )
        parts["train"], parts["val"] = _split(parts[""], share, seed)
        notes.append(
            f"Nothing says which images validate: {len(parts['val']):,} of {len(found):,} were "
            f"drawn from seed {seed}, class by class."
        )
    if not (parts["train"] and parts["val"]):
        have, lack = ("val", "train") if parts["val"] else ("train", "val")
        raise DataError(
            f"{root}: expected images to train and to validate, got {have} and no {lack}. Add "
            f"some, or name the folder of the classes, as {root / have}, to have it split."
        )
    if (count := len(parts["val"])) < FEW:
        notes.append(
            f"Few images validate: one of {count:,} is {100 / count:.1f} points of top-1, so small "
            "differences can't be seen."
        )
    nowhere = set(names) - {name for _, _, name in found}
    if nowhere:
        notes.append(f"{several(n for n in names if n in nowhere)}: without an image.")
    for part, other in (("train", "val"), ("val", "train")):
        there = {label for _, label in parts[part]}
        if missing := [n for n in names if numbers[n] not in there and n not in nowhere]:
            message = f"{several(missing)}: in {other}, but without an image in {part}"
            if part == "train":
                raise DataError(
                    f"{root}: {message}. A network can't learn what it never sees. Add images, or "
                    "leave the class out."
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
    Raises ManifestError for a name that no manifest may have, UsageError for an architecture that
    `nets.named.make` can't make.
    """
    from ..nets.named import check_name  # which takes torch

    check_name(architecture)
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
        protocol=replace(protocol, crop=crop, resize=round(crop * ratio), note=""),
        training=Training(
            epochs=epochs,
            batch_size=batch,
            learning_rate=0.1 * batch / 256,
            weight_decay=1e-4,
        ),
        dataset=Dataset(
            name=name,
            num_classes=len(own.classes),
            classes=[name[:LONGEST] for name in own.classes],
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
                id=f"{slug(architecture)}.{row.method}_{name}",
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

    What is there with the same content stays, and so do rows that have a number or a file. Raises
    UsageError for another content without `force`, and always where such a row would be lost or be
    one of other images or pixels; ManifestError for a manifest there that can't be read.
    """
    target = own.root / f"{manifest.name}.toml"
    with alone(target.with_name(f".{target.name}.lock"), waiting=lambda: None):
        contents = {
            own.root / "train.json": _annotations(own, own.train),
            own.root / "val.json": _annotations(own, own.val),
            target: _with_published(target.absolute(), manifest),
        }
        for path, text in contents.items():
            if path.exists() and not force and path.read_text(encoding="utf-8") != text:
                raise UsageError(f"{path}: says something else now. Write over it with --force.")
        for path, text in contents.items():
            write(path, text)
    return list(contents)


def _with_published(target: Path, manifest: Manifest) -> str:
    """The text of a new manifest at `target`, with the rows there that have a number or a file.

    The folder's other manifests share the annotations, so their published rows are looked at too.
    """
    named = [target] if target.exists() else []
    catalog = open_catalog([*named, target.parent])
    if error := catalog.broken.get(manifest.name):
        raise error
    for benchmark in catalog.benchmarks.values():
        path, before = benchmark.path, benchmark.manifest
        files = {asset.row for asset in benchmark.assets}
        rows = [row for row in before.rows if row.reported_top1 is not None or row.id in files]
        ours, old, new = path == target, before.dataset.val, manifest.dataset.val
        shared = ours or (path.parent == target.parent and old.annotations == new.annotations)
        if not (rows and shared):
            continue
        measured = [(m.protocol, m.metric) for m in (before, manifest)]
        if old != new or (ours and measured[0] != measured[1]):
            raise UsageError(
                f"{path}: {several(row.id for row in rows)}: published there, measured on other "
                "images or pixels than these. Nothing was written: name a copy of the folder."
            )
        if not ours:
            continue
        merged = {row.id: row for row in (*manifest.rows, *rows)}
        manifest = replace(manifest, rows=[*merged.values()], sources=before.sources)
        if manifest == before:
            return target.read_text(encoding="utf-8")  # with its comments
    read_lock(lock_path(target), manifest)  # one without its manifest must fit the new one
    return manifest_text(manifest)


def parts_of(names: Iterable[str]) -> list[tuple[str, str]]:
    """Of the names of splits: those that train, and those that validate; test isn't beside val."""
    known = {name.lower(): name for name in names}
    val = [name for name in VAL if name in known]
    val = [name for name in val if name in VAL[:3]] or val
    train = [name for name in TRAIN if name in known]
    return [("train", known[name]) for name in train] + [("val", known[name]) for name in val]


def _of_folders(root: Path) -> Iterator[tuple[str, str, str]]:
    """Split ("" where there is none), path and class of each picture below class folders."""
    trees = {folder.name: folder for folder in root.iterdir() if folder.is_dir()}
    splits = [(part, trees[name]) for part, name in parts_of(trees)]
    for part, tree in splits or [("", root)]:
        for folder, names in walk(tree, []):
            for name in names:
                if folder.parts and is_picture(Path(name)):
                    yield part, (tree / folder / name).relative_to(root).as_posix(), folder.parts[0]


def _of_table(root: Path, table: Path, columns: Sequence[str]) -> Iterator[tuple[str, str, str]]:
    text, _ = read_text(table)
    first = text.partition("\n")[0]
    with wall(DataError, f"{table}: expected a table of paths and classes"):
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=max(",;\t", key=first.count))
        lines = [(reader.line_num, cells) for cells in reader if any(cells)]
    _, head = lines[0] if lines else (0, [])
    names = [cell.strip().lower() for cell in head]
    wanted = [[name.lower()] for name in columns] or [PATHS, CLASSES]
    path, label = (next((names.index(n) for n in of if n in names), -1) for of in wanted)
    split = names.index("split") if "split" in names else -1
    if path < 0 and len(head) == 2 and not columns:  # no column names: one of both is a picture
        pictures = [is_picture(Path(cell.strip())) for cell in head]
        path, label = (
            (pictures.index(True), pictures.index(False)) if len({*pictures}) == 2 else (-1, -1)
        )
    else:
        lines = lines[1:]
    if min(path, label) < 0:
        raise DataError(
            f"{table}: expected columns such as 'path' and 'label', got "
            f"{several(map(repr, names)) or 'none'}. Name them so in its first line, or here: "
            "--columns PATH,CLASS."
        )
    for number, cells in lines:
        file, name, part = (
            cells[place].strip() if 0 <= place < len(cells) else ""
            for place in (path, label, split)
        )
        with wall(DataError, f"{table}: line {number}"):  # of a name that no system opens
            here = (root / file).is_file()
        if not (here and name):
            raise DataError(
                f"{table}: line {number}: expected a file below {root} and a class, got {file!r} "
                f"and {name!r}. Correct the line."
            )
        if part and part.lower() not in TRAIN + VAL:
            raise DataError(
                f"{table}: line {number}: expected the split train or val, got {part!r}. Correct "
                "the line."
            )
        part = part.lower()
        yield ("train" if part in TRAIN else "val" if part in VAL else ""), file, name


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


def in_order(names: Iterable[str]) -> tuple[str, ...]:
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
    facts = {"images": images, "annotations": labels, "categories": categories}
    return json.dumps({"info": {"contributor": OWN}, **facts})
