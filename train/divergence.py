"""Says what is known about a run whose losses or weights are no numbers any more."""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from ..zoo.errors import DivergedError
from ..zoo.files import write
from .run import Run

DIAGNOSIS = "diverged.json"


@dataclass(frozen=True)
class Broken:
    """The first micro batch of a step whose loss isn't finite. files: its images."""

    losses: dict[str, float]
    files: tuple[str, ...]

    @classmethod
    def of(cls, losses: Mapping[str, Tensor], files: Sequence[str]) -> "Broken":
        """Keep the values of a step's losses."""
        return cls({name: value.item() for name, value in losses.items()}, tuple(files))


def diverged(run: Run, broken: Broken | None, reason: str = "") -> DivergedError:
    """The error for a run that can't go on; details go to `diverged.json` in its folder.

    All ranks call this. broken: what this process found, None if nothing. reason: of a run that
    diverged without a loss that tells.
    """
    found = [(rank, b) for rank, b in enumerate(run.world.gather(broken)) if b]
    details = _state(run)
    if found:
        rank, first = found[0]
        bad = [name for name, value in first.losses.items() if not math.isfinite(value)]
        reason = f"the loss is no number ({', '.join(bad)})."
        losses = {name: repr(value) for name, value in first.losses.items()}
        details |= {"rank": rank, "losses": losses, "images": first.files}
    path = run.out / DIAGNOSIS
    if run.world.leads:
        write(path, json.dumps(details, indent=2) + "\n")
    weights = details["weights_not_finite"]
    state = f"are broken too ({weights[0]} first)" if weights else "still are finite"
    return DivergedError(
        f"Diverged in epoch {details['epoch']}, step {details['batch']} (lr {details['lr']:g}, "
        f"{run.recipe.precision}): {reason} The weights {state}. Details: {path}. Lower lr, or use "
        "precision=fp32, in a new folder; the checkpoints here are from before."
    )


def require_finite(run: Run) -> None:
    """Raise DivergedError, on all ranks, for weights or statistics that aren't finite.

    A gradient can overflow where the loss didn't; such a state must not become a checkpoint. The
    leader's counts: what it has is what is written.
    """
    sound = all(bool(value.isfinite().all()) for value in run.model.state_dict().values())
    if not run.world.gather(sound)[0]:
        raise diverged(run, None, "weights or statistics are no numbers after the step before.")


def _state(run: Run) -> dict[str, Any]:
    """Where a run stands, and which of its tensors aren't finite. epoch, batch: counted from 1."""
    epoch, batch = divmod(run.iteration, run.iterations)
    return {
        "epoch": epoch + 1,
        "batch": batch + 1,
        "lr": run.optimizer.param_groups[0]["lr"],
        "precision": run.recipe.precision,
        "weights_not_finite": _not_finite(run.model, lambda p: p),
        "gradients_not_finite": _not_finite(run.model, lambda p: p.grad),
    }


def _not_finite(model: nn.Module, of: Callable[[nn.Parameter], Tensor | None]) -> list[str]:
    """Names of parameters for which what `of` gives holds a value that is no number."""
    values = ((name, of(parameter)) for name, parameter in model.named_parameters())
    return [name for name, value in values if value is not None and not value.isfinite().all()]
