"""Every row has the recipe that its number was published with, and says how to run it."""

import json
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from mixzoo.train.recipe import Automix, Recipe, differences, overridden
from mixzoo.train.rows import RowRun, recipe_of, run_of
from mixzoo.zoo.catalog import open_catalog
from mixzoo.zoo.checkpoint.config import parse
from mixzoo.zoo.checkpoint.reading import read_checkpoint
from mixzoo.zoo.errors import UsageError
from mixzoo.zoo.manifest import Manifest

from ..mini_rows import MIXUP as DRAWN

CATALOG = open_catalog()
AUTOMIX, MIXUP = "resnet50.automix_inat2018", "resnet50.mixup_inat2018"
FACTS = Path(__file__).with_name("recipes.txt")


def of(row_id: str) -> Recipe:
    benchmark, row = CATALOG.row(row_id)
    return recipe_of(benchmark.manifest, row)


def test_every_row_has_the_recipe_of_the_facts() -> None:
    """Classes, method, alpha, crop, and what differs from the released configs' common values."""
    lines = []
    for _, row in CATALOG:
        one = of(row.id)
        plain = Recipe(one.architecture, one.num_classes, one.mix_mode, one.alpha)
        start = f"{row.id}: {one.num_classes} {one.method} {one.alpha[0]:g}"
        lines.append(" ".join([start, *differences(plain, one)]))

    assert lines == [line for line in FACTS.read_text().splitlines() if line[0] != "#"]


def test_the_common_values_are_the_released_configs() -> None:
    """SGD 0.1/0.9/1e-4, cosine to 0, 4 x 64 images, 100 epochs, fp32 at 224 pixels; AutoMix's own."""
    assert Recipe("resnet18", 10, ("automix",), (2.0,)) == Recipe(
        "resnet18",
        10,
        ("automix",),
        (2.0,),
        variant="openmixup",
        epochs=100,
        batch_size=256,
        micro_batch=64,
        crop=224,
        lr=0.1,
        min_lr=0.0,
        momentum=0.9,
        weight_decay=1e-4,
        precision="fp32",
        automix=Automix(
            mask_loss=0.1,
            mask_loss_schedule="compounding",
            mask_adjust=0.0,
            lam_margin=0.08,
            momentum=0.999,
            momentum_end=0.99999,
            min_lr=1e-4,
            clean_statistics=True,
        ),
    )


def test_a_genuine_config_has_the_values_of_the_recipe(golden: Path) -> None:
    """The reference's own run was made from the released config of iNaturalist-2018's AutoMix."""
    notes = read_checkpoint(golden / "runs/tiny_automix_ep8/epoch_8.pth").meta
    config, recipe = parse(notes["config"]), of(AUTOMIX)
    hooks = {hook["type"]: hook for hook in config.get("custom_hooks")}
    own = recipe.automix

    assert config.get("optimizer", "lr") == recipe.lr
    assert config.get("optimizer", "momentum") == recipe.momentum
    assert config.get("optimizer", "weight_decay") == recipe.weight_decay
    assert config.get("lr_config", "min_lr") == recipe.min_lr
    assert config.get("addtional_scheduler", "min_lr") == own.min_lr
    assert config.get("model", "alpha") == recipe.alpha[0]
    assert [config.get("model", name) for name in ("mask_loss", "mask_adjust", "lam_margin")] == [
        own.mask_loss,
        own.mask_adjust,
        own.lam_margin,
    ]
    assert config.get("model", "momentum") == own.momentum
    assert hooks["CosineScheduleHook"]["end_momentum"] == own.momentum_end
    assert hooks["CustomCosineAnnealingHook"]["attr_base"] == own.mask_loss


def _manifest_with(**training: object) -> Manifest:
    manifest = CATALOG.row(MIXUP)[0].manifest
    return msgspec.structs.replace(
        manifest, training=msgspec.structs.replace(manifest.training, **training)
    )


def test_a_manifest_says_how_its_rows_are_trained() -> None:
    """A benchmark of one's own may have another schedule; parts of a batch then still fit."""
    row = CATALOG.row(MIXUP)[1]

    recipe = recipe_of(_manifest_with(epochs=7, batch_size=96, precision="bf16"), row)

    found = differences(of(MIXUP), recipe)
    assert found == ("epochs=7", "batch_size=96", "micro_batch=32", "precision=bf16")


