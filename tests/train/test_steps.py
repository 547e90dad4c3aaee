"""What a step does, behind the face that all ten methods show to the loop."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from mixzoo.train.mixing import AutomixDraw, automix, draw_automix
from mixzoo.train.network import freeze_k, fresh_network, momentum_update
from mixzoo.train.recipe import Automix, Recipe
from mixzoo.train.steps import (
    UNTIL_FORGOTTEN,
    AutomixStep,
    MixedStep,
    automix_losses,
    mixed_losses,
    step_of,
)
from mixzoo.zoo.errors import UsageError
from mixzoo.zoo.nets import MixClassifier, ResNetConfig
from torch._subclasses.fake_tensor import FakeTensorMode

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


def test_the_papers_puzzlemix_weighs_each_sample(
    tiny: Recipe, batch: tuple[torch.Tensor, torch.Tensor]
) -> None:
    """The released code weighs all by their mean; nothing else differs."""
    losses = {}
    for variant in ("openmixup", "paper"):
        step = _step(tiny, mix_mode=("puzzlemix",), variant=variant)
        rng = np.random.default_rng(3)
        losses[variant] = [step(*batch, step.draw(rng, SHAPE), 0.0) for _ in range(4)]

    pairs = list(zip(*losses.values(), strict=True))
    assert all(one["acc_mix"] == other["acc_mix"] for one, other in pairs)
    assert any(one["loss"] != other["loss"] for one, other in pairs)


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


def test_far_from_a_validation_ks_last_stage_sees_no_clean_images(
    tiny: Recipe, batch: tuple[torch.Tensor, torch.Tensor]
) -> None:
    """Which moves its statistics alone: losses, gradients and all else are the same bits."""
    losses, gradients, states = [], [], []
    for ahead in (UNTIL_FORGOTTEN, UNTIL_FORGOTTEN + 1):
        step = _step(tiny, mix_mode=("samix",))
        step.ahead = ahead
        losses.append(step(*batch, step.draw(np.random.default_rng(0), SHAPE), 0.1))
        losses[-1]["loss"].backward()
        gradients.append([p.grad for p in step.parameters() if p.requires_grad])
        states.append(step.model.state_dict())

    moved = {name for name in states[0] if not torch.equal(states[0][name], states[1][name])}
    assert moved
    assert all(name.startswith("backbone_k.layer4.") and "running_" in name for name in moved)
    assert all(torch.equal(losses[0][name], losses[1][name]) for name in losses[0])
    assert all(torch.equal(a, b) for a, b in zip(*gradients, strict=True))


def test_statistics_forget_what_they_were() -> None:
    """After so many micro batches, of two passes each, those of other beginnings are equal bits."""
    one, other = (torch.nn.BatchNorm2d(500) for _ in range(2))
    torch.nn.init.constant_(other.running_mean, 30.0)
    rng = torch.Generator().manual_seed(0)

    for _ in range(2 * UNTIL_FORGOTTEN):
        x = torch.randn(4, 500, 1, 1, generator=rng)
        one(x), other(x)

    assert torch.equal(one.running_mean, other.running_mean)
    assert torch.equal(one.running_var, other.running_var)


def test_frozen_statistics_need_no_clean_images(
    tiny: Recipe, batch: tuple[torch.Tensor, torch.Tensor]
) -> None:
    """A k in eval mode, as `freeze` leaves it, has nothing of its last stage's pass."""
    step, calls = _step(tiny, mix_mode=("automix",)), []
    step.model.backbone_k.eval()
    step.model.backbone_k.layer4.register_forward_hook(lambda *_: calls.append(1))

    step(*batch, step.draw(np.random.default_rng(0), SHAPE), 0.1)

    assert calls == [1]  # the mixed images


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

    assert [step.head_prefix + head for head in step.heads] == names
    assert set(step.heads) == set(step.model.heads)


ALPHA = 2.0
SMALL = ResNetConfig.from_name("resnet18_cifar_w4")

both_methods = pytest.mark.parametrize("method", ["automix", "samix"])


@pytest.fixture
def step() -> Callable[..., tuple[MixClassifier, torch.Tensor, torch.Tensor, AutomixDraw]]:
    """A small frozen model, images, labels and a draw, all of one seed."""

    def step(method: str, n: int = 6):
        generator = torch.Generator().manual_seed(0)
        model = MixClassifier(SMALL, 5, method).train()
        for parameter in model.parameters():
            if parameter.ndim > 1:
                torch.nn.init.kaiming_normal_(parameter, generator=generator)
        freeze_k(model)
        x = torch.randn(n, 3, 16, 16, generator=generator)
        y = torch.arange(n) % 5
        return model, x, y, draw_automix(np.random.default_rng(0), x.shape, ALPHA, model)

    return step


