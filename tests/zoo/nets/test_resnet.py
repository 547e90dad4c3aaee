"""Backbones: names, parameter names, and values against torchvision's implementation."""

from collections.abc import Callable

import pytest
import torch
from mixzoo.zoo.errors import UsageError
from mixzoo.zoo.nets import ResNet, ResNetConfig
from mixzoo.zoo.nets.resnet import _pool
from torch.nn.functional import max_pool2d
from torchvision.models import resnet as torchvision_resnet

NAMES = {
    "resnet18": ResNetConfig(18),
    "resnet34_cifar": ResNetConfig(34, stem="cifar"),
    "resnet50": ResNetConfig(50),
    "resnext101_32x4d": ResNetConfig(101, groups=32, width_per_group=4),
    "resnet50_w4": ResNetConfig(50, base_width=4),
    "resnet18_w6": ResNetConfig(18, base_width=6),
    "resnet18_cifar_w16": ResNetConfig(18, base_width=16, stem="cifar"),
    "resnext50_32x4d_cifar_w32": ResNetConfig(50, 32, 4, base_width=32, stem="cifar"),
}


@pytest.mark.parametrize("name", NAMES)
def test_a_name_and_its_config_give_each_other(name: str) -> None:
    """Each config has one name, and the name gives the config back."""
    config = NAMES[name]

    assert config.name == name
    assert ResNetConfig.from_name(name) == config


@pytest.mark.parametrize(
    "name",
    ["resnet", "resnet51", "resnet50_w64", "resnext50", "resnet50_32x4d", "resnext18_32x4d", "vit"],
)
def test_any_other_name_is_refused(name: str) -> None:
    """A name that isn't exactly some config's name raises UsageError."""
    with pytest.raises(UsageError):
        ResNetConfig.from_name(name)


def test_a_resnet50_has_exactly_the_released_parameter_names(inventory: Callable) -> None:
    """The backbone's entries are those of the real configuration, shapes included."""
    released = inventory("mixups_r50")

    with torch.device("meta"):
        mine = ResNet(ResNetConfig(50)).state_dict()

    assert {f"backbone.{name}": tuple(value.shape) for name, value in mine.items()} == {
        name: shape for name, shape in released.items() if name.startswith("backbone.")
    }


@pytest.mark.parametrize("name", ["resnet18", "resnet50", "resnext50_32x4d"])
def test_features_equal_torchvision(name: str, entries_of: Callable) -> None:
    """With equal weights the features equal those of torchvision's independent implementation."""
    mine = ResNet(ResNetConfig.from_name(name)).eval()
    theirs = getattr(torchvision_resnet, name)().eval()
    theirs.avgpool = theirs.fc = torch.nn.Identity()
    entries = entries_of(mine)
    mine.load_state_dict(entries)
    theirs.load_state_dict(entries)
    images = torch.randn(2, 3, 70, 64, generator=torch.Generator().manual_seed(0))

    with torch.inference_mode():
        features = mine(images)
        expected = theirs(images)

    torch.testing.assert_close(features.flatten(1), expected)


def test_a_resnext101_has_torchvision_shapes() -> None:
    """ResNeXt-101 (32x4d), which torchvision doesn't name, has the shapes of its general form."""
    with torch.device("meta"):
        mine = ResNet(NAMES["resnext101_32x4d"]).state_dict()
        theirs = torchvision_resnet.ResNet(
            torchvision_resnet.Bottleneck, [3, 4, 23, 3], groups=32, width_per_group=4
        ).state_dict()

    assert {name: value.shape for name, value in mine.items()} == {
        name: value.shape for name, value in theirs.items() if not name.startswith("fc.")
    }


@pytest.mark.parametrize("stage", [1, 2, 3])
def test_a_pass_in_two_parts_equals_a_whole_one(stage: int, entries_of: Callable) -> None:
    """Stopping after any stage and going on from there changes nothing."""
    net = ResNet(ResNetConfig(18, base_width=8)).eval()
    net.load_state_dict(entries_of(net))
    images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))

    with torch.inference_mode():
        parts = net(net(images, stop=stage), start=stage)

        torch.testing.assert_close(parts, net(images), rtol=0, atol=0)


@pytest.mark.parametrize(
    ("name", "side", "shape"),
    [
        ("resnet18_cifar_w16", 32, (2, 64, 8, 8)),
        ("resnet50_w4", 224, (2, 64, 14, 14)),
        ("resnet18_w6", 96, (2, 24, 6, 6)),
    ],
)
def test_stage_three_has_the_recorded_geometry(name: str, side: int, shape: tuple) -> None:
    """The features that a mix block sees are a sixteenth of the image, a fourth for cifar stems."""
    net = ResNet(ResNetConfig.from_name(name))
    net.layer4 = None  # features of stage 3 don't cost stage 4

    features = net(torch.zeros(2, 3, side, side), stop=3)

    assert features.shape == shape


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("shape", [(2, 6, 16, 16), (3, 12, 9, 14), (1, 64, 1, 2)])
def test_pooling_is_torchs_to_the_bit(shape: tuple[int, ...], dtype: torch.dtype) -> None:
    """Values and gradients, also of equal values, of which torch takes the first, and NaN."""
    x = torch.randint(0, 4, shape, generator=torch.Generator().manual_seed(0)).to(dtype)
    x[0, 1, 0, 1] = torch.nan
    seen = []
    for pool in (_pool, lambda x: max_pool2d(x, 3, 2, 1)):
        leaf = x.clone().requires_grad_()
        pooled = pool(leaf)
        weights = torch.arange(pooled.numel(), dtype=dtype).view(pooled.shape)
        (pooled * weights).sum().backward()
        seen.append((pooled.detach(), leaf.grad, pool(x), pooled.is_contiguous()))

    for ours, torchs in zip(*seen, strict=True):
        torch.testing.assert_close(ours, torchs, rtol=0, atol=0, equal_nan=True)
