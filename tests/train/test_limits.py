"""Numbers that no run can be made with are named before anything is read."""

import math
from dataclasses import asdict

import pytest
from mixzoo.train.limits import RANGES, require_in_range
from mixzoo.train.overrides import field_types
from mixzoo.train.recipe import Automix, Recipe
from mixzoo.zoo.errors import UsageError


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("epochs", 1, 0),
        ("seed", 2**63 - 1, 2**63),
        ("lr", 0.0, -1e-9),
        ("momentum", 0.999, 1.0),
        ("automix.momentum", 1.0, 1.0001),
        ("automix.lam_margin", 0.5, 0.51),
        ("automix.mask_adjust", 1.0, 1.1),
        ("automix.mask_loss", 0.0, -0.1),
    ],
)
def test_bounds_are_where_they_are_said_to_be(name: str, good: float, bad: float) -> None:
    """The bound itself is allowed or not, as each field needs it."""
    require_in_range(name, good)

    with pytest.raises(UsageError, match=rf"expected {name} of .*, got {bad}"):
        require_in_range(name, bad)


@pytest.mark.parametrize("value", [math.nan, math.inf, (1.0, math.inf)])
def test_only_finite_numbers_train(value: object) -> None:
    """Also in lists, and for fields without bounds."""
    with pytest.raises(UsageError, match="expected alpha to be finite"):
        require_in_range("alpha", value)


def test_every_range_is_of_a_field() -> None:
    """A field that was renamed must not lose its bounds silently."""
    assert set(RANGES) <= set(field_types())


def test_defaults_are_in_range() -> None:
    """The released values themselves pass."""
    recipe = Recipe("resnet18", 10, ("automix",), (2.0,))

    for name, value in asdict(recipe).items():
        require_in_range(name, value)
    for name, value in asdict(Automix()).items():
        require_in_range(f"automix.{name}", value)
