"""Says what is known about a loss that is no number any more."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from ..zoo.errors import DivergedError
from .run import Run

DIAGNOSIS = "diverged.json"


def diverged(run: Run, losses: Mapping[str, Tensor], files: Sequence[str]) -> DivergedError:
    """The error for a run whose loss isn't finite; details go to `diverged.json` in its folder.

    losses: of this process' last micro batch, files: its images. Weights are still those before
    the step, so the checkpoints are sound.
    """
    epoch, batch = divmod(run.iteration, run.iterations)
    values = {name: value.item() for name, value in losses.items()}
    bad = [name for name, value in values.items() if not math.isfinite(value)]
    weights = _not_finite(run, lambda p: p)
    gradients = _not_finite(run, lambda p: p.grad)
    lr = run.optimizer.param_groups[0]["lr"]
    if run.world.leads:
        details = {
            "epoch": epoch + 1,
            "batch": batch + 1,
            "lr": lr,
            "precision": run.recipe.precision,
            "losses": {name: repr(value) for name, value in values.items()},
            "weights_not_finite": weights,
            "gradients_not_finite": gradients,
            "images": list(files),
        }
        _write(run.out / DIAGNOSIS, json.dumps(details, indent=2) + "\n")
    state = f"weights were already broken ({weights[0]} first)" if weights else "weights were sound"
    return DivergedError(
        f"The loss is no number in epoch {epoch + 1}, step {batch + 1} (lr {lr:g}, "
        f"{run.recipe.precision}): {', '.join(bad) or 'on another process'}; before the step the "
        f"{state}. Details: {run.out / DIAGNOSIS}. Lower lr, or use precision fp32, "
        "in a new folder; the checkpoints here are from before."
    )


def _not_finite(run: Run, of: "object") -> list[str]:
    """Names of parameters for which what `of` gives holds a value that is no number."""
    return [
        name
        for name, parameter in run.model.named_parameters()
        if (value := of(parameter)) is not None and not torch.isfinite(value).all()  # type: ignore[operator]
    ]


def _write(path: Path, text: str) -> None:
    partial = path.with_name(f".{path.name}.part")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)
