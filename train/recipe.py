"""What decides a training run, apart from the images; and settings, `key=value`, that change it."""

import ast
import difflib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, is_dataclass, replace
from functools import cache
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import numpy as np
from msgspec import Meta

from ..zoo.errors import UsageError
from ..zoo.nets import check_name
from ..zoo.nets.classifiers import LAM_MARGIN
from .mixing import LEARNT_METHODS, Variant, check_mixture
from .mixing.mixed import check_alpha
from .values import Amount, Count, Number, Part, Pixels, Seed, Share, checked, first_of, spelled

LATER = {"repeat", "init", "init_sha256", "backbone_lr_mult", "freeze"}
Precision = Literal["fp32", "bf16", "fp16"]
Purpose = Literal["order", "crop", "mix"]


@dataclass(frozen=True)
class Automix:
    """What AutoMix and SAMix need beside the common recipe; the values of the released configs."""

    mask_loss: Amount = 0.1
    """Weight of the mask loss when training starts; 0 leaves it out."""

    mask_loss_schedule: Literal["compounding", "cosine"] = "compounding"
    """How the weight falls: see `schedules.mask_loss_weights`."""

    mask_adjust: Share = 0.0
    """Probability of rescaling the masks of the backbone's images to their mean."""

    lam_margin: Annotated[float, Meta(ge=0, le=0.5)] = LAM_MARGIN
    """Where lam or 1 - lam is at most this, the backbone's images are mixed as by MixUp."""

    momentum: Share = 0.999
    """k becomes momentum * k + (1 - momentum) * q after a step; in the first tenth of the run."""

    momentum_end: Share = 0.99999
    """What the momentum rises to: see `schedules.ema_momentum`."""

    min_lr: Amount = 1e-4
    """The mix block's learning rate falls to this, the networks' to the recipe's `min_lr`."""

    clean_statistics: bool = True
    """Whether clean images also pass k's last stage, whose output nothing uses. They move its batch
    norm's statistics, and so k's validation, as in OpenMixup; without, a step is a few percent
    faster."""

    def __post_init__(self) -> None:
        _check_fields(self, "automix.")


