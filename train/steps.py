"""What one step of training does to a micro batch, behind one face for all ten methods."""

from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from ..zoo.nets import Classifier, MixClassifier
from .automix_step import automix_losses, momentum_update
from .mixed_step import mixed_losses
from .mixing import AutomixDraw, Draw, draw_automix
from .recipe import Recipe

StepDraw = tuple[Draw, ...] | AutomixDraw


class Step(Protocol):
    """A module (its parameters are the model's) whose call gives the losses of a micro batch."""

    logged: tuple[str, ...]
    """Which of the losses a train line of the log shows, as OpenMixup's logs do."""

    heads: tuple[str, ...]
    """The classification heads in the order of OpenMixup's logs."""

    def head_in_log(self, head: str) -> str:
        """What OpenMixup's logs call a head."""
        ...

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> StepDraw:
        """Everything random for a micro batch of `shape` (N, 3, H, W)."""
        ...

    def __call__(
        self, x: Tensor, y: Tensor, draw: StepDraw, mask_loss_weight: float
    ) -> dict[str, Tensor]:
        """Scalars by name; "loss" has gradients. x: (N, 3, H, W) normalised. y: (N,) int64."""
        ...

    def follow(self, momentum: float) -> None:
        """What happens after the optimizer's step."""
        ...


class MixedStep(nn.Module):
    """The step of a method whose mixing isn't learnt, or of a mixture of such methods."""

    heads = ("head0",)

    def __init__(self, model: Classifier, recipe: Recipe) -> None:
        super().__init__()
        self.model = model
        self.mixture = recipe.mixture()
        mixes = set(recipe.mix_mode) != {"vanilla"}
        self.logged = ("loss", "acc", "acc_mix") if mixes else ("loss", "acc")

    def head_in_log(self, head: str) -> str:
        """Its own name."""
        return head

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> tuple[Draw, ...]:
        """A method for each repeat, and its draw."""
        return self.mixture.draw(rng, shape)

    def forward(
        self, x: Tensor, y: Tensor, draw: tuple[Draw, ...], mask_loss_weight: float
    ) -> dict[str, Tensor]:
        """The mean over the repeats of `mixed_losses`."""
        repeats = [mixed_losses(self.model, x, y, one) for one in draw]
        return {name: torch.stack([r[name] for r in repeats]).mean() for name in repeats[0]}

    def follow(self, momentum: float) -> None:
        """Nothing follows here."""


class AutomixStep(nn.Module):
    """The step of AutoMix and SAMix."""

    logged = ("loss", "acc_mix_q", "acc_one_q", "acc_mix_k")
    heads = ("mix_k", "one_k", "mix_q", "one_q")

    def __init__(self, model: MixClassifier, recipe: Recipe) -> None:
        super().__init__()
        self.model = model
        self.alpha, self.recipe = recipe.alpha[0], recipe.automix

    def head_in_log(self, head: str) -> str:
        """`acc_` and its name."""
        return f"acc_{head}"

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> AutomixDraw:
        """Both weights, partners and dropouts: see `draw_automix`."""
        return draw_automix(rng, shape, self.alpha, self.model, self.recipe.mask_adjust)

    def forward(
        self, x: Tensor, y: Tensor, draw: AutomixDraw, mask_loss_weight: float
    ) -> dict[str, Tensor]:
        """See `automix_losses`."""
        return automix_losses(
            self.model,
            x,
            y,
            draw,
            mask_loss_weight,
            lam_margin=self.recipe.lam_margin,
            clean_statistics=self.recipe.clean_statistics,
        )

    def follow(self, momentum: float) -> None:
        """k moves towards q."""
        momentum_update(self.model, momentum)


def step_of(model: Classifier | MixClassifier, recipe: Recipe) -> MixedStep | AutomixStep:
    """The recipe's step for its network."""
    if isinstance(model, MixClassifier):
        return AutomixStep(model, recipe)
    return MixedStep(model, recipe)
