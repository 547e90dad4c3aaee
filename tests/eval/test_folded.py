"""Folded convolutions compute what convolution, batch norm, shortcut and ReLU compute one by one."""

from typing import cast

import pytest
import torch
from mixzoo.eval.folded import EmulatedConv, FoldedConv, FoldedResNet, OneDnnConv, fold
from mixzoo.zoo.nets import ResNet, ResNetConfig
from torch import nn

needs_onednn = pytest.mark.skipif(not OneDnnConv.available(), reason="torch without oneDNN")


def randomised(model: nn.Module, seed: int = 0) -> nn.Module:
    """The model in eval mode, its batch norms as after training."""
    generator = torch.Generator().manual_seed(seed)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            for value, low in (
                (module.weight, 0.5),
                (module.bias, -0.5),
                (module.running_mean, -0.5),
                (module.running_var, 0.5),
            ):
                assert value is not None
                value.data.copy_(torch.rand(value.shape, generator=generator) + low)
    return model.eval()


def pair(groups: int = 1, stride: int = 1) -> tuple[nn.Conv2d, nn.BatchNorm2d]:
    """A convolution of 8 to 8 channels with its batch norm."""
    torch.manual_seed(1)
    conv = nn.Conv2d(8, 8, 3, stride, padding=1, groups=groups, bias=False)
    return conv, cast(nn.BatchNorm2d, randomised(nn.BatchNorm2d(8)))


@pytest.fixture
def x() -> torch.Tensor:
    """Two feature maps (2, 8, 9, 9), channels last."""
    torch.manual_seed(2)
    return torch.randn(2, 8, 9, 9).to(memory_format=torch.channels_last)


@torch.no_grad()
def test_folding_is_exact_in_double(x: torch.Tensor) -> None:
    """Weight and bias give convolution and batch norm to the last digits of float64."""
    conv, norm = pair(groups=2, stride=2)
    weight, bias = fold(conv, norm)

    folded = nn.functional.conv2d(x.double(), weight, bias, stride=2, padding=1, groups=2)

    expected = norm.double()(conv.double()(x.double()))
    torch.testing.assert_close(folded, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("relu", [True, False])
@pytest.mark.parametrize("with_shortcut", [True, False])
@pytest.mark.parametrize("kind", [FoldedConv, pytest.param(OneDnnConv, marks=needs_onednn)])
@torch.no_grad()
def test_folded_convolution_adds_and_clips(
    kind: type[FoldedConv], with_shortcut: bool, relu: bool, x: torch.Tensor
) -> None:
    """Convolution, batch norm, shortcut, ReLU: as one by one, and the input stays as it was."""
    conv, norm = pair()
    before, shortcut = x.clone(), x.flip(0) if with_shortcut else None

    y = kind(conv, norm, torch.float32)(
        x, None if shortcut is None else shortcut.clone(), relu=relu
    )

    expected = norm(conv(x)) + (0 if shortcut is None else shortcut)
    torch.testing.assert_close(y, expected.relu() if relu else expected, rtol=1e-5, atol=1e-5)
    assert torch.equal(x, before)


@torch.no_grad()
def test_emulated_bf16_is_bf16(x: torch.Tensor) -> None:
    """Weights and results are bf16 numbers, those of torch's bf16 convolution but for a last bit."""
    emulated = EmulatedConv(*pair(), torch.bfloat16)

    y = emulated(x, relu=False)

    for tensor in (y, emulated.weight, emulated.bias):
        assert torch.equal(tensor, tensor.bfloat16().float())
    real = FoldedConv(*pair(), torch.bfloat16)(x.bfloat16(), relu=False).float()
    torch.testing.assert_close(y, real, rtol=2**-7, atol=1e-3)
    assert (y == real).float().mean() > 0.9
    exact = FoldedConv(*pair(), torch.float32)(x, relu=False)
    assert 1e-4 < (y - exact).abs().max() < 0.1


class _DoubleConv(FoldedConv):
    """The reference: folded, and kept in float64."""

    def __init__(self, conv: nn.Conv2d, norm: nn.BatchNorm2d) -> None:
        super().__init__(conv, norm, torch.float64)


@pytest.mark.parametrize(
    "config",
    [
        pytest.param(ResNetConfig.from_name("resnet18_w4"), id="basic"),
        pytest.param(ResNetConfig.from_name("resnet50_w4"), id="bottleneck"),
        pytest.param(ResNetConfig.from_name("resnet18_cifar_w4"), id="cifar stem"),
        pytest.param(ResNetConfig(50, groups=4, width_per_group=4, base_width=8), id="grouped"),
    ],
)
@torch.no_grad()
def test_a_folded_network_is_the_network_in_double(config: ResNetConfig) -> None:
    """Wiring, strides, groups and shortcuts: nothing but the last digits of float64 differs."""
    torch.manual_seed(3)
    net = cast(ResNet, randomised(ResNet(config)))
    x = torch.randn(2, 3, 64, 64, dtype=torch.float64)
    folded = FoldedResNet(net, _DoubleConv)

    features = folded(x.clone())

    expected = net.double()(x)
    torch.testing.assert_close(features, expected, rtol=1e-9, atol=1e-9 * float(expected.max()))


def test_folding_refuses_what_it_would_compute_wrongly() -> None:
    """A batch norm that normalises by the batch itself, or a convolution with a bias of its own."""
    bias = nn.Conv2d(8, 8, 3)
    with pytest.raises(ValueError, match="expected batch norm with running statistics"):
        fold(bias, nn.BatchNorm2d(8))
    with pytest.raises(ValueError, match="after a convolution without bias"):
        fold(pair()[0], nn.BatchNorm2d(8, track_running_stats=False))
