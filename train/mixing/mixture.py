"""Several mixing methods in one training run, one of them chosen at each step."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

import numpy as np

from ...zoo.errors import UsageError
from .draws import Variant, check_alpha
from .methods import Draw, check_method, draw_method


@dataclass(frozen=True)
class Mixture:
    """Which methods to choose from, how often each, and how many per step.

    The fields bear the names of OpenMixup's configs. For MixUp and CutMix with switching
    probabilities 0.4 and 0.6: `Mixture(mix_mode=("mixup", "cutmix"), alpha=(0.8, 1.0),
    mix_prob=(0.4, 0.6))`. Raises `UsageError` for fields that don't fit together.
    """

    mix_mode: tuple[str, ...]
    """Names from `methods.METHODS`; a name may stand twice with different alphas."""

    alpha: tuple[float, ...]
    """For each method, its Beta(alpha, alpha); vanilla ignores it."""

    mix_prob: tuple[float, ...] | None = None
    """Probability of each method, summing to one; None is uniform."""

    mix_repeat: int = 1
    """How many mixed copies of the batch a step trains on; the loss is their mean."""

    variant: Variant = "openmixup"
    """Whose behaviour to follow in the methods where code and paper differ."""

    def __post_init__(self) -> None:
        for name in self.mix_mode:
            check_method(name)
        if not self.mix_mode or len(self.alpha) != len(self.mix_mode):
            raise UsageError(
                f"expected one alpha for each of {len(self.mix_mode) or 'at least 1'} mix_mode, "
                f"got {len(self.alpha)}; give both lists the same length"
            )
        for name, alpha in zip(self.mix_mode, self.alpha, strict=True):
            if name != "vanilla":
                check_alpha(alpha)
        if self.mix_prob is not None:
            _check_probabilities(self.mix_prob, len(self.mix_mode))
        if self.variant not in get_args(Variant):
            raise UsageError(
                f"expected variant of {', '.join(get_args(Variant))}, got '{self.variant}'; "
                "leave it out for the published behaviour"
            )
        if self.mix_repeat < 1:
            raise UsageError(
                f"expected mix_repeat of 1 or more, got {self.mix_repeat}; "
                "use mix_mode 'vanilla' to train without mixing"
            )
        if self.mix_repeat > 1 and "vanilla" in self.mix_mode:
            self._check_vanilla_can_be_left_out()

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> tuple[Draw, ...]:
        """Choose `mix_repeat` methods and draw each for a batch of `shape` (N, C, H, W).

        As in OpenMixup, a choice is drawn even when there is one method, and once a step has
        had vanilla its further repeats choose among the others.
        """
        candidates = list(range(len(self.mix_mode)))
        draws = []
        for _ in range(self.mix_repeat):
            chosen = int(rng.choice(candidates, p=self.mix_prob))
            name = self.mix_mode[chosen]
            draws.append(draw_method(rng, name, shape, self.alpha[chosen], self.variant))
            if name == "vanilla":
                candidates.remove(chosen)
        return tuple(draws)

    def _check_vanilla_can_be_left_out(self) -> None:
        """OpenMixup fails in these cases as soon as it has drawn vanilla."""
        if self.mix_prob is not None or set(self.mix_mode) == {"vanilla"}:
            raise UsageError(
                f"vanilla is used once a step, so mix_repeat {self.mix_repeat} needs other methods "
                "and no mix_prob; drop 'vanilla' or mix_prob, or set mix_repeat to 1"
            )


def mixture(
    mix_mode: str | Sequence[str],
    alpha: float | Sequence[float] = 1.0,
    mix_prob: Sequence[float] | None = None,
    mix_repeat: int = 1,
    variant: Variant = "openmixup",
) -> Mixture:
    """A mixture as OpenMixup's configs write it: one name and number, or lists of the same length.

    Raises `UsageError` for arguments that don't fit together.
    """
    return Mixture(
        mix_mode=(mix_mode,) if isinstance(mix_mode, str) else tuple(mix_mode),
        alpha=(alpha,) if isinstance(alpha, int | float) else tuple(alpha),
        mix_prob=None if mix_prob is None else tuple(mix_prob),
        mix_repeat=mix_repeat,
        variant=variant,
    )


def _check_probabilities(mix_prob: tuple[float, ...], n: int) -> None:
    """Raise `UsageError` unless there are n probabilities that sum to one."""
    if len(mix_prob) != n or min(mix_prob) < 0 or abs(sum(mix_prob) - 1) > 1e-8:
        raise UsageError(
            f"expected mix_prob of {n} probabilities that sum to 1, one for each mix_mode, got "
            f"{list(mix_prob)} with sum {sum(mix_prob):g}; correct the list, or leave it out for "
            "equal probabilities"
        )
