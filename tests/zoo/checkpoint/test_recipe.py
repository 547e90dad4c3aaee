"""A checkpoint of mixzoo's own trainer says what it was trained as."""

from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from mixzoo.eval.claims import disagreements
from mixzoo.train.overrides import overridden
from mixzoo.train.recipe import Recipe
from mixzoo.train.recipes import recipe_of
from mixzoo.zoo.catalog import open_catalog
from mixzoo.zoo.checkpoint.facts import TrainingFacts, training_facts
from mixzoo.zoo.checkpoint.reading import read_checkpoint
from mixzoo.zoo.checkpoint.words import in_words

CATALOG = open_catalog()
MIXUP = Recipe("resnet18", 10, ("mixup",), (0.2,))


def facts_of(recipe: Recipe, **meta: Any) -> TrainingFacts:
    return training_facts({"config": recipe.text(), **meta})


def test_recipe_is_read_from_its_text() -> None:
    """Method, network, schedule and batch, in the words that OpenMixup's configs have."""
    facts = facts_of(MIXUP, epoch=100, iter=500, seed=0, mixzoo_version="0.1")

    assert (facts.method, facts.alpha, facts.architecture) == ("mixup", 0.2, "resnet18")
    assert (facts.num_classes, facts.epoch, facts.epochs, facts.iteration) == (10, 100, 100, 500)
    assert facts.optimizer == "SGD(lr=0.1, momentum=0.9, weight_decay=0.0001)"
    assert (facts.learning_rate, facts.weight_decay) == (0.1, 1e-4)
    assert facts.schedule == "CosineAnnealing(min_lr=0)"
    assert (facts.batch_size, facts.micro_batch) == (256, 64)
    assert facts.half_precision is False
    assert facts.software == "mixzoo 0.1"
    assert facts.left_out == ()


def test_recipe_in_words() -> None:
    """What `mixzoo zoo inspect` prints of it."""
    words = in_words(facts_of(overridden(MIXUP, ["precision=bf16", "crop=160"])))

    assert words["batch"] == "256 images per step, 64 mixed together"
    assert words["precision"] == "mixed with bf16"
    assert words["training pipeline"] == (
        "RandomResizedCrop(size=160, interpolation=bicubic); RandomHorizontalFlip()"
    )
    assert words["epochs planned"] == "100"


@pytest.mark.parametrize(
    ("settings", "method", "alpha"),
    [
        (["mix_mode=vanilla"], "vanilla", None),
        (["mix_mode=samix", "alpha=2"], "samix", 2.0),
        (["mix_mode=mixup,cutmix", "alpha=0.8,1"], "mixup + cutmix", (0.8, 1.0)),
    ],
)
def test_methods_and_their_alphas(settings: list[str], method: str, alpha: Any) -> None:
    """Vanilla draws no alpha, so it has none; a mixture has one for each method."""
    facts = facts_of(overridden(MIXUP, settings))

    assert (facts.method, facts.alpha) == (method, alpha)


@pytest.mark.parametrize("name", ["resnet50.automix_inat2018", "resnet50.vanilla_inat2018"])
def test_a_rows_own_recipe_agrees_with_the_row(name: str) -> None:
    """A faithful retraining is not remarked on."""
    benchmark, row = CATALOG.row(name)
    manifest = benchmark.manifest
    facts = facts_of(recipe_of(manifest, row), epoch=100, iter=171000)

    assert disagreements(facts, manifest.protocol, row, manifest) == []


def test_another_recipe_is_remarked_on() -> None:
    """Epochs and 16-bit arithmetic, by its own name."""
    benchmark, row = CATALOG.row("resnet50.mixup_inat2018")
    manifest = benchmark.manifest
    recipe = overridden(recipe_of(manifest, row), ["epochs=300", "precision=bf16"])

    found = disagreements(facts_of(recipe, epoch=300), manifest.protocol, row, manifest)

    assert any(sentence.startswith("epochs:") for sentence in found)
    assert any("the checkpoint's config says bf16: another recipe" in text for text in found)


def test_first_recipes_are_read_too() -> None:
    """They had one method and one alpha where lists are now."""
    text = "architecture = 'resnet18_w6'\nnum_classes = 40\nmethod = 'mixup'\nalpha = 0.2\nepochs = 60\n"

    facts = training_facts({"config": text})

    assert (facts.method, facts.alpha, facts.epochs) == ("mixup", 0.2, 60)


def test_a_checkpoint_on_disk_says_it(tmp_path: Path) -> None:
    """The notes survive the file, with nested fields of AutoMix in them."""
    recipe = overridden(MIXUP, ["mix_mode=automix", "alpha=2", "automix.mask_loss=0.3"])
    path = tmp_path / "w.pth"
    torch.save({"meta": {"config": recipe.text()}, "state_dict": {"w": torch.zeros(1)}}, path)

    facts = training_facts(read_checkpoint(path).meta)

    assert (facts.method, facts.left_out) == ("automix", ())


VALUES = st.none() | st.integers() | st.floats() | st.text(max_size=5) | st.lists(st.floats())


@given(st.dictionaries(st.sampled_from(list(MIXUP.to_dict())), VALUES))
def test_nonsense_counts_as_nothing_said(values: dict[str, Any]) -> None:
    """Whatever somebody wrote into the notes, reading them doesn't fail."""
    lines = {"architecture": "'resnet18'", "mix_mode": "('mixup',)"}
    lines |= {name: repr(value) for name, value in values.items()}

    facts = training_facts({"config": "".join(f"{k} = {v}\n" for k, v in lines.items())})

    assert all(isinstance(text, str) for text in in_words(facts).values())
