"""Classifiers around networks that aren't ours: what such a network shows of itself.

A pass over an empty image tells which layer has maps of which size, and hooks see, stop or change
what passes there.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from copy import deepcopy
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import UsageError, wall
from .classifiers import MASK_STAGE, MIX_BLOCKS, Classifier, MixClassifier, draw_new, in_eval_mode

SIZE = 224  # pixels of the empty image, where the network has no size of its own
STRIDE = 16  # pixels per place of the features that masks are made of, as in the released configs
SMALL_STRIDE = 4  # where the whole network shrinks its images by less than STRIDE (CIFAR's)


@dataclass(frozen=True)
class Layers:
    """What a pass over a square image tells. name: the network's.

    shapes: of what each module puts out, in the order in which they end. size: of the image.
    """

    name: str
    shapes: dict[str, torch.Size]
    size: int

    def classifier(self, network: nn.Module) -> str:
        """The last linear layer. Raises UsageError unless its logits are what comes out."""
        of_linear = (it for it in self.shapes if isinstance(network.get_submodule(it), nn.Linear))
        last = list(of_linear)[-1:]
        if not last or self.shapes.get("") != self.shapes[last[0]] or len(self.shapes[""]) != 2:
            raise UsageError(
                f"{self.name}: expected a classifier whose last layer is a linear one and that "
                "returns its logits (N, classes). Wrap it so that it does, or choose another."
            )
        return last[0]

    @property
    def strides(self) -> dict[str, int]:
        """Pixels per place of the map that each module puts out; 0 where it is no such map."""
        return {name: _stride(shape, self.size) for name, shape in self.shapes.items()}

    @property
    def maps(self) -> str:
        """The outermost modules that put out maps, in words."""
        names = (name for name, stride in self.strides.items() if stride and "." not in name)
        return ", ".join(filter(None, names)) or "no module"

    def stage(self, network: nn.Module, stage: int) -> str:
        """The module at whose end a ResNet's `stage` (1 to 3) would end. Raises UsageError.

        It is the last of its stride, 2 ** (stage + 1); 2 ** (stage - 1) in a network for images of
        few pixels.
        """
        of_maps = [stride for stride in self.strides.values() if stride]
        small = len(of_maps) > 1 and max(of_maps) <= STRIDE  # one map: a transformer's patches
        wanted = (SMALL_STRIDE if small else STRIDE) >> (MASK_STAGE - stage)
        found = _deepest(network, self.strides, wanted) if len(of_maps) > 1 else None
        if not found:
            places = ", ".join(map(str, sorted(set(of_maps))))
            got = f"maps of {places} px" if len(of_maps) > 1 else "no maps"
            got = f"one map alone, of {places} px" if len(of_maps) == 1 else got
            raise UsageError(
                f"{self.name}: expected stages that put out maps (N, c, h, w), one of them with "
                f"places of {wanted} px, to mix or to make masks there, got {got}, at {self.size} "
                "px. Choose another method or network, or a crop (in Python size=) that its stages "
                f"divide, as multiples of {2 * STRIDE}."
            )
        return found


class ForeignClassifier(Classifier):
    """A network that isn't ours as a classifier: `backbone` is all of it, with its head.

    architecture: such as `timm/resnet10t`. classifier: name of its last layer. size: of images that
    it can take.
    """

    def __init__(
        self, network: nn.Module, architecture: str, classifier: str, size: int = SIZE
    ) -> None:
        nn.Module.__init__(self)
        self.architecture, self.classifier, self.size = architecture, classifier, size
        self.backbone: Any = network
        self.last = f"backbone.{classifier}"
        head: Any = network.get_submodule(classifier)
        self.num_classes = len(head.weight)

    @cached_property
    def layers(self) -> Layers:
        """What it shows of itself."""
        return look_into(self.backbone, self.size, self.architecture)

    def forward(self, x: Tensor) -> Tensor:
        """x: (N, 3, H, W) float, normalised. Returns logits (N, num_classes)."""
        return self.backbone(x)

    @torch.no_grad()
    def check_stages(self) -> None:
        """Raise UsageError unless all that the head sees passes the ends of stages 1 and 2: two
        images that are exchanged there come out exchanged."""
        pair = torch.stack([torch.full((3, self.size, self.size), float(n)) for n in (0, 1)])
        with in_eval_mode(self):
            logits = self(pair)
            swapped = [self.through(pair, stage, lambda maps: maps.flip(0)) for stage in (1, 2)]
        if not all(torch.allclose(one.flip(0), logits, atol=1e-5) for one in swapped):
            raise UsageError(
                f"{self.architecture}: hidden states can't be mixed as manifoldmix does, since "
                "none of its layers is passed by all that the head sees. Choose another method or "
                "network."
            )

    def through(self, x: Tensor, stage: int, change: Callable[[Tensor], Tensor]) -> Tensor:
        """See `Classifier.through`. Raises UsageError where it has no such stage."""
        if not stage:
            return self.backbone(change(x))
        layer = self.backbone.get_submodule(self.layers.stage(self.backbone, stage))
        handle = layer.register_forward_hook(lambda _, __, out: change(out))
        try:
            return self.backbone(x)
        finally:
            handle.remove()

    def features(self, x: Tensor, *, maps: bool = False) -> Tensor:
        """What the head sees, (N, c), of normalised images (N, 3, H, W); maps: at the end of stage
        3, (N, c, H / 16, W / 16)."""
        if maps:
            return seen(self.backbone, x, self.layers.stage(self.backbone, MASK_STAGE))
        return seen(self.backbone, x, self.classifier, before=True).flatten(1)


class ForeignMixClassifier(MixClassifier):
    """AutoMix or SAMix around a network that isn't ours: it is q, k is a copy of it.

    network: its head is the one for unmixed images; that for mixed images, `head_mix`, is another
    linear layer that sees the same. layer: whose output masks are made of, None finds it. size: of
    the square image that it looks with. rng: of the new layers. Raises UsageError for a network
    that shows no such layer, or that doesn't end in a linear one.
    """

    def __init__(
        self,
        network: nn.Module,
        architecture: str,
        method: str,
        rng: torch.Generator,
        layer: str | None = None,
        size: int = SIZE,
    ) -> None:
        nn.Module.__init__(self)
        self.architecture, self.method = architecture, method
        self.head_name = self.heads[0]
        layers = look_into(network, size, architecture)
        self.classifier = layers.classifier(network)
        self.layer = layer or layers.stage(network, MASK_STAGE)
        self.stride = layers.strides.get(self.layer, 0)
        if not self.stride:
            raise UsageError(
                f"{architecture}: expected a layer that puts out maps (N, c, h, w) whose sides "
                f"divide {size}, got {self.layer}; name one by layer= (of {layers.maps})."
            )
        linear: Any = network.get_submodule(self.classifier)
        self.num_classes = linear.out_features
        self.mix_block = MIX_BLOCKS[method](layers.shapes[self.layer][1])
        head = nn.Linear(linear.in_features, linear.out_features)
        for module in (head, *self.mix_block.modules()):
            draw_new(module, rng)
        self.backbone_q: Any = network
        self.head_mix_q = head
        self.backbone_k: Any = deepcopy(network)
        self.head_mix_k = deepcopy(head)
        self.to(linear.weight.device)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (N, num_classes) of the chosen head for normalised images (N, 3, H, W)."""
        return self.head_logits(self.head_name, x)

    def logits(self, x: Tensor) -> dict[str, Tensor]:
        """Logits (N, num_classes) of every head. x: (N, 3, H, W) float, normalised."""
        return {name: self.head_logits(name, x) for name in self.heads}

    def head_logits(self, name: str, x: Tensor) -> Tensor:
        """Logits (N, num_classes) of one head for normalised images (N, 3, H, W)."""
        kind, side = name.split("_")
        network = self.get_submodule(f"backbone_{side}")
        if kind == "one":
            return network(x)
        inside = seen(network, x, self.classifier, before=True)
        return self.get_submodule(f"head_mix_{side}")(inside)

    def features(self, x: Tensor, *, maps: bool = False) -> Tensor:
        """What the chosen side's last layer sees, (N, c). maps: what `layer` puts out, (N, c, h, w)."""
        if maps:
            return seen(self.backbone, x, self.layer)
        return seen(self.backbone, x, self.classifier, before=True)

    def network(self) -> Any:
        """A copy of the network with the chosen head, as it was given: to be saved, or used alone."""
        network: Any = deepcopy(self.backbone).requires_grad_(True)
        if self.head_name.startswith("mix"):
            head = self.get_submodule(f"head_{self.head_name}")
            network.get_submodule(self.classifier).load_state_dict(head.state_dict())
        return network

    def single(self) -> Any:
        """A copy of the chosen head and its network alone: a classifier as any other method's."""
        single = ForeignClassifier(self.network(), self.architecture, self.classifier)
        return single.train(self.training)

    def side(self, side: str) -> Iterator[nn.Parameter]:
        """The parameters of one side, "q" or "k", in the same order for both."""
        parts = (self.get_submodule(f"{part}_{side}") for part in ("backbone", "head_mix"))
        return chain.from_iterable(part.parameters() for part in parts)

    def mask_features(self, x: Tensor, *, whole: bool = False) -> Tensor:
        """What the mix block sees; see `MixClassifier.mask_features`."""
        return seen(self.backbone_k, x, self.layer, stop=not whole)

    @property
    def mask_stride(self) -> int:
        """Pixels per place of `mask_features`."""
        return self.stride