@pytest.mark.parametrize(("learner", "copy"), [("mix_block", "bb"), ("backbone_q", "mb")])
@both_methods
def test_each_learns_from_its_own_copy_only(
    method: str, learner: str, copy: str, step: Callable
) -> None:
    """Other partners and another lam for the other's copy leave the gradient as it is."""
    model, x, y, draw = step(method)
    drawn = getattr(draw, copy)
    other = replace(draw, **{copy: replace(drawn, perm=drawn.perm.flip(0), lam=0.5)})
    parameters = list(model.get_submodule(learner).parameters())

    losses = [automix_losses(model, x, y, one, 0.1, Automix())["loss"] for one in (draw, other)]

    assert losses[0] != losses[1]
    for one, two in zip(*(torch.autograd.grad(loss, parameters) for loss in losses), strict=True):
        torch.testing.assert_close(one, two)


@both_methods
def test_masks_of_the_backbone_are_moved_to_the_lam_of_the_block(
    method: str, step: Callable
) -> None:
    """As in the reference; the labels keep the backbone's own lam."""
    model, x, y, draw = step(method)
    draw = replace(draw, adjust=True)
    seen = []
    model.backbone_q.register_forward_pre_hook(lambda _, args: seen.append(args[0]))

    automix_losses(model, x, y, draw, 0.1, Automix())

    bb = draw.bb
    features = model.backbone_k(x, stop=3)
    expected = automix(
        x, features, model.mix_block, bb.perm, bb.lam, bb.keep, mask_mean=draw.mb.lam
    )
    assert torch.equal(seen[0], x)
    torch.testing.assert_close(seen[1], expected.images)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
@both_methods
def test_half_precision_stays_finite(method: str, dtype: torch.dtype, step: Callable) -> None:
    """Under autocast losses are fp32, and close to those of full precision."""
    model, x, y, draw = step(method)
    full = automix_losses(model, x, y, draw, 0.1, Automix())

    with torch.autocast("cpu", dtype=dtype):
        half = automix_losses(model, x, y, draw, 0.1, Automix())
    half["loss"].backward()

    assert half["loss"].dtype == torch.float32
    assert half["loss"].item() == pytest.approx(full["loss"].item(), rel=0.05)
    learning = [parameter for parameter in model.parameters() if parameter.requires_grad]
    assert learning
    assert all(parameter.grad.isfinite().all() for parameter in learning)


@both_methods
def test_everything_lives_on_the_device_of_the_batch(method: str) -> None:
    """Draws made on the CPU serve a batch elsewhere; a GPU is imitated down to its error messages."""
    with FakeTensorMode():
        with torch.device("cuda"):
            model = MixClassifier(SMALL, 5, method).train()
            x, y = torch.zeros(4, 3, 16, 16), torch.zeros(4, dtype=torch.int64)
        freeze_k(model)
        draw = draw_automix(np.random.default_rng(0), x.shape, ALPHA, model)

        losses = automix_losses(model, x, y, draw, 0.1, Automix())

    assert {loss.device.type for loss in losses.values()} == {"cuda"}


def test_a_k_side_with_gradients_is_refused(step: Callable) -> None:
    """It would learn by gradients on top of following q; the error names the remedy."""
    model, x, y, draw = step("automix")
    model.head_mix_k.requires_grad_(True)

    with pytest.raises(UsageError, match="freeze_k"):
        automix_losses(model, x, y, draw, 0.1, Automix())


@pytest.mark.parametrize("momentum", [0.0, 0.75, 1.0])
def test_k_is_a_weighted_mean_of_itself_and_q(momentum: float, step: Callable) -> None:
    """All of q at 0, none at 1; backbone and both heads; q and all statistics stay."""
    model = step("samix")[0]
    model.backbone_q.bn1.running_mean.fill_(3)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    follows = {name for name, parameter in model.named_parameters() if not parameter.requires_grad}

    momentum_update(model, momentum)

    assert {name.split(".")[0] for name in follows} == {"backbone_k", "head_one_k", "head_mix_k"}
    for name, value in model.state_dict().items():
        expected = before[name]
        if name in follows:
            q = before[name.replace("_k.", "_q.", 1)]
            expected = momentum * expected + (1 - momentum) * q
        torch.testing.assert_close(value, expected)
