"""ResNet and ResNeXt backbones with the parameter names of OpenMixup's checkpoints.

Architectures: He et al., 2016, arXiv:1512.03385; Xie et al., 2017, arXiv:1611.05431.
"""

import re
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from ..errors import UsageError

BLOCKS = {
    18: (2, 2, 2, 2),
    34: (3, 4, 6, 3),
    50: (3, 4, 6, 3),
    101: (3, 4, 23, 3),
    152: (3, 8, 36, 3),
}
STAGES = 4
POOL = (3, 3), (2, 2), (1, 1)  # the stem's: kernel, stride, padding
_NAME = re.compile(r"resnex?t(\d+)(?:_(\d+)x(\d+)d)?(_cifar)?(?:_w(\d+))?")


@dataclass(frozen=True)
class ResNetConfig:
    """Everything that decides a backbone's shapes."""

    depth: int = 50
    groups: int = 1
    width_per_group: int = 64  # channels per group in stage 1; only ResNeXt (groups > 1) has it
    base_width: int = 64  # channels after the stem; less in the narrow nets of demos and tests
    stem: Literal["imagenet", "cifar"] = "imagenet"  # 7x7 stride 2 and pooling; 3x3 stride 1

    def __post_init__(self) -> None:
        if self.depth not in BLOCKS:
            known = f"expected a depth of {sorted(BLOCKS)}"
            raise UsageError(f"{self.name}: {known}, got {self.depth}. Correct the name.")
        if self.groups > 1 and not self.bottleneck:
            raise UsageError(f"a ResNeXt has bottleneck blocks: depth 50 or more, not {self.depth}")

    @property
    def bottleneck(self) -> bool:
        """Whether blocks have three convolutions (1x1, 3x3, 1x1) instead of two (3x3)."""
        return self.depth >= 50

    def channels(self, stage: int) -> int:
        """Channels of the output of `stage`, 1 to 4."""
        return self.planes(stage) * (4 if self.bottleneck else 1)

    def planes(self, stage: int) -> int:
        """Channels inside the plain blocks of `stage`, 1 to 4."""
        return self.base_width * 2 ** (stage - 1)

    @property
    def name(self) -> str:
        """The name in manifests and reports, such as `resnet50` or `resnext101_32x4d`."""
        grouped = self.groups > 1
        return "".join(
            (
                f"resnext{self.depth}" if grouped else f"resnet{self.depth}",
                f"_{self.groups}x{self.width_per_group}d" if grouped else "",
                "_cifar" if self.stem == "cifar" else "",
                f"_w{self.base_width}" if self.base_width != 64 else "",
            )
        )

    @classmethod
    def from_name(cls, name: str) -> "ResNetConfig":
        """The config that `name` abbreviates. Raises UsageError for any other name."""
        match = _NAME.fullmatch(name)
        if match:
            depth, groups, width_per_group, cifar, base_width = match.groups()
            config = cls(
                depth=int(depth),
                groups=int(groups or 1),
                width_per_group=int(width_per_group or 64),
                base_width=int(base_width or 64),
                stem="cifar" if cifar else "imagenet",
            )
            if config.name == name:
                return config
        raise UsageError(
            f"expected an architecture such as resnet50, resnext101_32x4d or resnet18_cifar_w16, "
            f"got '{name}'. Correct the name."
        )


