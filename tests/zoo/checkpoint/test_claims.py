"""A checkpoint's own word is held against its row, its benchmark's recipe and the pixels in use."""

from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from mixzoo.train.rows import recipe_of
from mixzoo.zoo.catalog import open_catalog
from mixzoo.zoo.checkpoint.claims import claims, disagreements
from mixzoo.zoo.checkpoint.facts import TrainingFacts, training_facts
from mixzoo.zoo.checkpoint.reading import read_checkpoint
from mixzoo.zoo.manifest import Manifest, Row
from mixzoo.zoo.report import Claims

ROW = "resnet50.cutmix_inat2018"
FAITHFUL = TrainingFacts(
    method="cutmix",
    alpha=1.0,
    architecture="resnet50",
    num_classes=8142,
    epoch=100,
    iteration=171000,
    epochs=100,
    learning_rate=0.1,
    weight_decay=0.0001,
    precision="fp32",
    eval_pixels={
        "resize": 256,
        "crop": 224,
        "interpolation": "bicubic",
        "mean": (0.485, 0.456, 0.406),
        "std": (0.229, 0.224, 0.225),
    },
)


@pytest.fixture(scope="module")
def manifest() -> Manifest:
    return open_catalog().benchmark("inat2018").manifest


@pytest.fixture(scope="module")
def row(manifest: Manifest) -> Row:
    found = manifest.row(ROW)
    assert found is not None
    return found


VANILLA = "resnet50.vanilla_inat2018"
AGREEING = {
    "faithful": (FAITHFUL, ROW),
    "what isn't said isn't compared": (TrainingFacts(), ROW),
    "a dropped last batch: 1709 full ones an epoch": (replace(FAITHFUL, iteration=170900), ROW),
    "vanilla's alpha means nothing": (replace(FAITHFUL, method="vanilla", alpha=1.0), VANILLA),
}


@pytest.mark.parametrize(("facts", "row_id"), AGREEING.values(), ids=AGREEING)
def test_agreeing_checkpoint_is_not_complained_about(
    manifest: Manifest, facts: TrainingFacts, row_id: str
) -> None:
    """A run as the benchmark describes it."""
    assert disagreements(facts, manifest.protocol, manifest.row(row_id), manifest) == []


def test_file_without_notes_claims_nothing(manifest: Manifest, row: Row) -> None:
    """Neither facts nor differences."""
    assert claims({}, manifest.protocol, row, manifest) == Claims()


CHANGES = {
    "method": ({"method": "mixup"}, "expects cutmix, the checkpoint's config says mixup"),
    "alpha": ({"alpha": 0.2}, "expects 1, the checkpoint's config says 0.2"),
    "several alphas": ({"alpha": (0.8, 1.0)}, "expects 1, the checkpoint's config says (0.8, 1)"),
    "architecture": ({"architecture": "resnet18"}, "expects resnet50, the checkpoint's config says resnet18"),
    "classes": ({"num_classes": 5089}, "expects 8142, the checkpoint's config says 5089"),
    "epochs": ({"epoch": 300, "epochs": 300, "iteration": 513000}, "is trained with 100, the checkpoint's config says 300"),
    "learning rate": ({"learning_rate": 0.2}, "is trained with 0.1, the checkpoint's config says 0.2"),
    "weight decay": ({"weight_decay": 0.0005}, "is trained with 0.0001, the checkpoint's config says 0.0005"),
    "batch": ({"iteration": 85500}, "are 1710 iterations an epoch, the checkpoint counts 85500 in 100 epochs (855 each)"),
    "precision": ({"precision": "bf16"}, "is trained with fp32, the checkpoint's config says bf16"),
    "start": ({"started_from": "imagenet.pth"}, "is trained with random weights, the checkpoint's config says imagenet.pth"),
    "epoch": ({"epoch": 95, "iteration": 162450}, "expected the last one of 100, the checkpoint was written after epoch 95"),
}  # fmt: skip