def test_a_row_that_keeps_its_recipe_is_trained_by_it() -> None:
    """Whatever method a mixture is called, and whatever the manifest says of the other rows."""
    benchmark, row = CATALOG.row(MIXUP)
    settings = ["mix_mode=mixup,cutmix", "alpha=0.8,1", "mix_prob=0.4,0.6", "epochs=3", "lr=0.05"]
    recipe = overridden(of(MIXUP), settings)
    kept = json.loads(json.dumps({k: v for k, v in recipe.to_dict().items() if v is not None}))
    row = msgspec.structs.replace(row, method="mixup_cutmix", alpha=None, recipe=kept)

    assert recipe_of(benchmark.manifest, row) == recipe


def test_a_kept_recipe_that_means_nothing_is_one_line() -> None:
    """A manifest may say anything; the trainer's own check of settings refuses it."""
    benchmark, row = CATALOG.row(MIXUP)

    for recipe, message in (({"epoch": 3}, "no such setting"), ({"alpha": [True]}, "alpha")):
        with pytest.raises(UsageError, match=f"can't be trained: .*{message}"):
            recipe_of(benchmark.manifest, msgspec.structs.replace(row, recipe=recipe))


def test_a_row_of_an_unknown_method_says_so() -> None:
    """A manifest of one's own may name methods that aren't built in."""
    benchmark, row = CATALOG.row(MIXUP)
    foreign = msgspec.structs.replace(
        row, method="attentivemix", id="resnet50.attentivemix_inat2018"
    )

    with pytest.raises(
        UsageError, match="attentivemix_inat2018 can't be trained: no mixing method"
    ):
        recipe_of(benchmark.manifest, foreign)


def test_command_gives_the_same_recipe_back() -> None:
    """The settings of a command are those that make the recipe from the row's."""
    settings = ["epochs=300", "seed=1", "automix.mask_loss=0.2"]

    run = run_of(AUTOMIX, settings, Path("/d a"), Path("/o"))
    run = replace(run, manifests=(Path("own.toml"),))

    places = ["--data", "/d a", "--out", "/o", "--manifest", "own.toml"]
    assert run.words == [
        *("mixzoo", "train", AUTOMIX, *places),
        *(word for setting in settings for word in ("--set", setting)),
    ]
    assert overridden(of(AUTOMIX), run.settings) == run.recipe


def test_drawn_images_need_no_folder() -> None:
    """All others are asked for."""
    assert "--data" not in run_of(DRAWN).words
    assert run_of(MIXUP).words[3:] == ["--data", "DIR", "--out", f"runs/{MIXUP}"]


def test_description_says_what_to_expect_and_how_to_run_it() -> None:
    """Number, rule, both commands, and the recipe's own text at the end."""
    text = run_of(AUTOMIX, data=Path("/data"), out=Path("/runs")).describe()

    lines = text.splitlines()
    assert lines[:2] == [
        "resnet50.automix_inat2018: resnet50, automix (alpha 2), 8,142 classes, 100 epochs",
        "expected top-1: 64.73% (median of the last 5 epochs)",
    ]
    assert lines[3] == "mixzoo train resnet50.automix_inat2018 --data /data --out /runs"
    assert lines[4] == (
        "torchrun --nproc_per_node 4 -m mixzoo train resnet50.automix_inat2018 --data /data "
        "--out /runs  # 4 processes of 64 images"
    )
    assert text.endswith(of(AUTOMIX).text())


def test_description_of_another_recipe_promises_nothing() -> None:
    """The table's number stands beside what differs; a seed alone is the same recipe."""
    other = run_of(MIXUP, ["mix_mode=mixup,cutmix", "alpha=0.8,1", "mix_prob=0.4,0.6"])
    reseeded = run_of(MIXUP, ["seed=5"])

    assert "mixup (alpha 0.8) or cutmix (alpha 1)" in other.describe()
    assert (
        "isn't the row's recipe: mix_mode=mixup,cutmix alpha=0.8,1.0 mix_prob=0.4,0.6"
        in other.describe()
    )
    assert "isn't the row's recipe" not in reseeded.describe()
    assert reseeded.words[-2:] == ["--set", "seed=5"]
    assert (other.expected, reseeded.expected) == (None, 62.69)


def test_description_without_a_number() -> None:
    """A row of one's own may have none yet."""
    run: RowRun = run_of("resnet50.vanilla_inat2018")
    unknown = replace(run, row=msgspec.structs.replace(run.row, reported_top1=None))

    assert "expected top-1: not known" in unknown.describe()
