"""How a run ends early: by a signal, a loss that is no number, or what it can't go on without."""

import json
import math
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any

import torch
from torch import Tensor, nn

from ..eval.decoding import explained
from ..eval.world import World
from ..zoo.errors import DivergedError, LostRankError, UsageError
from ..zoo.files import write
from .run import Run

# SLURM's --signal=USR1@120 warns before the time is up.
NAMES = ("SIGTERM", "SIGINT", "SIGUSR1", "SIGHUP")
SIGNALS = tuple(getattr(signal, name) for name in NAMES if hasattr(signal, name))
INSISTING = 2.0
"""Seconds after which another SIGINT is a person's: torchrun passes on what a terminal sent to
its processes already."""

HINT = b"\nStopping after this step, with a checkpoint. Ctrl-C again stops at once, without one.\n"
DIAGNOSIS = "diverged.json"


@dataclass
class Interruption:
    """Whether this process has been asked to stop, and by which signal."""

    signal: str = ""


@contextmanager
def interruption(hint: bool = False) -> Iterator[Interruption]:
    """Note signals while the body runs, instead of dying of them; the loop asks between steps.

    A further SIGINT, INSISTING seconds after the first signal, raises KeyboardInterrupt. hint:
    whether to say so on stderr at the first. Outside the main thread, which alone gets signals,
    nothing is noted.
    """
    noted = Interruption()
    since = 0.0

    def note(number: int, _: FrameType | None) -> None:
        nonlocal since
        if not noted.signal:
            since = time.monotonic()
            noted.signal = signal.Signals(number).name
            if hint and number == signal.SIGINT:
                os.write(2, HINT)  # a buffered stream may be in use right now
        elif number == signal.SIGINT and time.monotonic() - since > INSISTING:
            raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield noted
        return
    heard = [n for n in SIGNALS if n == signal.SIGINT or signal.getsignal(n) != signal.SIG_IGN]
    before = {number: signal.signal(number, note) for number in heard}  # nohup ignores SIGHUP
    try:
        yield noted
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def diverged(run: Run, broken: Mapping[str, Any] | None, reason: str = "") -> DivergedError:
    """The error for a run that can't go on; details go to `diverged.json` in its folder.

    All ranks call this. broken: what this process found, None if nothing: the losses by name, and
    the images of the first micro batch whose loss isn't finite. reason: of a run that diverged
    without a loss that tells.
    """
    epoch, batch = (place + 1 for place in divmod(run.iteration, run.iterations))
    lr = run.optimizer.param_groups[0]["lr"]
    weights = _not_finite(run.model, lambda p: p)
    details: dict[str, Any] = {
        "epoch": epoch,
        "batch": batch,
        "lr": lr,
        "precision": run.recipe.precision,
        "weights_not_finite": weights,
        "gradients_not_finite": _not_finite(run.model, lambda p: p.grad),
    }
    for rank, found in reversed(list(enumerate(run.world.gather(broken)))):
        if found:
            bad = [name for name, value in found["losses"].items() if not math.isfinite(value)]
            reason = f"the loss is no number ({', '.join(bad)})."
            details |= {"rank": rank, **found}
            details["losses"] = {name: repr(value) for name, value in found["losses"].items()}
    path = run.out / DIAGNOSIS
    if run.world.leads:
        write(path, json.dumps(details, indent=2) + "\n")
    state = f"are broken too ({weights[0]} first)" if weights else "still are finite"
    return DivergedError(
        f"Diverged in epoch {epoch}, step {batch} (lr {lr:g}, {run.recipe.precision}): {reason} "
        f"The weights {state}. Details: {path}. Lower lr, or use precision=fp32, in a new folder; "
        "the checkpoints here are from before."
    )


def require_finite(run: Run) -> None:
    """Raise DivergedError, on all ranks, for weights or statistics that aren't finite.

    A gradient can overflow where the loss didn't; such a state must not become a checkpoint. The
    leader's counts: what it has is what is written.
    """
    sound = all(bool(value.isfinite().all()) for value in run.model.state_dict().values())
    if not run.world.gather(sound)[0]:
        raise diverged(run, None, "weights or statistics are no numbers after the step before.")


def _not_finite(model: nn.Module, of: Callable[[nn.Parameter], Tensor | None]) -> list[str]:
    """Names of parameters for which what `of` gives holds a value that is no number."""
    values = ((name, of(parameter)) for name, parameter in model.named_parameters())
    return [name for name, value in values if value is not None and not value.isfinite().all()]


@contextmanager
def explained_losses(world: World) -> Iterator[None]:
    """Say what happened where memory, a decoding process or another rank is gone."""
    try:
        with explained():
            yield
    except torch.OutOfMemoryError as error:
        raise UsageError(
            f"Out of memory on the device ({str(error).splitlines()[0]}). Begin anew in another "
            "folder with a smaller micro_batch, or with precision=bf16."
        ) from None
    except RuntimeError as error:
        text = str(error)
        if world.size > 1 and any(word in text for word in ("gloo", "NCCL", "Connection closed")):
            raise LostRankError(
                f"Rank {world.rank} of {world.size} lost its connection: another process of this "
                f"job ended, and its own output says why ({text.splitlines()[0]}). "
                "Run the same command again: it goes on from the last checkpoint."
            ) from None
        raise
