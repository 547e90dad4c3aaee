"""A recipe has values that can be trained with; `key=value` texts change it, or are one clear line."""

import math
import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mixzoo.train.recipe import Automix, Recipe, differences, field_types, overridden
from mixzoo.zoo.errors import UsageError

MIXUP = Recipe("resnet18", 10, ("mixup",), (0.2,))
AUTOMIX = Recipe("resnet18", 10, ("automix",), (2.0,))
DOCUMENT = Recipe("resnet18", 10, ("mixup", "cutmix"), (0.8, 1.0), mix_prob=(0.4, 0.6))


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("epochs", 1, 0),
        ("seed", 2**63 - 1, 2**63),
        ("lr", 0.0, -1e-9),
        ("lr", 1e38, 1e300),
        ("weight_decay", 0.5, math.nan),
        ("momentum", 0.999, 1.0),
        ("precision", "bf16", "int8"),
        ("variant", "paper", "papers"),
        ("mix_repeat", 2, 0),
        ("alpha", (1e38,), (math.inf,)),
        ("automix.momentum", 1.0, 1.0001),
        ("automix.lam_margin", 0.5, 0.51),
        ("automix.mask_adjust", 1.0, 1.1),
        ("automix.mask_loss", 0.0, -0.1),
    ],
)
def test_bounds_are_where_they_are_said_to_be(name: str, good: Any, bad: Any) -> None:
    """The bound itself is allowed or not, as each field needs it; only finite numbers train."""

    def made(value: Any) -> Recipe:
        inner = name.removeprefix("automix.")
        if inner != name:
            return replace(AUTOMIX, automix=Automix(**{inner: value}))
        return replace(MIXUP, **{name: value})

    made(good)
    with pytest.raises(
        UsageError, match=rf"^expected {name} to be .*, got '?{re.escape(str(bad).strip('(),'))}"
    ):
        made(bad)


@pytest.mark.parametrize(
    ("setting", "field", "value"),
    [
        ("epochs=300", "epochs", 300),
        ("lr=.05", "lr", 0.05),
        ("weight_decay=5e-4", "weight_decay", 5e-4),
        ("alpha=1", "alpha", (1.0,)),
        ("mix_mode=cutmix", "mix_mode", ("cutmix",)),
        (" seed = 7 ", "seed", 7),
        ("precision='bf16'", "precision", "bf16"),
        ("variant=paper", "variant", "paper"),
        ("mix_prob=none", "mix_prob", None),
    ],
)
def test_values_have_the_types_of_their_fields(setting: str, field: str, value: Any) -> None:
    """Text becomes a number, a name or a tuple, as the field's annotation says."""
    found = getattr(overridden(MIXUP, [setting]), field)

    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    "settings",
    [
        ("mix_mode=mixup,cutmix", "alpha=0.8,1", "mix_prob=0.4,0.6"),
        ('mix_mode=["mixup", "cutmix"]', "alpha=[0.8, 1]", "mix_prob=[0.4, 0.6]"),
        ("mix_prob=(0.4, 0.6)", "alpha=(0.8, 1.0,)", "mix_mode=('mixup', 'cutmix')"),
    ],
)
def test_mixture_as_the_benchmarks_page_writes_it(settings: tuple[str, ...]) -> None:
    """MixUp and CutMix with switching probabilities 0.4 and 0.6, in any order of settings."""
    assert overridden(MIXUP, settings) == DOCUMENT


def test_nested_values_are_set_together() -> None:
    """Fields of AutoMix have its name before them; those that aren't set stay."""
    settings = ["mask_loss=0.2", "clean_statistics=false", "mask_loss_schedule=cosine"]

    recipe = overridden(AUTOMIX, [f"automix.{setting}" for setting in settings])

    assert recipe.automix == Automix(
        mask_loss=0.2, clean_statistics=False, mask_loss_schedule="cosine"
    )


