"""Schedules are those that the reference's hooks set in every recorded iteration."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mixzoo.train.recipe import Automix, Recipe
from mixzoo.train.schedules import (
    ema_momentum,
    learning_rate,
    mask_loss_weights,
    mix_block_learning_rate,
)

GOLDEN = Path(__file__).parents[1] / "golden" / "schedules.json"
RUNS: dict[str, dict[str, Any]] = json.loads(GOLDEN.read_text())
RELATIVE = 1e-9


def automix(epochs: int = 100, lr: float = 0.1, min_lr: float = 0.0, **own: Any) -> Recipe:
    return Recipe(
        "resnet18",
        10,
        ("automix",),
        (2.0,),
        epochs=epochs,
        lr=lr,
        min_lr=min_lr,
        automix=Automix(**own),
    )


@pytest.fixture(params=RUNS)
def run(request: pytest.FixtureRequest) -> dict[str, Any]:
    return RUNS[request.param]


@pytest.fixture
def recipe(run: dict[str, Any]) -> Recipe:
    return automix(
        epochs=run["max_epochs"],
        lr=run["lr"],
        min_lr=run["min_lr"],
        mask_loss=run["mask_loss_base"],
        momentum=run["base_momentum"],
        momentum_end=run["end_momentum"],
    )


def test_learning_rates_are_the_recorded_ones(run: dict[str, Any], recipe: Recipe) -> None:
    """Every recorded iteration has the rates of its epoch; the mix block's fall to their own floor."""
    assert recipe.automix.min_lr == run["mix_block_min_lr"]
    for key, rate in (("lr", learning_rate), ("lr_mix_block", mix_block_learning_rate)):
        found = [rate(recipe, row["epoch"]) for row in run["table"]]
        assert found == pytest.approx([row[key] for row in run["table"]], rel=RELATIVE)


def test_momentum_is_constant_then_jumps(run: dict[str, Any], recipe: Recipe) -> None:
    """Recorded before, at and after a tenth of the run, where it leaves its first value."""
    expected = [row["momentum"] for row in run["table"]]
    whole = recipe.epochs * run["iters_per_epoch"]

    found = [ema_momentum(recipe.automix, row["iter"], whole) for row in run["table"]]

    assert found == pytest.approx(expected, rel=1e-15)
    tenth = int(0.1 * whole)
    assert ema_momentum(recipe.automix, tenth - 1, whole) == run["base_momentum"]
    assert ema_momentum(recipe.automix, tenth, whole) > run["base_momentum"] + 2e-5


def test_mask_loss_weight_compounds(run: dict[str, Any], recipe: Recipe) -> None:
    """Down to the subnormal numbers and the very iteration where nothing is left."""
    weights = mask_loss_weights(recipe.automix, recipe.epochs * run["iters_per_epoch"])

    expected = [row["mask_loss_weight"] for row in run["table"]]
    assert [weights[row["iter"]] for row in run["table"]] == pytest.approx(
        expected, rel=RELATIVE, abs=0
    )
    assert np.flatnonzero(weights == 0)[0] == run["first_iter_mask_loss_is_zero"]
    assert weights.shape == (run["max_epochs"] * run["iters_per_epoch"],)
    assert weights.dtype == np.float64


def test_cosine_mask_loss_is_one_cosine() -> None:
    """The option falls from the full weight to half of it in the middle."""
    weights = mask_loss_weights(automix(4, mask_loss=0.2, mask_loss_schedule="cosine").automix, 20)

    expected = 0.1 * (1 + np.cos(np.pi * np.arange(20) / 20))
    np.testing.assert_allclose(weights, expected, rtol=1e-14)


@given(
    epochs=st.integers(1, 40),
    per_epoch=st.integers(1, 30),
    mask_loss=st.floats(0, 10, allow_subnormal=False),
    schedule=st.sampled_from(["compounding", "cosine"]),
)
def test_schedules_of_any_run_stay_in_bounds(
    epochs: int, per_epoch: int, mask_loss: float, schedule: Any
) -> None:
    """Rates and weights fall from their first to their last value, the momentum rises."""
    recipe = automix(epochs, min_lr=0.01, mask_loss=mask_loss, mask_loss_schedule=schedule)
    steps = range(epochs * per_epoch)

    rates = [learning_rate(recipe, epoch) for epoch in range(epochs)]
    momenta = [ema_momentum(recipe.automix, step, len(steps)) for step in steps]
    weights = mask_loss_weights(recipe.automix, len(steps))

    assert rates[0] == pytest.approx(0.1)
    assert rates == sorted(rates, reverse=True)
    assert min(rates) >= 0.01
    assert momenta == sorted(momenta)
    assert 0.999 <= momenta[0] <= momenta[-1] <= 0.99999
    assert weights[0] == mask_loss
    assert np.all(np.diff(weights) <= 0)
    assert np.all(weights >= 0)
