"""What a step of AutoMix or SAMix promises beyond the recorded ones."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from mixzoo.train.automix_step import automix_losses, freeze_k, momentum_update
from mixzoo.train.mixing import AutomixDraw, automix, draw_automix
from mixzoo.zoo.errors import UsageError
from mixzoo.zoo.nets import MixClassifier, ResNetConfig
from torch._subclasses.fake_tensor import FakeTensorMode

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


def _gradient_of_block(model: MixClassifier, loss: torch.Tensor) -> list[torch.Tensor]:
    return list(torch.autograd.grad(loss, list(model.mix_block.parameters())))


@both_methods
def test_the_block_learns_from_its_own_copy_only(method: str, step: Callable) -> None:
    """Other partners and another lam for the backbone leave the block's gradient as it is."""
    model, x, y, draw = step(method)
    other = replace(draw, bb=replace(draw.bb, perm=draw.bb.perm.flip(0), lam=0.5))

    losses = [automix_losses(model, x, y, one, 0.1)["loss"] for one in (draw, other)]

    assert losses[0] != losses[1]
    for one, two in zip(*(_gradient_of_block(model, loss) for loss in losses), strict=True):
        torch.testing.assert_close(one, two)


@both_methods
def test_the_classifier_learns_from_its_own_copy_only(method: str, step: Callable) -> None:
    """Other partners and another lam for the block leave the gradient of q as it is."""
    model, x, y, draw = step(method)
    other = replace(draw, mb=replace(draw.mb, perm=draw.mb.perm.flip(0), lam=0.5))
    q = list(model.backbone_q.parameters())

    losses = [automix_losses(model, x, y, one, 0.1)["loss"] for one in (draw, other)]

    assert losses[0] != losses[1]
    for one, two in zip(*(torch.autograd.grad(loss, q) for loss in losses), strict=True):
        torch.testing.assert_close(one, two)


@both_methods
def test_the_total_is_the_sum_of_its_parts(method: str, step: Callable) -> None:
    """Three heads, and the masks by their weight."""
    model, x, y, draw = step(method)

    losses = automix_losses(model, x, y, draw, 0.3)

    heads = losses["head_mix_q"] + losses["head_one_q"] + losses["head_mix_k"]
    torch.testing.assert_close(losses["loss"], heads + 0.3 * losses["mask_loss"])


@both_methods
def test_masks_of_the_backbone_are_moved_to_the_lam_of_the_block(
    method: str, step: Callable
) -> None:
    """As in the reference; the labels keep the backbone's own lam."""
    model, x, y, draw = step(method)
    draw = replace(draw, adjust=True)
    seen = []
    model.backbone_q.register_forward_pre_hook(lambda _, args: seen.append(args[0]))

    automix_losses(model, x, y, draw, 0.1)

    bb = draw.bb
    features = model.backbone_k(x, stop=3)
    expected = automix(
        x, features, model.mix_block, bb.perm, bb.lam, bb.keep, mask_mean=draw.mb.lam
    )
    assert torch.equal(seen[0], x)
    torch.testing.assert_close(seen[1], expected.images)


@both_methods
def test_one_seed_gives_one_step_and_leaves_the_batch(method: str, step: Callable) -> None:
    """Two models of the same weights agree to the bit; images and labels stay as they were."""
    (model, x, y, draw), (other, *_) = step(method), step(method)
    other.load_state_dict(model.state_dict())
    before = x.clone(), y.clone()

    first = automix_losses(model, x, y, draw, 0.1)
    torch.rand(1)
    second = automix_losses(other, x, y, draw, 0.1)

    assert first == second
    assert torch.equal(x, before[0])
    assert torch.equal(y, before[1])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
@both_methods
def test_half_precision_stays_finite(method: str, dtype: torch.dtype, step: Callable) -> None:
    """Under autocast losses are fp32, and close to those of full precision."""
    model, x, y, draw = step(method)
    full = automix_losses(model, x, y, draw, 0.1)

    with torch.autocast("cpu", dtype=dtype):
        half = automix_losses(model, x, y, draw, 0.1)
    half["loss"].backward()

    assert half["loss"].dtype == torch.float32
    assert half["loss"].item() == pytest.approx(full["loss"].item(), rel=0.05)
    learning = [parameter for parameter in model.parameters() if parameter.requires_grad]
    assert learning
    assert all(parameter.grad.isfinite().all() for parameter in learning)


@both_methods
def test_two_images_are_enough(method: str, step: Callable) -> None:
    """The reference misreads a batch of two; this doesn't."""
    losses = automix_losses(*step(method, n=2), 0.1)

    assert losses["loss"].isfinite()


@both_methods
def test_everything_lives_on_the_device_of_the_batch(method: str) -> None:
    """Draws made on the CPU serve a batch elsewhere; a GPU is imitated down to its error messages."""
    with FakeTensorMode():
        with torch.device("cuda"):
            model = MixClassifier(SMALL, 5, method).train()
            x, y = torch.zeros(4, 3, 16, 16), torch.zeros(4, dtype=torch.int64)
        freeze_k(model)
        draw = draw_automix(np.random.default_rng(0), x.shape, ALPHA, model)

        losses = automix_losses(model, x, y, draw, 0.1)

    assert {loss.device.type for loss in losses.values()} == {"cuda"}


def test_a_k_side_with_gradients_is_refused(step: Callable) -> None:
    """It would learn by gradients on top of following q; the error names the remedy."""
    model, x, y, draw = step("automix")
    model.head_mix_k.requires_grad_(True)

    with pytest.raises(UsageError, match="freeze_k"):
        automix_losses(model, x, y, draw, 0.1)


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