@pytest.mark.parametrize(
    ("setting", "complaint"),
    [
        ("epoch=1", "--set epoch: no such setting. Did you mean 'epochs'?"),
        ("runner.max_epochs=1", "no such setting. Did you mean 'epochs'?"),
        ("mask_loss=1", "Did you mean 'automix.mask_loss'?"),
        ("zzz=1", "There are: architecture, num_classes, "),
        ("automix=1", "no such setting"),
        ("epochs", "--set epochs: expected key=value, such as epochs=300."),
        ("epochs=1.5", "expected epochs to be a whole number of 1 to 100,000, got 1.5; correct"),
        ("lr=fast", "expected lr to be a number of 0 to 3.4e+38, got 'fast'"),
        ("alpha=1,x", "-3.4e+38 to 3.4e+38, or several separated by commas, got 1,x"),
        ("mix_prob=x", "separated by commas, or none, got x"),
        ("precision=int8", "expected precision to be one of fp32, bf16, fp16, got 'int8'"),
        ("automix.clean_statistics=2", "to be true or false, got 2"),
        ("lr=nan", "expected lr to be a number of 0 to 3.4e+38, got 'nan'"),
        ("momentum=1", "a number of 0 to 1, but less than 1, got 1"),
        ("alpha=0", "expected alpha > 0"),
        ("alpha=0.8,1", "expected one alpha for each of 1 mix_mode, got 2"),
        ("mix_mode=mixup,cutmix", "expected one alpha for each of 2 mix_mode, got 1"),
        ("mix_prob=0.9", "expected mix_prob of 1 probabilities that sum to 1"),
        ("batch_size=100", "batch_size 100 isn't a multiple of micro_batch 64"),
        ("architecture=resnet51", "expected a depth of"),
        ("mix_mode=mixip", "no mixing method 'mixip'"),
        ("mix_mode=mixup,automix", "can't be part of a mixture"),
        ("automix.mask_loss=0.2", "--set automix.mask_loss: has no effect on mixup"),
    ],
)
def test_bad_settings_are_named_in_one_line(setting: str, complaint: str) -> None:
    """Unknown keys, wrong types, numbers out of range and values that don't fit together."""
    with pytest.raises(UsageError) as raised:
        overridden(MIXUP, [setting])

    assert complaint in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_key_is_set_once() -> None:
    """Of two values one would be lost."""
    with pytest.raises(UsageError, match="lr is set twice"):
        overridden(MIXUP, ["lr=0.1", "lr=0.2"])


MIXTURES = st.builds(
    Recipe,
    architecture=st.sampled_from(["resnet18", "resnext101_32x4d"]),
    num_classes=st.integers(1, 9000),
    mix_mode=st.just(("mixup", "cutmix")),
    alpha=st.tuples(st.floats(0.1, 4), st.floats(0.1, 4)),
    mix_prob=st.sampled_from([None, (0.4, 0.6), (1 / 3, 2 / 3)]),
    epochs=st.integers(1, 1000),
    lr=st.floats(0, 10),
    seed=st.integers(0, 2**63 - 1),
    precision=st.sampled_from(["fp32", "bf16", "fp16"]),
)
ROWS = st.builds(
    Recipe,
    architecture=st.just("resnet18"),
    num_classes=st.just(10),
    mix_mode=st.sampled_from([("automix",), ("samix",), ("mixup",), ("vanilla",)]),
    alpha=st.tuples(st.floats(0.1, 4)),
    automix=st.builds(
        Automix,
        mask_loss=st.floats(0, 1),
        clean_statistics=st.booleans(),
        mask_loss_schedule=st.sampled_from(["compounding", "cosine"]),
    ),
)


@given(before=ROWS, after=ROWS | MIXTURES)
def test_differences_lead_from_one_recipe_to_the_other(before: Recipe, after: Recipe) -> None:
    """What is printed as a command's settings gives the very same run."""
    assert overridden(before, differences(before, after)).to_dict() == after.to_dict()


def test_equal_recipes_have_no_differences() -> None:
    """Nothing is set that is so already, nor what the other recipe makes no use of."""
    assert differences(AUTOMIX, AUTOMIX) == ()
    assert differences(MIXUP, replace(MIXUP, automix=Automix(mask_loss=0.5))) == ()
    assert differences(MIXUP, replace(MIXUP, epochs=3)) == ("epochs=3",)
    assert overridden(MIXUP, []) == MIXUP
    assert "automix" not in field_types()


def test_bad_numbers_of_processes_are_told_the_good_ones() -> None:
    """256 images in 4 parts."""
    with pytest.raises(UsageError, match=r"3 processes can't share evenly.*\(1, 2, 4\)"):
        MIXUP.accumulation(3)
    assert [MIXUP.accumulation(n) for n in (1, 2, 4)] == [4, 2, 1]


def test_a_place_of_a_run_has_random_numbers_of_its_own() -> None:
    """The same again, whatever was drawn in between; no two places' streams are alike, also where
    their numbers could be confused."""
    places = [("crop", 3, 7), ("mix", 3, 7), ("order", 3, 7), ("crop", 7, 3), ("crop", 3)]
    generators = [MIXUP.generator(*place) for place in (*places, ("crop", 37))]
    generators.append(replace(MIXUP, seed=1).generator("crop", 3, 7))

    first = [rng.random() for rng in generators]

    assert MIXUP.generator("crop", 3, 7).random() == first[0]
    assert len(set(first)) == len(first)
