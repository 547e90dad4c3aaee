"""The face that all ten methods show to the loop."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from mixzoo.train.mixed_step import mixed_losses
from mixzoo.train.network import fresh_network
from mixzoo.train.recipe import Automix, Recipe
from mixzoo.train.steps import AutomixStep, MixedStep, step_of

SHAPE = (4, 3, 32, 32)


@pytest.fixture
def batch() -> tuple[torch.Tensor, torch.Tensor]:
    """Four images and labels."""
    return torch.randn(SHAPE, generator=torch.Generator().manual_seed(1)), torch.arange(4)


def _step(recipe: Recipe, **changes: object) -> MixedStep | AutomixStep:
    recipe = replace(recipe, **changes)  # type: ignore[arg-type]
    return step_of(fresh_network(recipe), recipe)


@pytest.mark.parametrize("method", ["vanilla", "puzzlemix", "manifoldmix", "automix", "samix"])
def test_losses_have_what_is_logged(
    method: str, tiny: Recipe, batch: tuple[torch.Tensor, torch.Tensor]
) -> None:
    """And the loss has gradients for every parameter that learns."""
    step = _step(tiny, mix_mode=(method,))

    losses = step(*batch, step.draw(np.random.default_rng(0), SHAPE), 0.1)
    losses["loss"].backward()

    assert set(step.logged) <= losses.keys()
    for name, parameter in step.model.named_parameters():
        assert (parameter.grad is not None) == parameter.requires_grad, name


def test_a_steps_parameters_are_the_models(tiny: Recipe) -> None:
    """So gradients of the step are averaged where the optimizer looks for them."""
    step = _step(tiny, mix_mode=("samix",))

    assert [*map(id, step.parameters())] == [*map(id, step.model.parameters())]


def test_repeats_are_averaged(tiny: Recipe, batch: tuple[torch.Tensor, torch.Tensor]) -> None:
    """A step with two mixed copies has the mean of their losses."""
    step = _step(tiny, mix_mode=("mixup", "cutmix"), alpha=(1.0, 1.0), mix_repeat=2)
    draw = step.draw(np.random.default_rng(0), SHAPE)

    losses = step(*batch, draw, 0.0)

    each = [mixed_losses(step.model, *batch, one)["loss"].item() for one in draw]
    assert len(each) == 2
    assert losses["loss"].item() == pytest.approx(sum(each) / 2, rel=1e-6)


def test_the_mask_loss_has_the_weight_of_the_step(
    tiny: Recipe, batch: tuple[torch.Tensor, torch.Tensor]
) -> None:
    """The total moves by the weight times the mask loss."""
    step = _step(tiny, mix_mode=("samix",))
    draw = step.draw(np.random.default_rng(0), SHAPE)

    without, heavy = (step(*batch, draw, weight) for weight in (0.0, 10.0))

    difference = heavy["loss"] - without["loss"]
    assert difference.item() == pytest.approx(10 * heavy["mask_loss"].item(), rel=1e-3)


def test_settings_of_automix_reach_the_step(
    tiny: Recipe, batch: tuple[torch.Tensor, torch.Tensor]
) -> None:
    """A margin of one half makes every copy of q plain MixUp; without clean statistics k's last
    stage sees one batch less."""
    images = {}
    for margin in (0.0, 0.5):
        step = _step(tiny, mix_mode=("automix",), automix=Automix(lam_margin=margin))
        step.model.backbone_q.register_forward_pre_hook(
            lambda _, inputs, margin=margin: images.update({margin: inputs[0]})
        )
        draw = step.draw(np.random.default_rng(0), SHAPE)
        step(*batch, draw, 0.0)
    seen = []
    for clean in (True, False):
        step = _step(tiny, mix_mode=("automix",), automix=Automix(clean_statistics=clean))
        step(*batch, step.draw(np.random.default_rng(0), SHAPE), 0.0)
        seen.append(step.model.backbone_k.layer4[0].bn1.num_batches_tracked.item())

    x, lam = batch[0], draw.bb.lam
    torch.testing.assert_close(images[0.5], lam * x + (1 - lam) * x[draw.bb.perm])
    assert not torch.allclose(images[0.0], images[0.5])
    assert seen == [2, 1]


def test_masks_are_adjusted_as_often_as_the_recipe_says(tiny: Recipe) -> None:
    """Never by default, always with a probability of one."""
    for probability in (0.0, 1.0):
        step = _step(tiny, mix_mode=("automix",), automix=Automix(mask_adjust=probability))
        assert step.draw(np.random.default_rng(0), SHAPE).adjust == bool(probability)


def test_k_follows_q_after_the_step(tiny: Recipe) -> None:
    """By what the momentum leaves."""
    step = _step(tiny, mix_mode=("automix",))
    k, q = step.model.head_one_k.fc.weight, step.model.head_one_q.fc.weight
    before = k.clone()
    q.data += 1

    step.follow(0.75)

    torch.testing.assert_close(k.data, before + 0.25)


@pytest.mark.parametrize(
    ("method", "names"),
    [
        ("mixup", ["head0"]),
        ("samix", ["acc_mix_k", "acc_one_k", "acc_mix_q", "acc_one_q"]),
    ],
)
def test_heads_have_openmixups_names_and_order(method: str, names: list[str], tiny: Recipe) -> None:
    """As in the published logs, and all of the model's."""
    step = _step(tiny, mix_mode=(method,))

    assert [step.head_in_log(head) for head in step.heads] == names
    assert set(step.heads) == set(step.model.heads)
