"""The embedded benchmark as its manifest tells it: with other weights no test need change."""

import json
from pathlib import Path

from mixzoo.zoo.catalog import open_catalog, package_path

MINI = open_catalog().benchmark("mini")
MANIFEST, PROTOCOL = MINI.manifest, MINI.manifest.protocol
ROWS = {row.method: row.id for row in MANIFEST.rows}
VANILLA, MIXUP, CUTMIX = ROWS["vanilla"], ROWS["mixup"], ROWS["cutmix"]
AUTOMIX, SAMIX = ROWS["automix"], ROWS["samix"]
(ARCHITECTURE,) = {row.architecture for row in MANIFEST.rows}
CLASSES = MANIFEST.dataset.num_classes
ASSETS = package_path("zoo/mini/assets")
assert MANIFEST.dataset.train
assert MANIFEST.dataset.val.images
assert MANIFEST.training
TRAINED_ON, IMAGES = MANIFEST.dataset.train.images, MANIFEST.dataset.val.images
TRAINING = MANIFEST.training
EPOCHS = TRAINING.epochs


def published(row: str) -> float:
    """The table's top-1 of a row, in percent."""
    reported = MANIFEST.row(row).reported_top1
    assert reported is not None
    return reported


def hits(row: str) -> int:
    """How many of the validation images that is."""
    return round(published(row) * IMAGES / 100)


def weights(row: str) -> Path:
    """The row's file, as the package carries it."""
    return ASSETS / f"{row}.pth"


def log(row: str) -> Path:
    """The log of its run."""
    return ASSETS / f"{row}.log.json"


def top1_by_epoch(row: str, head: str = "head0") -> list[float]:
    """What its log says of a head after each epoch, in percent."""
    name = f"{head}_top1" if head == "head0" else f"acc_{head}_top1"
    lines = map(json.loads, log(row).read_text().splitlines())
    return [line[name] for line in lines if line.get("mode") == "val"]