@dataclass(frozen=True)
class Recipe:
    """One run: the network, the mixing, and the PyTorch recipe of the released configs.

    SGD with momentum, cosine by epoch, RandomResizedCrop (bicubic) to `crop` pixels and flip.
    Raises `UsageError` for values that are out of range or don't fit together.
    """

    architecture: str
    num_classes: Count
    mix_mode: tuple[str, ...]
    """Methods that each step chooses from: see `mixing.draw_mixture`. AutoMix and SAMix stand
    alone."""

    alpha: tuple[Number, ...]
    """Of Beta(alpha, alpha), one for each method; vanilla doesn't draw any."""

    mix_prob: tuple[Number, ...] | None = None
    mix_repeat: Annotated[int, Meta(ge=1, le=1000)] = 1
    variant: Variant = "openmixup"
    epochs: Annotated[int, Meta(ge=1, le=100_000)] = 100
    repeat: Annotated[int, Meta(ge=1, le=100)] = 1
    """How often an epoch shows every image, as OpenMMLab's RepeatDataset: for few images, whose
    epochs would be mostly validation."""

    batch_size: Count = 256
    """Images per optimizer step, over all processes."""

    micro_batch: Count = 64
    """Images that are mixed and batch-normalised together. The released runs had 4 processes of 64;
    with fewer processes gradients are accumulated."""

    crop: Pixels = 224
    lr: Amount = 0.1
    min_lr: Amount = 0.0
    momentum: Part = 0.9
    weight_decay: Amount = 1e-4
    precision: Precision = "fp32"
    seed: Seed = 0
    log_every: Count = 50
    """Steps per train line of the log."""

    init: str | None = None
    """What the weights begin with: a row's id, the name of a checkpoint file, or `timm/NAME`; None
    draws them from the seed. The run notes the file's sha256 too."""

    init_sha256: str | None = None

    backbone_lr_mult: Amount = 1.0
    """The backbone's learning rate as a multiple of the head's `lr`, as mmcv's `lr_mult`."""

    freeze: bool = False
    """Whether only the heads (and the mix block) learn: the backbone, its batch norms' statistics
    too, stays as it began."""

    automix: Automix = field(default_factory=Automix)

    def __post_init__(self) -> None:
        _check_fields(self)
        check_name(self.architecture)
        if self.freeze and not self.init:
            raise UsageError(
                "freeze keeps the backbone as it begins, and without --init it begins at random. "
                "Give weights to begin with, or leave freeze out."
            )
        if self.learnt:
            self._check_learnt()
        else:
            check_mixture(self.mix_mode, self.alpha, self.mix_prob, self.mix_repeat)
        if self.batch_size % self.micro_batch:
            raise UsageError(
                f"batch_size {self.batch_size} isn't a multiple of micro_batch {self.micro_batch}; "
                "choose a micro_batch that divides it."
            )

    @property
    def method(self) -> str:
        """The method's name, several joined by `+`."""
        return "+".join(self.mix_mode)

    @property
    def learnt(self) -> bool:
        """Whether a mix block learns the mixing (AutoMix, SAMix)."""
        return any(name in LEARNT_METHODS for name in self.mix_mode)

    def generator(self, purpose: Purpose, *place: int) -> np.random.Generator:
        """The random numbers of one place of a run, such as an epoch and an image's position.

        Made from the seed and the place alone, so a draw doesn't depend on what was drawn before
        it, by which process or worker, or in which session: an interrupted run goes on with the
        draws that it would have made. place: not negative; different places give independent
        streams (numpy's SeedSequence).
        """
        return np.random.default_rng([self.seed, 1 + get_args(Purpose).index(purpose), *place])

    def accumulation(self, processes: int) -> int:
        """Micro batches of each process in a step. Raises UsageError unless they come out even."""
        micro = self.batch_size // self.micro_batch
        if micro % processes:
            fitting = ", ".join(str(n) for n in range(1, micro + 1) if micro % n == 0)
            raise UsageError(
                f"batch_size {self.batch_size} is {micro} micro batches of {self.micro_batch}, "
                f"which {processes} processes can't share evenly; start as many as fit "
                f"({fitting}), or set micro_batch to a smaller divisor."
            )
        return micro // processes

    def to_dict(self) -> dict[str, Any]:
        """Every field that decides something in this run, in plain Python types."""
        values = asdict(self)
        for name in ("mix_prob", "mix_repeat", "variant") if self.learnt else ("automix",):
            del values[name]
        return values

    def stated(self) -> dict[str, Any]:
        """`to_dict` without `LATER` settings that change nothing: older recipes have none of them."""
        values, plain = self.to_dict(), {one.name: one.default for one in fields(Recipe)}
        return {k: v for k, v in values.items() if k not in LATER or v != plain[k]}

    def text(self) -> str:
        """One `name = value` a line, in Python's notation, for logs and checkpoints."""
        return "".join(f"{name} = {value!r}\n" for name, value in self.stated().items())

    def _check_learnt(self) -> None:
        if len(self.mix_mode) > 1 or self.mix_repeat > 1 or self.mix_prob:
            raise UsageError(
                f"{', '.join(set(LEARNT_METHODS) & set(self.mix_mode))} learns its mask in a "
                f"pipeline of its own and can't be part of a mixture, got mix_mode {self.method}; "
                "train it alone."
            )
        if len(self.alpha) != 1:
            raise UsageError(f"expected one alpha for {self.method}, got {len(self.alpha)}")
        check_alpha(self.alpha[0])


