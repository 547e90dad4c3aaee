"""Mixing for a training loop that isn't ours: one object, `images, target = mixer(images, labels)`.

It draws by `draw_mixture` and mixes by `apply`, so a batch is mixed as `mixzoo train` mixes it.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal, NamedTuple, Self

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, one_hot
from torch.utils.data import default_collate, get_worker_info

from ...zoo.errors import UsageError
from ..values import Amount, Count, Part, Seed, Share, argument
from .methods import Draw, apply, check_mixture, draw_mixture
from .mixed import Mixed, Variant, as_labels, check_images, mix_cross_entropy
from .puzzlemix import PuzzlemixDraw, input_saliency


class Target(NamedTuple):
    """Two labels for each sample, and the weight of the first."""

    labels: Tensor
    """(N,) int64: of the image itself."""

    partners: Tensor
    """(N,) int64: of what was mixed into it."""

    lam: Tensor
    """(N,) float32 in [0, 1]: weight of `labels`; `partners` has the rest."""

    def soft(self, num_classes: int, smoothing: float = 0.0) -> Tensor:
        """As weights of all classes, (N, num_classes) float32. smoothing: spread over all of them."""
        lam = self.lam[:, None]
        own, other = (one_hot(y, num_classes).float() for y in (self.labels, self.partners))
        return (lam * own + (1 - lam) * other) * (1 - smoothing) + smoothing / num_classes

    def to(self, device: torch.device | str, non_blocking: bool = False) -> Self:
        """The same on another device."""
        return type(self)(*(part.to(device, non_blocking=non_blocking) for part in self))


class Mixer:
    """Mixes batches by one method, or by one of several that each step chooses.

    methods: of `mixing.METHODS` but ManifoldMix, which mixes inside a network. alpha: of
    Beta(alpha, alpha), one for all or one for each. prob: how often each is chosen, summing to 1;
    None is equally often. `Mixer(["mixup", "cutmix"], alpha=[0.8, 1.0], prob=[0.4, 0.6])` is the
    usual mixture.

    num_classes: None gives a `Target` of two labels and a weight; a number gives soft labels (N,
    num_classes) float32, as timm's `Mixup` and torchvision's `v2.MixUp` do, whose place a Mixer can
    take. smoothing: of soft labels, in [0, 1). lam: "batch" mixes a batch with one draw, as the
    published runs did; "sample" draws for each image. mixed: share of batches that are mixed at
    all. variant: see `mixing.Variant`. seed: of all draws, to which each process of a group and
    each worker of a DataLoader adds its own. `mixup_enabled = False` lets batches pass, as timm's
    does.

    Raises UsageError for arguments that don't fit together.
    """

    def __init__(
        self,
        methods: str | Sequence[str],
        alpha: float | Sequence[float] = 1.0,
        prob: Sequence[float] | None = None,
        *,
        num_classes: int | None = None,
        smoothing: float = 0.0,
        lam: Literal["batch", "sample"] = "batch",
        mixed: float = 1.0,
        variant: Variant = "openmixup",
        seed: int = 0,
    ) -> None:
        methods = (methods,) if isinstance(methods, str) else methods
        self.methods: tuple[str, ...] = tuple(argument("methods", methods, list[str]))
        if "manifoldmix" in self.methods:
            raise UsageError(
                "manifoldmix mixes inside the network, not images: call "
                "mixzoo.train.mixing.manifoldmix with a classifier, or choose another method"
            )
        each = argument("alpha", alpha, Amount | list[Amount])
        self.alpha: list[float] = each if isinstance(each, list) else [each] * len(self.methods)
        self.prob: list[float] | None = argument("prob", prob, list[Share] | None)
        check_mixture(self.methods, self.alpha, self.prob)
        self.num_classes: int | None = argument("num_classes", num_classes, Count | None)
        self.smoothing: float = argument("smoothing", smoothing, Part)
        if self.smoothing and self.num_classes is None:
            raise UsageError("smoothing is of soft labels: give num_classes too, or leave it out.")
        self.lam: str = argument("lam", lam, Literal["batch", "sample"])
        self.mixed: float = argument("mixed", mixed, Share)
        self.variant: Variant = argument("variant", variant, Variant)
        self.seed: int = argument("seed", seed, Seed)
        self.mixup_enabled = True
        self._rng: np.random.Generator | None = None
        self._of: tuple[int, ...] = ()

    def __call__(
        self, images: Tensor, labels: Tensor, model: nn.Module | None = None
    ) -> tuple[Tensor, Target | Tensor]:
        """The mixed batch and its target; the arguments stay as they are.

        images: (N, C, H, W) float on any device, normalised where a method looks at colours.
        labels: (N,) int64. model: the bare classifier in training, which PuzzleMix asks for its
        saliency (one more pass forward and backward). Raises UsageError for another shape or dtype,
        for a missing model, or what the method raises.
        """
        check_images(images)
        labels = as_labels(labels, images, self.num_classes)
        if "puzzlemix" in self.methods and model is None:
            raise UsageError(
                "puzzlemix needs a classifier's saliency. Call mixer(images, labels, model)."
            )
        rng = self._generator()
        if not self.mixup_enabled or rng.random() >= self.mixed:
            whole = Target(labels, labels, images.new_ones(len(images), dtype=torch.float32))
            return images, self._target(whole)
        if self.lam == "batch":
            found = self._mix(self._draw(rng, images.shape), images, labels, model)
            target = Target(labels, labels[found.perm], found.lam)
            return found.images, self._target(target)
        perm = torch.from_numpy(rng.permutation(len(images)))
        swap = torch.tensor([1, 0])
        pairs = []
        for pair in torch.stack([torch.arange(len(images)), perm], dim=1):
            on = pair.to(images.device)
            draw = self._draw(rng, (2, *images.shape[1:]))
            if hasattr(draw, "perm"):
                draw = replace(draw, perm=swap)  # type: ignore[call-arg]
            pairs.append(self._mix(draw, images[on], labels[on], model))
        target = Target(
            labels, labels[perm.to(labels.device)], torch.stack([one.lam[0] for one in pairs])
        )
        return torch.stack([one.images[0] for one in pairs]), self._target(target)

    def loss(self, logits: Tensor, target: Target | Tensor) -> Tensor:
        """The cross entropy that goes with the target: a scalar, in float32 also under autocast.

        logits: (N, K). Of a `Target` it is `mix_cross_entropy` in this mixer's variant.
        """
        with torch.autocast(logits.device.type, enabled=False):
            if isinstance(target, Target):
                return mix_cross_entropy(logits.float(), *target, variant=self.variant)
            return cross_entropy(logits.float(), target)

    def collate(self, samples: Sequence[Any]) -> tuple[Tensor, Target | Tensor]:
        """Samples of (image, label) as one mixed batch: a DataLoader's `collate_fn`."""
        images, labels = default_collate(list(samples))
        return self(images, labels)

    def state_dict(self) -> dict[str, Any]:
        """Where this process's draws stand, as plain data: to go on after an interruption."""
        return {"draws": self._generator().bit_generator.state}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a `state_dict` of a mixer with the same arguments."""
        self._generator().bit_generator.state = state["draws"]

    def _generator(self) -> np.random.Generator:
        """Of this process: a worker and a rank have draws of their own."""
        worker = get_worker_info()
        rank = dist.get_rank() if dist.is_available() and dist.is_initialized() else 0
        of = (self.seed, rank, *([worker.seed] if worker else []))
        if self._rng is None or of != self._of:
            self._rng, self._of = np.random.default_rng(of), of
        return self._rng

    def _draw(self, rng: np.random.Generator, shape: Sequence[int]) -> Draw:
        (draw,) = draw_mixture(
            rng, tuple(shape), self.methods, self.alpha, self.prob, variant=self.variant
        )
        return draw

    def _mix(self, draw: Draw, x: Tensor, y: Tensor, model: nn.Module | None) -> Mixed:
        saliency = None
        if isinstance(draw, PuzzlemixDraw) and model is not None:
            with torch.autocast(x.device.type, enabled=False):
                saliency = input_saliency(model, x.float(), y)
        return apply(draw, x, saliency)

    def _target(self, target: Target) -> Target | Tensor:
        if self.num_classes is None:
            return target
        return target.soft(self.num_classes, self.smoothing)