Foreign = ForeignClassifier | ForeignMixClassifier


class _Enough(Exception):  # noqa: N818
    """The layer that was asked for has been reached."""


def seen(
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
def try_size(network: nn.Module, size: int, name: str) -> Tensor:
    """Logits (1, classes) of an empty image of `size` pixels, in eval mode; nothing is modified.

    name: the network's, for the UsageError where it takes no such image.
    """
    first = next(network.parameters(), torch.empty(0))
    image = torch.zeros((1, 3, size, size), device=first.device, dtype=first.dtype)
    expected = f"{name}: expected a network of images (N, 3, {size}, {size})"
    with (
        in_eval_mode(network),
        wall(UsageError, expected, "Set another crop (in Python size=), or wrap it."),
    ):
        return network(image)


def look_into(network: nn.Module, size: int, name: str) -> Layers:
    """What a network shows of itself, asked by an empty image. Raises what `try_size` raises."""
    shapes: dict[str, torch.Size] = {}
    with ExitStack() as hooks:
        for path, module in network.named_modules():

            def note(_: nn.Module, __: Any, out: Any, path: str = path) -> None:
                if isinstance(out, Tensor):
                    shapes.pop(path, None)
                    shapes[path] = out.shape

            hooks.callback(module.register_forward_hook(note).remove)
        try_size(network, size, name)
    return Layers(name, shapes, size)


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
    stages = [name for name in stages if name.count(".") < 2] or stages  # not inside of a block
    sizes = {
        name: sum(p.numel() for p in network.get_submodule(name).parameters())
        for name in stages
        if outermost(name)
    }
    large = [name for name, count in sizes.items() if count and 2 * count >= max(sizes.values())]
    return large[-1] if large else None