class ResNet(nn.Module):
    """A backbone without pooling and head: conv1, bn1, layer1 to layer4."""

    def __init__(self, config: ResNetConfig) -> None:
        super().__init__()
        self.config = config
        width = config.base_width
        kernel, stride = (7, 2) if config.stem == "imagenet" else (3, 1)
        self.conv1 = nn.Conv2d(3, width, kernel, stride, padding=kernel // 2, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.layer1 = _stage(config, 1, width)
        self.layer2 = _stage(config, 2, config.channels(1))
        self.layer3 = _stage(config, 3, config.channels(2))
        self.layer4 = _stage(config, 4, config.channels(3))

    def forward(self, x: Tensor, start: int = 0, stop: int = STAGES) -> Tensor:
        """The output of stage `stop`, computed from the output of stage `start`.

        x: (N, 3, H, W) float images if `start` is 0, else what stage `start` gave. Returns
        (N, channels(stop), h, w); with the imagenet stem h = ceil(H / 2**(stop + 1)), with the
        cifar stem h = ceil(H / 2**(stop - 1)). No more is computed than asked for: mixing inside
        the network, or on features of stage 3, splits a pass in two. Needs 0 <= start < stop <= 4.
        """
        if start == 0:
            x = torch.relu_(self.bn1(self.conv1(x)))
            if self.config.stem == "imagenet":
                x = _pool(x)
        for stage in (self.layer1, self.layer2, self.layer3, self.layer4)[start:stop]:
            x = stage(x)
        return x


class BasicBlock(nn.Module):
    """Two 3x3 convolutions around a shortcut."""

    def __init__(self, config: ResNetConfig, stage: int, inputs: int, stride: int) -> None:
        super().__init__()
        planes = config.planes(stage)
        self.conv1 = nn.Conv2d(inputs, planes, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.downsample = _shortcut(inputs, planes, stride)

    def forward(self, x: Tensor) -> Tensor:
        """x: (N, inputs, h, w) to (N, planes, h / stride, w / stride)."""
        y = torch.relu_(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        y += x if self.downsample is None else self.downsample(x)
        return torch.relu_(y)


class Bottleneck(nn.Module):
    """1x1, 3x3 (grouped in a ResNeXt, and with the stride) and 1x1 around a shortcut."""

    def __init__(self, config: ResNetConfig, stage: int, inputs: int, stride: int) -> None:
        super().__init__()
        width, outputs = config.planes(stage), config.channels(stage)
        if config.groups > 1:
            width = config.groups * config.width_per_group * 2 ** (stage - 1)
        self.conv1 = nn.Conv2d(inputs, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, padding=1, groups=config.groups, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, outputs, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.downsample = _shortcut(inputs, outputs, stride)

    def forward(self, x: Tensor) -> Tensor:
        """x: (N, inputs, h, w) to (N, outputs, h / stride, w / stride)."""
        y = torch.relu_(self.bn1(self.conv1(x)))
        y = torch.relu_(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        y += x if self.downsample is None else self.downsample(x)
        return torch.relu_(y)


def _pool(x: Tensor) -> Tensor:
    """The stem's max pooling. (N, C, H, W) float to (N, C, ceil(H / 2), ceil(W / 2))."""
    slow = x.device.type == "cpu" and not x.is_contiguous(memory_format=torch.channels_last)
    if slow and not torch.compiler.is_compiling():
        return _PoolByPlaces.apply(x)  # type: ignore[return-value]
    return nn.functional.max_pool2d(x, *POOL)


class _PoolByPlaces(torch.autograd.Function):
    """`max_pool2d` of a batch in torch's usual layout, on a CPU: the same bits, up to three times as
    fast, because torch's kernel for channels-last looks at many channels at once."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        last = x.contiguous(memory_format=torch.channels_last)
        pooled, places = torch.ops.aten.max_pool2d_with_indices(last, *POOL)
        if ctx.needs_input_grad[0]:
            ctx.save_for_backward(x, places.contiguous())
        return pooled.contiguous()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        x, places = ctx.saved_tensors
        return torch.ops.aten.max_pool2d_with_indices_backward(
            grads[0].contiguous(), x, *POOL, (1, 1), False, places
        )


def _stage(config: ResNetConfig, stage: int, inputs: int) -> nn.Sequential:
    block = Bottleneck if config.bottleneck else BasicBlock
    outputs = config.channels(stage)
    first = block(config, stage, inputs, stride=1 if stage == 1 else 2)
    rest = (
        block(config, stage, outputs, stride=1) for _ in range(BLOCKS[config.depth][stage - 1] - 1)
    )
    return nn.Sequential(first, *rest)


def _shortcut(inputs: int, outputs: int, stride: int) -> nn.Sequential | None:
    """A projection where the shapes of input and output differ, else None."""
    if stride == 1 and inputs == outputs:
        return None
    return nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))
