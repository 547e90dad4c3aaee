"""ResNets for inference only: batch norm folded into convolutions, in a number format of choice."""

from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor, nn

from ..zoo.nets import ResNet
from ..zoo.nets.resnet import BasicBlock, Bottleneck


class FoldedConv:
    """A convolution, then optionally a shortcut added, then optionally ReLU."""

    wide = False
    """Whether a bias is fp32 where no shortcut is added: in 16 bits it makes a third of the error
    of trained networks."""

    def __init__(
        self,
        conv: nn.Conv2d,
        norm: nn.BatchNorm2d,
        dtype: torch.dtype,
        bias: Tensor | None = None,
    ) -> None:
        """bias: (C,) float64, in place of the one that `fold` finds."""
        weight, own = fold(conv, norm)
        bias = own if bias is None else bias
        self.weight = weight.to(dtype, memory_format=torch.channels_last)
        self.bias_alone = bias.to(torch.float32 if self.wide else dtype)
        self.bias_added = bias.to(dtype)
        self.geometry = (conv.padding, conv.stride, conv.dilation, conv.groups)

    def __call__(self, x: Tensor, shortcut: Tensor | None = None, *, relu: bool = True) -> Tensor:
        """x: (N, C, H, W) of the weights' dtype. shortcut: of the result's shape; may change."""
        padding, stride, dilation, groups = self.geometry
        bias = self.bias_alone if shortcut is None else self.bias_added
        y = nn.functional.conv2d(x, self.weight, bias, stride, padding, dilation, groups)
        if shortcut is not None:
            y += shortcut
        return y.relu_() if relu else y


class OneDnnConv(FoldedConv):
    """The same in one pass over memory, by oneDNN's post-operations (CPU).

    Adding and clipping by themselves read and write every feature map again. These are the
    operators that torch.compile's CPU backend emits; used directly they need no compiler.
    """

    wide = True

    def __call__(self, x: Tensor, shortcut: Tensor | None = None, *, relu: bool = True) -> Tensor:
        """As in the base class."""
        ops = torch.ops.mkldnn
        if shortcut is None:
            conv = (self.weight, self.bias_alone, *self.geometry)
            return ops._convolution_pointwise(x, *conv, "relu" if relu else "none", [], "")
        conv = (self.weight, self.bias_added, *self.geometry)
        after = "relu" if relu else None
        return ops._convolution_pointwise_.binary(shortcut, x, *conv, "add", 1.0, after, [], "")

    @staticmethod
    def available() -> bool:
        """Whether this build of torch has the operators."""
        names = ("_convolution_pointwise", "_convolution_pointwise_")
        return torch.backends.mkldnn.is_available() and all(
            hasattr(torch.ops.mkldnn, name) for name in names
        )


class EmulatedConv(FoldedConv):
    """What bf16 hardware makes of `OneDnnConv`, in fp32: bf16 weights, inputs, outputs, fp32 sums."""

    wide = True

    def __init__(
        self,
        conv: nn.Conv2d,
        norm: nn.BatchNorm2d,
        dtype: torch.dtype,
        bias: Tensor | None = None,
    ) -> None:
        """As in the base class."""
        super().__init__(conv, norm, dtype, bias)
        self.weight, self.bias_added = self.weight.float(), self.bias_added.float()
        self.dtype = dtype

    def __call__(self, x: Tensor, shortcut: Tensor | None = None, *, relu: bool = True) -> Tensor:
        """As in the base class; x is float32 and is rounded here."""
        y = super().__call__(x.to(self.dtype).float(), shortcut, relu=relu)
        return y.to(self.dtype).float()


def peak(y: Tensor) -> Tensor:
    """Each image's largest activation. y: (N, C, H, W), nowhere negative. Returns (N,) float32.

    Such floats sort as their bits do, and integers are compared in less than half the time.
    """
    bits = {2: torch.int16, 4: torch.int32, 8: torch.int64}[y.element_size()]
    return y.permute(0, 2, 3, 1).flatten(1).view(bits).amax(1).view(y.dtype).float()


Conv = Callable[..., Tensor]
"""As `FoldedConv.__call__`."""
Fold = Callable[..., Conv]
"""Convolution, batch norm and perhaps a bias, as `FoldedConv` takes them."""


class FoldedResNet:
    """What a ResNet computes in eval mode. Holds weights of its own.

    peaks: of the last call, the `peak` of each convolution's output.
    """

    def __init__(self, net: ResNet, fold_pair: Fold) -> None:
        self.peaks: list[Tensor] = []
        stages = (net.layer1, net.layer2, net.layer3, net.layer4)
        blocks = (cast(BasicBlock | Bottleneck, block) for stage in stages for block in stage)
        self.stem = self._watched(fold_pair)(net.conv1, net.bn1)
        self.pools = net.config.stem == "imagenet"
        self.blocks = [FoldedBlock(block, self._watched(fold_pair)) for block in blocks]

    def __call__(self, x: Tensor) -> Tensor:
        """x: (N, 3, H, W) of the weights' dtype. Returns the features of the last stage."""
        self.peaks.clear()
        x = self.stem(x)
        if self.pools:
            x = nn.functional.max_pool2d(x, kernel_size=3, stride=2, padding=1)
        for block in self.blocks:
            x = block(x)
        return x

    def _watched(self, fold_pair: Fold) -> Fold:
        def watch(*pair: nn.Module, **bias: Tensor) -> Conv:
            run = fold_pair(*pair, **bias)

            def watched(x: Tensor, shortcut: Tensor | None = None, *, relu: bool = True) -> Tensor:
                y = run(x, shortcut, relu=relu)
                self.peaks.append(peak(y if relu else y.abs()))
                return y

            return watched

        return watch


class FoldedBlock:
    """A residual block; its input is overwritten where it is the shortcut itself."""

    def __init__(self, block: BasicBlock | Bottleneck, fold_pair: Fold) -> None:
        pairs = [(block.conv1, block.bn1), (block.conv2, block.bn2)]
        if isinstance(block, Bottleneck):
            pairs.append((block.conv3, block.bn3))
        *before, last = pairs
        self.convs = [fold_pair(*pair) for pair in before]
        projection = cast(tuple[nn.Conv2d, nn.BatchNorm2d] | None, block.downsample)
        if projection is None:
            self.last, self.projection = fold_pair(*last), None
        else:  # the projection, to which nothing is added, has the bias of both
            bias = fold(*last)[1]
            self.last = fold_pair(*last, bias=torch.zeros_like(bias))
            self.projection = fold_pair(*projection, bias=bias + fold(*projection)[1])

    def __call__(self, x: Tensor) -> Tensor:
        """As the block's `forward`."""
        y = x
        for conv in self.convs:
            y = conv(y)
        return self.last(y, x if self.projection is None else self.projection(x, relu=False))


def fold(conv: nn.Conv2d, norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """Weight and bias (both float64) of the convolution that does what both do in eval mode."""
    mean, variance = norm.running_mean, norm.running_var
    if mean is None or variance is None or conv.bias is not None:
        raise ValueError(
            "expected batch norm with running statistics after a convolution without bias"
        )
    scale = norm.weight.detach().double() / (variance.double() + norm.eps).sqrt()
    weight = conv.weight.detach().double() * scale[:, None, None, None]
    return weight, norm.bias.detach().double() - mean.double() * scale