@pytest.mark.parametrize(("change", "words"), CHANGES.values(), ids=CHANGES)
def test_each_difference_is_one_sentence(
    manifest: Manifest, row: Row, change: dict[str, object], words: str
) -> None:
    """Expected, got, and what it means; nothing else is named."""
    found = disagreements(replace(FAITHFUL, **change), manifest.protocol, row, manifest)

    assert len(found) == 1
    assert words in found[0]
    assert found[0].endswith(".")


PIXELS = {
    "resize": 263,
    "crop": 192,
    "interpolation": "bilinear",
    "mean": (0.5, 0.5, 0.5),
    "std": (0.2, 0.2, 0.2),
}


@pytest.mark.parametrize("name", PIXELS)
def test_pixels_in_use_are_compared(manifest: Manifest, row: Row, name: str) -> None:
    """An override of one value differs from what the run validated with, and is named alone."""
    used = msgspec.structs.replace(manifest.protocol, **{name: PIXELS[name]})

    found = disagreements(FAITHFUL, used, row, manifest)

    assert len(found) == 1
    assert name in found[0]


def test_without_a_row_pixels_and_epoch_are_compared(manifest: Manifest) -> None:
    """A checkpoint of one's own is held against the evaluation alone."""
    facts = replace(FAITHFUL, method="mixup", epoch=3, num_classes=10)
    used = msgspec.structs.replace(manifest.protocol, resize=263)

    found = disagreements(facts, used)

    assert [sentence.partition(":")[0] for sentence in found] == ["evaluation resize", "epoch"]


def test_without_a_known_training_it_is_not_compared(manifest: Manifest, row: Row) -> None:
    """A benchmark that doesn't say how its rows were trained finds no other recipe."""
    silent = msgspec.structs.replace(manifest, training=None)
    facts = replace(FAITHFUL, learning_rate=0.2, iteration=85500, started_from="imagenet.pth")

    assert disagreements(facts, manifest.protocol, row, silent) == []


def test_genuine_checkpoint_of_another_run_is_told(
    golden: Path, manifest: Manifest, row: Row
) -> None:
    """The tiny run is not the released row, and its own file says in what."""
    meta = read_checkpoint(golden / "runs" / "tiny_cutmix_ep8" / "epoch_8.pth").meta

    found = claims(meta, manifest.protocol, row, manifest)

    assert found.facts["method"] == "cutmix"
    assert [sentence.partition(":")[0] for sentence in found.disagreements] == [
        "architecture",
        "classes",
        "evaluation resize",
        "evaluation crop",
        "epochs",
        "batch",
    ]


@pytest.mark.parametrize("name", ["resnet50.automix_inat2018", "resnet50.vanilla_inat2018"])
def test_a_rows_own_recipe_agrees_with_the_row(name: str, manifest: Manifest) -> None:
    """A faithful retraining is not remarked on."""
    row = manifest.row(name)
    text = recipe_of(manifest, row).text()
    facts = training_facts({"config": text, "epoch": 100, "iter": 171000})

    assert disagreements(facts, manifest.protocol, row, manifest) == []


def test_a_rows_own_recipe_goes_before_the_tables(manifest: Manifest, row: Row) -> None:
    """What it says is expected of it, and nothing else; what it doesn't say is the table's."""
    own = {"epochs": 1, "lr": 0.2, "batch_size": 512, "init": "a.pth"}
    short = msgspec.structs.replace(row, recipe=own)
    facts = replace(FAITHFUL, epoch=1, epochs=1, iteration=855, learning_rate=0.2)
    facts = replace(facts, started_from="a.pth")
    other = replace(facts, iteration=1710, weight_decay=0.5, learning_rate=0.1)

    found = disagreements(other, manifest.protocol, short, manifest)

    assert disagreements(facts, manifest.protocol, short, manifest) == []
    assert [one.partition(":")[0] for one in found] == ["learning rate", "weight decay", "batch"]
    assert found[0].startswith(f"learning rate: {row.id} is trained with 0.2,")
    assert found[0].endswith("another recipe than the row's.")
    assert "counts 1710 in 1 epoch (1710 each)" in found[2]
