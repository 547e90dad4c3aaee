"""Methods by name, at a chosen lam."""

import numpy as np
import pytest
import torch
from mixzoo.train.mixing import PICTURED, mix_by_name
from mixzoo.zoo.errors import UsageError
from mixzoo.zoo.nets import Classifier, MixClassifier, ResNetConfig

SWAP = torch.tensor([1, 0])


@pytest.fixture(scope="module")
def models() -> dict[str, Classifier | MixClassifier]:
    """One small classifier for each kind that a method needs."""
    config = ResNetConfig.from_name("resnet18_w4")
    learnt = {name: MixClassifier(config, 3, name).eval() for name in ("automix", "samix")}
    return {"puzzlemix": Classifier(config, 3).eval(), **learnt}


@pytest.fixture
def x() -> torch.Tensor:
    """Two images."""
    return torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))


def rng() -> np.random.Generator:
    return np.random.default_rng(7)


@pytest.mark.parametrize("name", PICTURED)
def test_lam_one_shows_the_original(name: str, x: torch.Tensor, models: dict) -> None:
    """All of A where that is what lam means; PuzzleMix's lam is only a prior."""
    mixed = mix_by_name(name, x, SWAP, 1.0, rng(), models.get(name))

    if name != "puzzlemix":
        assert torch.allclose(mixed.images, x)
        assert mixed.lam.tolist() == [1, 1]


@pytest.mark.parametrize(
    "name", sorted(set(PICTURED) - {"puzzlemix", "resizemix", "cutmix", "saliencymix"})
)
def test_lam_zero_shows_the_partner(name: str, x: torch.Tensor, models: dict) -> None:
    """All of B for the methods whose mask isn't a box that may be clipped."""
    mixed = mix_by_name(name, x, SWAP, 0.0, rng(), models.get(name))

    assert torch.allclose(mixed.images, x[SWAP])


@pytest.mark.parametrize("name", PICTURED)
def test_same_generator_same_picture(name: str, x: torch.Tensor, models: dict) -> None:
    """A seed repeats the picture."""
    first, second = (mix_by_name(name, x, SWAP, 0.4, rng(), models.get(name)) for _ in range(2))

    assert torch.equal(first.images, second.images)
    assert torch.equal(first.mask, second.mask)


WRONG: dict[str, tuple[str, str | None, str]] = {
    "unknown": ("mixip", None, "no method 'mixip' that mixes images"),
    "hidden": ("manifoldmix", None, "no method 'manifoldmix' that mixes images"),
    "no saliency": ("puzzlemix", None, "needs a classifier's saliency"),
    "no block": ("automix", None, "expected a checkpoint of automix"),
    "block of the other": ("automix", "samix", "expected a checkpoint of automix"),
}


@pytest.mark.parametrize(("name", "model", "message"), WRONG.values(), ids=WRONG)
def test_what_is_missing_is_named(
    name: str, model: str | None, message: str, x: torch.Tensor, models: dict
) -> None:
    """A method says which model it needs."""
    with pytest.raises(UsageError, match=message):
        mix_by_name(name, x, SWAP, 0.5, rng(), models[model] if model else None)
