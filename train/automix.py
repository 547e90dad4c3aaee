"""AutoMix and SAMix around a classifier of anybody's: in a training loop that isn't ours.

The losses, draws and schedules are those of `mixzoo train` (`steps.automix_losses`), and so is the
way in which a network that mixzoo doesn't know shows its features (`zoo.nets.foreign`). Papers:
AutoMix, Liu et al., 2022, arXiv:2103.13027; SAMix, Li et al., 2021, arXiv:2111.15454.
"""

from typing import Any, Literal

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn

from ..zoo.errors import UsageError
from ..zoo.nets.classifiers import MIX_BLOCKS
from ..zoo.nets.foreign import SIZE, ForeignMixClassifier
from .mixing import draw_automix
from .network import freeze_k, momentum_update
from .recipe import Automix
from .schedules import ema_momentum, mask_loss_weights
from .steps import automix_losses


class AutoMix(ForeignMixClassifier):
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
    Beta(alpha, alpha), 2 in the released configs. layer: name of the module whose output (N, c, H /
    16, W / 16) masks are made of; None finds the deepest stage of that stride. size: of the square
    images that it looks with. options: see `recipe.Automix`. seed: of the draws, to which each
    process of a group adds its rank, and of the new layers.

    In eval mode a call gives the logits of `head_name`: "one_k" first, as the reference infers, or
    "mix_k", "one_q", "mix_q". `network` alone gives those of "one_q". `mix` mixes a batch by what
    the block learnt. Wrapped in DistributedDataParallel, call `.module.follow()`. Raises UsageError
    for a network that shows no such layer, or that doesn't end in a linear one.
    """

    def __init__(
        self,
        network: nn.Module,
        method: Literal["automix", "samix"] = "automix",
        *,
        steps: int,
        alpha: float = 2.0,
        layer: str | None = None,
        size: int = SIZE,
        options: Automix = Automix(),  # noqa: B008  (frozen)
        seed: int = 0,
    ) -> None:
        if method not in MIX_BLOCKS or steps < 1:
            raise UsageError(
                f"expected method {' or '.join(MIX_BLOCKS)} and steps of 1 or more, got {method!r} "
                f"and {steps}"
            )
        rng = torch.Generator().manual_seed(seed)
        super().__init__(network, type(network).__name__, method, rng, layer, size)
        self.alpha, self.own = alpha, options
        freeze_k(self)
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

    def single(self) -> Any:
        """A copy of the network with the chosen head, as it was given: to be saved, or used alone."""
        return self.network()

    def with_head(self, num_classes: int) -> Any:
        """`single`, with a new last layer for other classes, to be trained."""
        return super().single().with_head(num_classes).backbone
