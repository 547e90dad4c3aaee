"""Every row has the recipe that its number was published with, and says how to run it."""

import shlex
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest
from mixzoo.train.recipe import Automix, Recipe, overridden
from mixzoo.train.rows import command, describe, recipe_of
from mixzoo.zoo.catalog import Benchmark, open_catalog
from mixzoo.zoo.checkpoint.config import parse
from mixzoo.zoo.checkpoint.reading import read_checkpoint
from mixzoo.zoo.errors import UsageError
from mixzoo.zoo.manifest import Row

CATALOG = open_catalog()
RELEASED = ("inat2017", "inat2018", "places205")
PUBLISHED = {row.id: (b, row) for b, row in CATALOG if b.name in RELEASED}
LEARNT = [row_id for row_id, (_, row) in PUBLISHED.items() if row.method in ("automix", "samix")]


def of(row_id: str, **own: object) -> Recipe:
    benchmark, row = CATALOG.row(row_id)
    return recipe_of(benchmark.manifest, row, **own)  # type: ignore[arg-type]


@pytest.mark.parametrize(("benchmark", "row"), list(CATALOG), ids=[row.id for _, row in CATALOG])
def test_every_row_has_a_recipe(benchmark: Benchmark, row: Row) -> None:
    """Its own network, classes, method, alpha and crop."""
    recipe = recipe_of(benchmark.manifest, row)

    assert (recipe.architecture, recipe.mix_mode) == (row.architecture, (row.method,))
    assert row.alpha is None or recipe.alpha == (row.alpha,)
    assert recipe.num_classes == benchmark.manifest.dataset.num_classes
    assert recipe.crop == benchmark.manifest.protocol.crop


@pytest.mark.parametrize("row_id", PUBLISHED)
def test_released_rows_have_the_released_configs_values(row_id: str) -> None:
    """SGD 0.1/0.9/1e-4, cosine to 0, 4 x 64 images, 100 epochs, fp32 at 224 pixels."""
    recipe = of(row_id)

    assert (recipe.lr, recipe.momentum, recipe.weight_decay) == (0.1, 0.9, 1e-4)
    assert (recipe.min_lr, recipe.epochs, recipe.crop) == (0.0, 100, 224)
    assert (recipe.batch_size, recipe.micro_batch, recipe.precision) == (256, 64, "fp32")
    assert recipe.variant == "openmixup"


@pytest.mark.parametrize("row_id", LEARNT)
def test_learnt_rows_have_the_released_mix_blocks_values(row_id: str) -> None:
    """mask_loss 0.1, lam_margin 0.08, momentum 0.999 to 0.99999; the floor differs by config."""
    recipe = of(row_id)

    floors = {
        "resnet18.automix_inat2017": 1e-3,
        "resnet18.samix_inat2017": 1e-3,
        "resnet18.automix_places205": 1e-3,
        "resnet50.automix_places205": 1e-3,
    }
    assert recipe.alpha == (2.0,)
    assert recipe.automix == Automix(
        mask_loss=0.1,
        mask_loss_schedule="compounding",
        mask_adjust=0.0,
        lam_margin=0.08,
        momentum=0.999,
        momentum_end=0.99999,
        min_lr=floors.get(row_id, 1e-4),
        clean_statistics=True,
    )


def test_a_genuine_config_has_the_values_of_the_recipe(golden: Path) -> None:
    """The reference's own run was made from the released config of iNaturalist-2018's AutoMix."""
    notes = read_checkpoint(golden / "runs/tiny_automix_ep8/epoch_8.pth").meta
    config, recipe = parse(notes["config"]), of("resnet50.automix_inat2018")
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


def test_seed_is_the_callers() -> None:
    """Everything else is the row's."""
    assert of("resnet50.mixup_inat2018", seed=3) == replace(of("resnet50.mixup_inat2018"), seed=3)


def test_a_row_of_an_unknown_method_says_so() -> None:
    """A manifest of one's own may name methods that aren't built in."""
    benchmark, row = CATALOG.row("resnet50.mixup_inat2018")
    foreign = msgspec.structs.replace(
        row, method="attentivemix", id="resnet50.attentivemix_inat2018"
    )

    with pytest.raises(
        UsageError, match="attentivemix_inat2018 can't be trained: no mixing method"
    ):
        recipe_of(benchmark.manifest, foreign)


def test_command_gives_the_same_recipe_back() -> None:
    """The settings of a command are those that make the recipe from the row's."""
    benchmark, row = CATALOG.row("resnet50.automix_inat2018")
    recipe = overridden(of(row.id), ["epochs=300", "automix.mask_loss=0.2", "seed=1"])

    words = command(
        benchmark.manifest, row, recipe, data="/d a", out="/o", manifests=[Path("own.toml")]
    )

    settings = [word for name, word in pairwise(words) if name == "--set"]
    assert words[:7] == ["mixzoo", "train", row.id, "--data", "/d a", "--out", "/o"]
    assert words[7:9] == ["--manifest", "own.toml"]
    assert overridden(of(row.id), settings) == recipe


def test_description_says_what_to_expect_and_how_to_run_it() -> None:
    """Number, rule, both commands, and the recipe's own text at the end."""
    benchmark, row = CATALOG.row("resnet50.automix_inat2018")

    text = describe(benchmark.manifest, row, of(row.id), data="/data", out="/runs")

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
    assert text.endswith(of(row.id).text())


def test_description_of_another_recipe_promises_nothing() -> None:
    """The table's number stands beside what differs; a seed alone is the same recipe."""
    benchmark, row = CATALOG.row("resnet50.mixup_inat2018")
    other = overridden(of(row.id), ["mix_mode=mixup,cutmix", "alpha=0.8,1", "mix_prob=0.4,0.6"])

    text = describe(benchmark.manifest, row, other)
    reseeded = describe(benchmark.manifest, row, of(row.id, seed=5))

    assert "mixup (alpha 0.8) or cutmix (alpha 1)" in text
    assert "isn't the row's recipe: mix_mode=mixup,cutmix alpha=0.8,1.0 mix_prob=0.4,0.6" in text
    assert "isn't the row's recipe" not in reseeded
    assert shlex.split(reseeded.splitlines()[3])[-2:] == ["--set", "seed=5"]


def test_description_without_a_number() -> None:
    """A row of one's own may have none yet."""
    benchmark, row = CATALOG.row("resnet50.vanilla_inat2018")
    row = msgspec.structs.replace(row, reported_top1=None)

    assert "expected top-1: not known" in describe(benchmark.manifest, row, of(row.id))