def overridden(recipe: Recipe, settings: Sequence[str]) -> Recipe:
    """The recipe with other values.

    settings: each `key=value`; a key is a field of `Recipe`, or of `Automix` with `automix.` before
    it. Values are written as in Python or bare (`precision=bf16`), lists with or without brackets
    (`alpha=0.8,1`); `none` is no value. Raises UsageError for a key that doesn't exist, stands
    twice, or that the recipe makes no use of; for a value of another type or out of range; and for
    values that don't fit together.
    """
    given: dict[str, Any] = {}
    for setting in settings:
        key, equals, text = (part.strip() for part in setting.partition("="))
        if not equals:
            raise UsageError(
                f"--set {setting}: expected key=value, such as epochs=300. Write it so."
            )
        if key not in field_types():
            raise UsageError(_unknown(key))
        if key in given:
            raise UsageError(
                f"--set {setting}: {key} is set twice; expected it once. Leave one out."
            )
        kind = field_types()[key]
        given[key] = checked(key, _parsed(text, kind), kind, strict=False)
    inner = {k.removeprefix("automix."): v for k, v in given.items() if k.startswith("automix.")}
    own = {key: value for key, value in given.items() if "." not in key}
    changed = replace(recipe, **own, automix=replace(recipe.automix, **inner))
    for key in given.keys() - flat(changed.to_dict()).keys():
        raise UsageError(
            f"--set {key}: has no effect on {changed.method}, which makes no use of it; leave it "
            "out."
        )
    return changed


def differences(recipe: Recipe, other: Recipe) -> tuple[str, ...]:
    """The settings that turn `recipe` into `other`, so `overridden(recipe, ...)` equals it.

    What `other` makes no use of is left out.
    """
    return settings_between(asdict(recipe), other.to_dict())


def settings_between(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[str, ...]:
    """The settings for values (as of `Recipe.to_dict`) that are others, or new, in `after`."""
    old, new = flat(before), flat(after)
    return tuple(f"{key}={spelled(v)}" for key, v in new.items() if v != old.get(key, ...))


@cache
def field_types() -> dict[str, Any]:
    """Every key that can be set and its type, in the recipe's order."""
    types: dict[str, Any] = {}
    for name, kind in get_type_hints(Recipe, include_extras=True).items():
        inner = get_type_hints(kind, include_extras=True) if is_dataclass(kind) else {}
        types |= {f"{name}.{key}": of for key, of in inner.items()} or {name: kind}
    return types


def flat(values: Mapping[str, Any]) -> dict[str, Any]:
    """`{"automix": {"momentum": 0.999}}` as `{"automix.momentum": 0.999}`; lists become tuples."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            found |= {f"{name}.{key}": inner for key, inner in value.items()}
        else:
            found[name] = tuple(value) if isinstance(value, list) else value
    return found


def _check_fields(part: Recipe | Automix, prefix: str = "") -> None:
    for key in field_types():
        if key.startswith(prefix) and hasattr(part, name := key.removeprefix(prefix)):
            checked(key, getattr(part, name), field_types()[key])


def _parsed(text: str, kind: Any) -> Any:
    """A value in Python's notation, or text; what stands for a list is one."""
    if text.lower() == "none":
        return None
    if first_of(kind) is str:
        return text
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        value = text
    if get_origin(first_of(kind)) is not tuple or isinstance(value, tuple | list):
        return value
    return [part.strip() for part in value.split(",")] if isinstance(value, str) else [value]


def _unknown(key: str) -> str:
    """OpenMixup's keys have sections before them (`runner.max_epochs`), which may be in the way."""
    known, last = list(field_types()), key.rpartition(".")[2]
    nested = [name for name in known if name.rpartition(".")[2] == last]
    near = nested or [
        name for text in (key, last) for name in difflib.get_close_matches(text, known, n=1)
    ]
    hint = f"Did you mean {near[0]!r}?" if near else f"There are: {', '.join(known)}."
    return f"--set {key}: no such setting. {hint}"
