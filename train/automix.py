"""AutoMix and SAMix around a classifier of anybody's: in a training loop that isn't ours.

The losses, draws and schedules are those of `mixzoo train` (`steps.automix_losses`); what is new
here is how a network that mixzoo doesn't know shows its features. Papers: AutoMix, Liu et al.,
2022, arXiv:2103.13027; SAMix, Li et al., 2021, arXiv:2111.15454.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from copy import deepcopy
from itertools import chain
from typing import Any, Literal

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn

from ..zoo.errors import UsageError, wall
from ..zoo.nets import MixClassifier
from ..zoo.nets.classifiers import MIX_BLOCKS
from .mixing import draw_automix
from .network import HEAD_STD, MIX_BLOCK_STD, freeze_k, momentum_update
from .recipe import Automix
from .schedules import ema_momentum, mask_loss_weights
from .steps import automix_losses

STRIDE = 16  # pixels per place of the features that masks are made of, as in the released configs
SMALL_STRIDE = 4  # where the whole network shrinks its images by less than STRIDE (CIFAR's)


class AutoMix(MixClassifier):
    """A classifier of one's own (q), its slow copy (k), and the block that mixes its images.

        automix = AutoMix(network, steps=epochs * len(loader))
        optimizer = torch.optim.SGD(automix.parameters(), lr=0.1, momentum=0.9)
        for images, labels in loader:
            loss = automix(images, labels)["loss"]
            loss.backward(); optimizer.step(); optimizer.zero_grad()
            automix.follow()

    network: any CNN whose last layer is a linear one (torchvision, timm, mixzoo's own); it is the
    side q itself, not a copy, and trains in place. method: "automix" or "samix". steps: of the
    whole training, which the mask loss's weight and k's momentum are spread over. alpha: of
    Beta(alpha, alpha), 2 in the released configs. layer: name of the module whose output
    (N, c, H / 16, W / 16) masks are made of; None finds the deepest stage of that stride. size: of
    the square images that it looks with. options: see `recipe.Automix`. seed: of the draws, to which
    each process of a group adds its rank, and of the new layers.

    In eval mode a call gives the logits of `head_name`: "one_k" first, as the reference infers,
    or "mix_k", "one_q", "mix_q". `network` alone gives those of "one_q". `mix` mixes a batch by what
    the block learnt. Wrapped in DistributedDataParallel, call `.module.follow()`.
    Raises UsageError for a network that shows no such layer, or that doesn't end in a linear one.
    """

    def __init__(
        self,
        network: nn.Module,
        method: Literal["automix", "samix"] = "automix",
        *,
        steps: int,
        alpha: float = 2.0,
        layer: str | None = None,
        size: int = 224,
        options: Automix = Automix(),  # noqa: B008  (frozen)
        seed: int = 0,
    ) -> None:
        nn.Module.__init__(self)
        if method not in MIX_BLOCKS or steps < 1:
            raise UsageError(
                f"expected method {' or '.join(MIX_BLOCKS)} and steps of 1 or more, got {method!r} "
                f"and {steps}"
            )
        self.architecture, self.method = type(network).__name__, method
        self.head_name = self.heads[0]
        self.layer, self.classifier, channels, self.stride = _look_into(network, layer, size)
        linear = network.get_submodule(self.classifier)
        assert isinstance(linear, nn.Linear)
        self.num_classes, self.alpha, self.own = linear.out_features, alpha, options
        rng = torch.Generator().manual_seed(seed)
        self.mix_block = MIX_BLOCKS[method](channels)
        head = nn.Linear(linear.in_features, linear.out_features)
        for module in (head, *self.mix_block.modules()):
            if isinstance(module, nn.Linear | nn.Conv2d):
                std = HEAD_STD if module is head else MIX_BLOCK_STD
                nn.init.normal_(module.weight, std=std, generator=rng)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        self.backbone_q, self.head_mix_q = network, head
        self.backbone_k, self.head_mix_k = deepcopy(network), deepcopy(head)
        freeze_k(self)
        self.to(linear.weight.device)
        self.step = 0
        self._weights = mask_loss_weights(options, steps)
        self._seed = seed

    def forward(self, x: Tensor, y: Tensor | None = None) -> Any:
        """With labels, in training: the losses, see `automix_losses`. Without: logits.

        x: (N, 3, H, W) float, normalised, sides multiples of the stride. y: (N,) int64.
        """
        if y is None:
            return self.head_logits(self.head_name, x)
        rank = dist.get_rank() if dist.is_available() and dist.is_initialized() else 0
        rng = np.random.default_rng((self._seed, rank, self.step))
        draw = draw_automix(rng, tuple(x.shape), self.alpha, self, self.own.mask_adjust)
        weight = self._weights[min(self.step, len(self._weights) - 1)]
        return automix_losses(self, x, y, draw, float(weight), self.own)

    def follow(self) -> None:
        """Move k towards q, after the optimizer's step; the next step begins."""
        step = min(self.step, len(self._weights) - 1)
        momentum_update(self, ema_momentum(self.own, step, len(self._weights)))
        self.step += 1

    def get_extra_state(self) -> int:
        """The step, for `state_dict`."""
        return self.step

    def set_extra_state(self, state: int) -> None:
        """Go on from this step."""
        self.step = state

    def logits(self, x: Tensor) -> dict[str, Tensor]:
        """Logits (N, num_classes) of every head. x: (N, 3, H, W) float, normalised."""
        return {name: self.head_logits(name, x) for name in self.heads}

    def head_logits(self, name: str, x: Tensor) -> Tensor:
        """Logits (N, num_classes) of one head for normalised images (N, 3, H, W)."""
        kind, side = name.split("_")
        network = self.get_submodule(f"backbone_{side}")
        if kind == "one":
            return network(x)
        pooled = _seen(network, x, self.classifier, before=True)
        return self.get_submodule(f"head_mix_{side}")(pooled)

    def features(self, x: Tensor, *, maps: bool = False) -> Tensor:
        """What the chosen side's last layer sees, (N, c). maps: what `layer` puts out, (N, c, h, w)."""
        if maps:
            return _seen(self.backbone, x, self.layer)
        return _seen(self.backbone, x, self.classifier, before=True)

    def single(self) -> Any:
        """A copy of the network with the chosen head, as it was given: to be saved, or used alone."""
        network = deepcopy(self.backbone).requires_grad_(True)
        if self.head_name.startswith("mix"):
            head = self.get_submodule(f"head_{self.head_name}")
            network.get_submodule(self.classifier).load_state_dict(head.state_dict())
        return network

    def with_head(self, num_classes: int) -> Any:
        """`single`, with a new last layer for other classes, to be trained."""
        network = self.single()
        old = network.get_submodule(self.classifier)
        network.set_submodule(
            self.classifier, nn.Linear(old.in_features, num_classes).to(old.weight)
        )
        return network

    def side(self, side: str) -> Iterator[nn.Parameter]:
        """The parameters of one side, "q" or "k", in the same order for both."""
        parts = (self.get_submodule(f"{part}_{side}") for part in ("backbone", "head_mix"))
        return chain.from_iterable(part.parameters() for part in parts)

    def mask_features(self, x: Tensor, *, whole: bool = False) -> Tensor:
        """What the mix block sees; see `MixClassifier.mask_features`."""
        return _seen(self.backbone_k, x, self.layer, stop=not whole)

    @property
    def mask_stride(self) -> int:
        """Pixels per place of `mask_features`."""
        return self.stride


class _Enough(Exception):  # noqa: N818
    """The layer that was asked for has been reached."""


def _seen(
    network: nn.Module, x: Tensor, name: str, *, before: bool = False, stop: bool = False
) -> Tensor:
    """What a layer puts out, or gets in (before), while the network sees x. stop: there."""
    found: list[Tensor] = []

    def keep(_: nn.Module, got: tuple[Tensor, ...], out: Tensor | None = None) -> None:
        # A copy: what follows, such as a ReLU, may work in place.
        found.append(got[0] if out is None else out.clone())
        if stop:
            raise _Enough

    layer = network.get_submodule(name)
    hook = layer.register_forward_pre_hook if before else layer.register_forward_hook
    handle = hook(keep)
    try:
        network(x)
    except _Enough:
        pass
    finally:
        handle.remove()
    return found[-1]


@torch.no_grad()
def _look_into(network: nn.Module, layer: str | None, size: int) -> tuple[str, str, int, int]:
    """The mask layer's name, the last linear layer's, the former's channels and its stride."""
    shapes: dict[str, torch.Size] = {}
    with ExitStack() as hooks:
        for name, module in network.named_modules():

            def note(_: nn.Module, __: Any, out: Any, name: str = name) -> None:
                if isinstance(out, Tensor):
                    shapes.pop(name, None)
                    shapes[name] = out.shape

            hooks.callback(module.register_forward_hook(note).remove)
        modes = [(module, module.training) for module in network.modules()]
        first = next(network.parameters(), torch.empty(0))
        kind, hint = type(network).__name__, "Name the size of its images by size=, or wrap it."
        try:
            with wall(
                UsageError, f"{kind}: expected a network of images (N, 3, {size}, {size})", hint
            ):
                zeros = torch.zeros((1, 3, size, size), device=first.device, dtype=first.dtype)
                network.eval()(zeros)
        finally:
            for module, training in modes:
                module.training = training
    linear = [name for name in shapes if isinstance(network.get_submodule(name), nn.Linear)]
    if not linear or shapes.get("") != shapes[linear[-1]] or len(shapes[""]) != 2:
        raise UsageError(
            f"{type(network).__name__}: expected a classifier whose last layer is a linear one and "
            "that returns its logits (N, classes); wrap it so that it does"
        )
    strides = {name: _stride(shape, size) for name, shape in shapes.items()}
    if layer is None:
        deepest = max(stride for stride in strides.values())
        layer = _deepest(network, strides, STRIDE if deepest > STRIDE else SMALL_STRIDE)
    if not strides.get(layer or ""):
        names = ", ".join(name for name, stride in strides.items() if stride and "." not in name)
        raise UsageError(
            f"{type(network).__name__}: expected a layer that puts out maps (N, c, h, w) whose "
            f"sides divide {size}, got {layer or 'none that could be found'}; name one by layer= "
            f"(of {names or 'its modules'})"
        )
    assert layer
    return layer, linear[-1], shapes[layer][1], strides[layer]


def _stride(shape: torch.Size, size: int) -> int:
    """Pixels per place of a map (1, c, h, w); 0 of what is no map."""
    square = len(shape) == 4 and shape[2] == shape[3] > 1
    return size // shape[2] if square and size % shape[2] == 0 else 0


def _deepest(network: nn.Module, strides: dict[str, int], wanted: int) -> str | None:
    """The last stage of a stride: of modules that are part of no other such module, the last that
    has at least half of the largest one's parameters (a later stage begins with small layers)."""

    def outermost(name: str) -> bool:
        return strides.get(name.rpartition(".")[0]) != wanted

    stages = [name for name, stride in strides.items() if name and stride == wanted]
    sizes = {
        name: sum(p.numel() for p in network.get_submodule(name).parameters())
        for name in stages
        if outermost(name)
    }
    large = [name for name, count in sizes.items() if count and 2 * count >= max(sizes.values())]
    return large[-1] if large else None
