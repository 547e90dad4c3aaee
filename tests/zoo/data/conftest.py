"""What tests of preparing share: a small data set as its publisher offers it."""

import hashlib
import io
import json
import tarfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

import pytest
from mixzoo.zoo.data.request import Form, Request, SplitName
from mixzoo.zoo.manifest import DataFile, Dataset, Split
from mixzoo.zoo.net.sources import Location
from PIL import Image

TREE = "train_val2018"
ARCHIVE = f"{TREE}.tar.gz"
SUPERCATEGORIES = ("Aves", "Fungi", "Plantae")

Entry = tuple[tarfile.TarInfo, bytes]
NewEntry = Callable[..., Entry]
Publish = Callable[..., "Published"]
Tree = Callable[[Path], dict[str, bytes]]


@dataclass(frozen=True)
class Published:
    """A data set's archives in a folder. images: split -> file -> bytes."""

    folder: Path
    dataset: Dataset
    images: dict[SplitName, dict[str, bytes]]

    @property
    def archive(self) -> Path:
        """The images of both splits."""
        return self.folder / ARCHIVE

    def request(
        self,
        root: Path,
        splits: Sequence[SplitName] = ("val",),
        archive: Path | str | None = None,
        form: Form = "files",
    ) -> Request:
        """How to prepare it below `root`, from its own folder unless told otherwise."""
        place = Location(archive or self.archive)
        folder = [Location(self.folder / f"{split}2018.json.tar.gz") for split in splits]
        return Request(self.dataset, root, splits, place, folder, form)

    def manifest(self, name: str = "own") -> Path:
        """The data set as a manifest for the command line."""
        files = [f'{{ name = "{it.name}", md5 = "{it.md5}" }}' for it in self.dataset.files]
        path = self.folder / f"{name}.toml"
        path.write_text(
            f"""
format = 1
name = "{name}"
title = "A benchmark for tests"
[metric]
statistic = "last_epoch"
[protocol]
resize = 36
crop = 32
[dataset]
name = "{self.dataset.name}"
num_classes = {self.dataset.num_classes}
image_tree = "{TREE}"
files = [{", ".join(files)}]
[dataset.train]
images = {len(self.images["train"])}
annotations = ["train2018.json"]
[dataset.val]
images = {len(self.images["val"])}
per_class = {self.dataset.val.per_class}
annotations = ["val2018.json"]
[dataset.supercategories]
{_supercategories(self.dataset)}
[[rows]]
id = "resnet18_w4.vanilla_{name}"
architecture = "resnet18_w4"
method = "vanilla"
reported_top1 = 10.0
"""
        )
        return path


def _supercategories(dataset: Dataset) -> str:
    return "\n".join(f"{name} = {list(it)}" for name, it in dataset.supercategories.items())


def jpeg(random: Random) -> bytes:
    """A small photograph of noise."""
    noise = Image.frombytes("RGB", (16, 16), random.randbytes(16 * 16 * 3))
    content = io.BytesIO()
    noise.save(content, "JPEG")
    return content.getvalue()


def annotation_json(files: Sequence[str]) -> bytes:
    """Annotations as iNaturalist's: the label is the folder's number."""
    images = [{"id": i, "file_name": file} for i, file in enumerate(files)]
    pairs = [{"image_id": i, "category_id": int(f.split("/")[2])} for i, f in enumerate(files)]
    return json.dumps({"images": images, "annotations": pairs}).encode()


def entry(name: str, data: bytes = b"", kind: bytes = tarfile.REGTYPE, link: str = "") -> Entry:
    """One member of a tar."""
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    info.size = len(data)
    return info, data


def write_tar_gz(path: Path, entries: Sequence[Entry]) -> None:
    """Pack entries as they are, honest or not."""
    with tarfile.open(path, "w:gz", compresslevel=1, format=tarfile.GNU_FORMAT) as tar:
        for info, data in entries:
            tar.addfile(info, io.BytesIO(data))


def md5(path: Path) -> str:
    """Hex md5 of a file."""
    return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()


@pytest.fixture
def new_entry() -> Callable[..., Entry]:
    """One member of a tar: name, data, kind, link."""
    return entry


@pytest.fixture
def publish(tmp_path: Path) -> Callable[..., Published]:
    """Writes a data set of 12 classes in three supercategories, two images a class in each split.

    change: what to do with the entries of the archive before they are packed. stated: whether the
    manifest states the md5 of each archive. folder: where to, below the test's own.
    """

    def publish(
        change: Callable[[list[Entry]], list[Entry]] = lambda entries: entries,
        *,
        stated: bool = True,
        folder: str = "published",
    ) -> Published:
        random, place = Random(0), tmp_path / folder
        place.mkdir()
        images: dict[SplitName, dict[str, bytes]] = {"train": {}, "val": {}}
        for split, files in images.items():
            for i in range(24):
                label = i % 12
                name = (
                    f"{TREE}/{SUPERCATEGORIES[label % 3]}/{label}/{random.randbytes(8).hex()}.jpg"
                )
                files[name] = jpeg(random)
            content = annotation_json(list(files))
            write_tar_gz(place / f"{split}2018.json.tar.gz", [entry(f"{split}2018.json", content)])
        both = images["train"] | images["val"]
        entries = [entry(name, both[name]) for name in random.sample(sorted(both), len(both))]
        write_tar_gz(place / ARCHIVE, change(entries))
        names = [ARCHIVE, "train2018.json.tar.gz", "val2018.json.tar.gz"]
        dataset = Dataset(
            name="Noise-2018",
            num_classes=12,
            val=Split(images=24, per_class=2, annotations=["val2018.json"]),
            train=Split(images=24, annotations=["train2018.json"]),
            image_tree=TREE,
            files=[DataFile(name=it, md5=md5(place / it) if stated else None) for it in names],
            supercategories=dict.fromkeys(SUPERCATEGORIES, (4, 8, 8)),
        )
        return Published(place, dataset, images)

    return publish


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The folder that a data set is prepared in, not there yet."""
    return tmp_path / "root"


@pytest.fixture
def tree() -> Callable[[Path], dict[str, bytes]]:
    """All files below a folder but the lock, with their bytes."""

    def tree(root: Path) -> dict[str, bytes]:
        files = (path for path in root.rglob("*") if path.is_file())
        found = {path.relative_to(root).as_posix(): path.read_bytes() for path in files}
        return {name: data for name, data in found.items() if name != ".preparing.lock"}

    return tree
