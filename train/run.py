"""A run on its way: everything that a step changes, and how it is kept on disk."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import torch
import torch.distributed as dist
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel

from ..eval.crops import BATCH_SIZE, KeptWork, Work
from ..eval.evaluator import evaluate
from ..eval.predictions import Counts
from ..eval.world import ALONE, World
from ..zoo.checkpoint.names import canonical
from ..zoo.errors import CheckpointError, UsageError, wall
from ..zoo.nets import ResNetConfig
from ..zoo.nets.foreign import Foreign
from .checkpoints import (
    BEST,
    Count,
    Stands,
    keep_last,
    latest,
    meta_of,
    openmixup_state,
    require_same_kind,
    write,
)
from .data import KEPT_BYTES, Data
from .log import JsonLog, environment
from .network import fresh_network, in_training, optimizer_of, parallel, share_buffers
from .recipe import Recipe
from .schedules import learning_rate, mix_block_learning_rate
from .steps import step_of


@dataclass(frozen=True)
class How:
    """How a run is computed. Nothing here is part of the recipe, or may change what is learnt."""

    world: World = ALONE
    workers: int | None = None
    """Decoding processes per rank; None picks by cores, and none for small data sets."""

    compile: bool = False
    checkpoint_every: int | None = None
    """Steps between checkpoints; None makes one per epoch."""

    keep_every: int | None = None
    """Epochs between checkpoints that stay as `epoch_<n>.pth`."""

    stop_at: int | None = None
    """Steps, and the validations between them, after which the run stops; None goes to the end."""

    tensorboard: Path | None = None


class Run:
    """Network, optimizer, log, and where they stand.

    iteration: the step to take next, from 0, of `total`. validated: epochs whose validation is
    done.
    """

    def __init__(
        self,
        recipe: Recipe,
        out: Path,
        name: str,
        iterations: int,
        how: How,
        changed: Sequence[str] = (),
        weights: Mapping[str, Tensor] | None = None,
    ) -> None:
        """Begin a run, or go on from the last checkpoint in `out`, which the leader alone reads.

        weights: tensors of the network to begin with; those it doesn't name are drawn.
        """
        self.recipe, self.out, self.name, self.how, self.changed = recipe, out, name, how, changed
        self.world, self.device = how.world, how.world.device
        self.iterations = iterations  # per epoch
        self.total = recipe.epochs * iterations
        self.iteration = self.validated = 0
        self.best: dict[str, Any] = {}
        self._decoded: dict[Any, Any] = {}  # see `KeptWork`
        self._losses: list[float] = []  # of this epoch, as far as this process took its steps
        self.model = fresh_network(recipe)
        self.model.load_state_dict(self.model.state_dict() | dict(weights or {}))
        self.model.to(self.device)
        foreign = isinstance(self.model, Foreign)
        if how.compile and foreign:
            raise UsageError(
                f"--compile: expected one of our networks, got {recipe.architecture}. Leave it out."
            )
        wide = foreign or ResNetConfig.from_name(recipe.architecture).base_width % 16 == 0
        if wide and not (foreign and self.device.type == "cpu"):
            # Faster; but of narrow layers torch's CPU kernels (seen in 2.15) corrupt memory with
            # it.
            self.model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.optimizer = optimizer_of(self.model, recipe)
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=recipe.precision == "fp16")
        if self.world.leads:
            out.mkdir(parents=True, exist_ok=True)
        content = _to_go_on_from(out, self.world)
        if content:
            self._restore(content)
        self.step = step_of(self.model, recipe)
        self.parallel = parallel(self.step, self.world)
        if how.compile:
            for child, part in self.model.named_children():
                if child.startswith("backbone"):  # a mix block would be compiled for every lam
                    # k's backbone is called with images and with features: few shapes, all known.
                    part.compile(dynamic=False)
        self.log = self._log(content)

    @property
    def slots(self) -> range:
        """The parts of a batch that this process computes, one after the other."""
        mine = self.recipe.accumulation(self.world.size)
        return range(self.world.rank * mine, (self.world.rank + 1) * mine)

    @property
    def ahead(self) -> int:
        """Micro batches of this process from this step to the next validation."""
        return (self.iterations - self.iteration % self.iterations) * len(self.slots)

    @property
    def is_validation_due(self) -> bool:
        """Whether the steps of an epoch are done, and its validation isn't."""
        return self.iteration == (self.validated + 1) * self.iterations

    @property
    def is_done(self) -> bool:
        """Whether the last epoch has been validated."""
        return self.validated == self.recipe.epochs

    @property
    def is_time_to_checkpoint(self) -> bool:
        """Before every validation, which may be long, and every so many steps if that is wanted."""
        every = self.how.checkpoint_every
        return self.iteration % self.iterations == 0 or bool(every and self.iteration % every == 0)

    def set_learning_rates(self, epoch: int) -> float:
        """Set the rates of an epoch (from 0). Returns the networks'."""
        rate = learning_rate(self.recipe, epoch)
        mult = self.recipe.backbone_lr_mult
        rates = [rate, *([rate * mult] if mult != 1 else [])]  # the groups of `optimizer_of`
        rates.append(mix_block_learning_rate(self.recipe, epoch))
        for group, rate in zip(self.optimizer.param_groups, rates, strict=False):
            group["lr"] = rate
        return rates[0]

    def autocast(self) -> AbstractContextManager[Any]:
        """The arithmetic of the recipe's precision."""
        dtype = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(self.recipe.precision)
        return torch.autocast(self.device.type, dtype) if dtype else nullcontext()

    def sharing(self, now: bool) -> AbstractContextManager[Any]:
        """Whether the next backward pass averages gradients over the processes."""
        if now or not isinstance(self.parallel, DistributedDataParallel):
            return nullcontext()
        return self.parallel.no_sync()

    def validate(
        self, data: Data, progress: Callable[[int], object] | None = None
    ) -> dict[str, Counts]:
        """Count the hits of every head on all validation images, in fp32; the same on all ranks.

        progress: called with the number of images done, per batch, on this rank. Its MixzooError
        ends the validation on all ranks.
        """
        share_buffers(self.model, self.parallel)
        work = Work(data.val, data.protocol, workers=self.how.workers)
        if 3 * len(data.val) * data.protocol.crop**2 <= KEPT_BYTES:
            work = KeptWork(**vars(work), kept=self._decoded)
        with torch.compiler.set_stance("force_eager"):  # the evaluator's own arithmetic
            logits = self.model.eval().logits
            counts = evaluate(logits, work, world=self.world, progress=progress)
        in_training(self.model, self.recipe)
        return counts

    def batches_of(self, data: Data) -> int:
        """Validation batches per rank, as mmcv's logs count them."""
        return -(-len(data.val) // (BATCH_SIZE * self.world.size))

    def checkpoint(self) -> None:
        """Write where the run stands to `last.pth`."""
        if not self.world.leads:
            return
        epoch = self.iteration // self.iterations
        keep_last(
            self.out,
            {
                "meta": meta_of(self.recipe, epoch, self.iteration, self.changed),
                "state_dict": openmixup_state(self.model),
                "optimizer": self.optimizer.state_dict(),
                "run": {
                    "log": self.log.state(),
                    "best": self.best,
                    "validated": self.validated,
                    "scaler": self.scaler.state_dict(),
                },
            },
        )

    def note_loss(self, loss: float) -> None:
        """Take a step's training loss into the epoch's mean."""
        if (self.iteration - 1) % self.iterations == 0:
            self._losses.clear()
        self._losses.append(loss)

    @property
    def mean_loss(self) -> float | None:
        """The epoch's training loss, None where this process took none of its steps."""
        return sum(self._losses) / len(self._losses) if self._losses else None

    def keep_epoch(self, epoch: int, counts: Counts) -> None:
        """Keep the weights of an epoch (from 1) if it is the best, or one of every k."""
        files = []
        if counts.correct > self.best.get("correct", -1):
            self.best = {"correct": counts.correct, "epoch": epoch}
            files.append(BEST)
        if self.how.keep_every and epoch % self.how.keep_every == 0:
            files.append(f"epoch_{epoch}.pth")
        for file in files if self.world.leads else []:
            self.write_weights(self.out / file, epoch)

    def write_weights(self, path: Path, epoch: int) -> Path:
        """Write the weights alone, after some epoch (from 1). Returns `path`."""
        meta = meta_of(self.recipe, epoch, epoch * self.iterations, self.changed)
        return write(path, {"meta": meta, "state_dict": openmixup_state(self.model)})

    def _log(self, content: dict[str, Any] | None) -> JsonLog:
        """The log of this run, on the process that writes it; the others' goes nowhere."""
        path = self.out / f"{self.name}.log.json" if self.world.leads else None
        if content:
            return JsonLog(path, content["run"]["log"])
        log = JsonLog(path)
        log.header(
            env_info=environment(),
            config=self.recipe.text(),
            seed=self.recipe.seed,
            exp_name=self.name,
        )
        return log

    def _restore(self, content: dict[str, Any]) -> None:
        """Go on where a checkpoint was written; nothing of it is believed unseen.

        Raises UsageError for one of another recipe, CheckpointError for one that can't be this
        run's.
        """
        with wall(
            CheckpointError,
            f"{self.out}: its checkpoint isn't one of this run",
            "Go on with the recipe and the mixzoo that wrote it, or train in another folder.",
        ):
            if content["meta"]["config"] != self.recipe.text():
                raise UsageError(
                    f"--out {self.out}: its checkpoints are of another recipe. Give the recipe "
                    "that they were made with, or another folder."
                )
            stands = msgspec.convert(content["run"], Stands)
            self.iteration = msgspec.convert(content["meta"]["iter"], Count)
            self.validated, self.best = stands.validated, content["run"]["best"]
            epoch, rest = divmod(self.iteration, self.iterations)
            if self.iteration > self.total or self.validated not in {epoch, epoch - (rest == 0)}:
                raise ValueError(
                    f"{self.validated} validations don't belong to step {self.iteration} of "
                    f"{self.total}"
                )
            weights = canonical(content["state_dict"])
            require_same_kind(self.model.state_dict(), weights, "weights")
            self.model.load_state_dict(weights)
            self._restore_optimizer(content["optimizer"])
            self.scaler.load_state_dict(content["run"]["scaler"])

    def _restore_optimizer(self, state: dict[str, Any]) -> None:
        options = [dict(group) for group in self.optimizer.param_groups]
        parameters: list[Tensor] = [p for group in options for p in group["params"]]
        for number, kept in state["state"].items():
            own = {n: parameters[number] for n, value in kept.items() if value is not None}
            require_same_kind(own, kept, "optimizer's")
        self.optimizer.load_state_dict(state)
        for own, group in zip(options, self.optimizer.param_groups, strict=True):
            for name in own.keys() & group.keys() - {"params", "lr"}:  # rates are the epoch's
                if group[name] != own[name]:
                    raise ValueError(
                        f"the optimizer's {name}: expected {own[name]}, got {group[name]}"
                    )


def _to_go_on_from(out: Path, world: World) -> dict[str, Any] | None:
    """The leader's newest checkpoint, on all ranks: other machines may not see its folder, or late.

    Raises CheckpointError on all ranks.
    """
    error = None
    found: list[dict[str, Any] | None] = [None]
    if world.leads:
        try:
            found = [latest(out)]
        except CheckpointError as raised:
            error = raised
    world.agree(error)
    if world.size > 1:
        dist.broadcast_object_list(found)
    return found[0]
