"""AutoMix and SAMix around a classifier of anybody's: in a training loop that isn't ours.

The losses, draws and schedules are those of `mixzoo train` (`steps.automix_losses`), and so is the
way in which a network that mixzoo doesn't know shows its features (`zoo.nets.foreign`). Papers:
AutoMix, Liu et al., 2022, arXiv:2103.13027; SAMix, Li et al., 2021, arXiv:2111.15454.
"""

from typing import Annotated, Any, Literal

import numpy as np
import torch
import torch.distributed as dist
from msgspec import Meta
from torch import Tensor, nn

from ..zoo.errors import UsageError, in_words
from ..zoo.nets.classifiers import in_eval_mode
from ..zoo.nets.foreign import SIZE, ForeignMixClassifier
from .mixing import draw_automix
from .mixing.mixed import as_labels, check_alpha, check_images
from .network import freeze_k, momentum_update
from .recipe import Automix
from .schedules import ema_momentum, mask_loss_weights
from .steps import automix_losses
from .values import Amount, Seed, argument

Seen = Annotated[int, Meta(ge=28, le=8192)]  # in fewer pixels the deep stages show no maps
Steps = Annotated[int, Meta(ge=1, le=10**9)]


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
    whole training, which the mask loss's weight and k's momentum are spread over; after them both
    stay as they are in the last. alpha: of
    Beta(alpha, alpha), 2 in the released configs. layer: name of the module whose output (N, c, H /
    16, W / 16) masks are made of; None finds the deepest stage of that stride. size: of the square
    images that it looks with, 28 or more: as large as those of the training. options: see
    `recipe.Automix`. seed: of the draws, to which each process of a group adds its rank, and of the
    new layers.

    A call without labels gives the logits of `head_name`, as in eval mode: "one_k" first, as the
    reference infers, or "mix_k", "one_q", "mix_q". `network` alone gives those of "one_q". `mix`
    mixes a batch by what the block learnt. Wrapped in DistributedDataParallel, call
    `.module.follow()`. Raises UsageError for a network that shows no such layer or that doesn't
    end in a linear one, and for other arguments out of range.
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
        network = argument("network", network, nn.Module)
        if not isinstance(options, Automix):  # msgspec would take a dict, and keys that it ignores
            raise UsageError(
                f"expected options to be a recipe.Automix, got {in_words(options)}; make one."
            )
        method = argument("method", method, Literal["automix", "samix"])
        alpha = argument("alpha", alpha, Amount)
        check_alpha(alpha)
        size, seed = argument("size", size, Seen), argument("seed", seed, Seed)
        weights = mask_loss_weights(options, argument("steps", steps, Steps))
        rng = torch.Generator().manual_seed(seed)
        super().__init__(network, type(network).__name__, method, rng, layer, size)
        self.alpha, self.own, self._weights, self._seed = alpha, options, weights, seed
        freeze_k(self)
        self.step = 0

    def forward(self, x: Tensor, y: Tensor | None = None) -> Any:
        """With labels, in training: the losses, see `automix_losses`. Without: logits.

        x: (N, 3, H, W) float, normalised, sides multiples of the stride. y: (N,) int64. Without
        labels nothing is modified: all is as in eval mode. Raises UsageError for another shape or
        dtype, and for labels in eval mode.
        """
        check_images(x)
        if y is None:
            with in_eval_mode(self):
                return self.head_logits(self.head_name, x)
        if not self.training:
            raise UsageError("losses are of training: call train() first, or give no labels.")
        y = as_labels(y, x, self.num_classes)
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

    def get_extra_state(self) -> Tensor:
        """The step, for `state_dict`: a scalar int64, since all else in there is a tensor too."""
        return torch.tensor(self.step)

    def set_extra_state(self, state: Tensor | int) -> None:
        """Go on from this step."""
        self.step = int(state)

    def single(self) -> Any:
        """A copy of the network with the chosen head, as it was given: to be saved, or used alone."""
        return self.network()

    def with_head(self, num_classes: int) -> Any:
        """`single`, with a new last layer for other classes, to be trained."""
        return super().single().with_head(num_classes).backbone
