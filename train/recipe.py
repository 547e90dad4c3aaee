"""What decides a training run, apart from the images."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, get_args

from ..zoo.errors import UsageError
from ..zoo.nets import ResNetConfig
from ..zoo.nets.classifiers import LAM_MARGIN
from .limits import require_in_range
from .mixing import LEARNT_METHODS, Mixture, Variant
from .mixing.draws import check_alpha

Precision = Literal["fp32", "bf16", "fp16"]
MaskLossSchedule = Literal["compounding", "cosine"]


@dataclass(frozen=True)
class Automix:
    """What AutoMix and SAMix need beside the common recipe; the values of the released configs."""

    mask_loss: float = 0.1
    """Weight of the mask loss when training starts; 0 leaves it out."""

    mask_loss_schedule: MaskLossSchedule = "compounding"
    """How the weight falls: see `schedules.mask_loss_weights`."""

    mask_adjust: float = 0.0
    """Probability of rescaling the masks of the backbone's images to their mean."""

    lam_margin: float = LAM_MARGIN
    """Where lam or 1 - lam is at most this, the backbone's images are mixed as by MixUp."""

    momentum: float = 0.999
    """k becomes momentum * k + (1 - momentum) * q after each step; of the first tenth of the run."""

    momentum_end: float = 0.99999
    """What the momentum rises to: see `schedules.ema_momentum`."""

    min_lr: float = 1e-4
    """The mix block's learning rate falls to this, the networks' to the recipe's `min_lr`."""

    clean_statistics: bool = True
    """Whether clean images also pass k's last stage, whose outputs nothing uses. They move its batch
    norm's statistics, and so k's validation, as in OpenMixup; without, a step is a few percent
    faster."""

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            require_in_range(f"automix.{name}", value)


@dataclass(frozen=True)
class Recipe:
    """One run: the network, the mixing, and the PyTorch recipe of the released configs.

    SGD with momentum, cosine by epoch, RandomResizedCrop (bicubic) to `crop` pixels and flip.
    Raises `UsageError` for values that don't fit together.
    """

    architecture: str
    num_classes: int
    mix_mode: tuple[str, ...]
    """Methods that each step chooses from: see `mixing.Mixture`. AutoMix and SAMix stand alone."""

    alpha: tuple[float, ...]
    """Of Beta(alpha, alpha), one for each method; vanilla doesn't draw any."""

    mix_prob: tuple[float, ...] | None = None
    mix_repeat: int = 1
    variant: Variant = "openmixup"
    epochs: int = 100
    batch_size: int = 256
    """Images per optimizer step, over all processes."""

    micro_batch: int = 64
    """Images that are mixed and batch-normalised together. The released runs had 4 processes of 64;
    with fewer processes gradients are accumulated."""

    crop: int = 224
    lr: float = 0.1
    min_lr: float = 0.0
    momentum: float = 0.9
    weight_decay: float = 1e-4
    precision: Precision = "fp32"
    seed: int = 0
    log_every: int = 50
    """Steps per train line of the log."""

    automix: Automix = field(default_factory=Automix)

    def __post_init__(self) -> None:
        ResNetConfig.from_name(self.architecture)
        if self.learnt:
            self._check_learnt()
        else:
            self.mixture()
        for name, value in asdict(self).items():
            require_in_range(name, value)
        if self.batch_size % self.micro_batch:
            raise UsageError(
                f"batch_size {self.batch_size} isn't a multiple of micro_batch {self.micro_batch}; "
                "choose a micro_batch that divides it"
            )
        if self.precision not in get_args(Precision):
            raise UsageError(
                f"expected precision of {', '.join(get_args(Precision))}, got {self.precision!r}"
            )

    @property
    def method(self) -> str:
        """The method's name, several joined by `+`."""
        return "+".join(self.mix_mode)

    @property
    def learnt(self) -> bool:
        """Whether a mix block learns the mixing (AutoMix, SAMix)."""
        return any(name in LEARNT_METHODS for name in self.mix_mode)

    def mixture(self) -> Mixture:
        """The mixing of a recipe that isn't learnt."""
        return Mixture(self.mix_mode, self.alpha, self.mix_prob, self.mix_repeat, self.variant)

    def to_dict(self) -> dict[str, Any]:
        """Every field that decides something in this run, in plain Python types."""
        values = asdict(self)
        if self.learnt:
            for name in ("mix_prob", "mix_repeat", "variant"):
                del values[name]
        else:
            del values["automix"]
        return values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Recipe":
        """The recipe that `to_dict` wrote. Raises `UsageError` for a field that there isn't."""
        parts = dict(values)
        lists = {name: tuple(parts[name]) for name in _LISTS if parts.get(name) is not None}
        parts.update(lists)
        try:
            if "automix" in parts:
                parts["automix"] = Automix(**parts["automix"])
            return cls(**parts)
        except TypeError as error:
            raise UsageError(f"This isn't a recipe of this version of mixzoo: {error}.") from None

    def text(self) -> str:
        """One `name = value` a line, in Python's notation, for logs and checkpoints."""
        return "".join(f"{name} = {value!r}\n" for name, value in self.to_dict().items())

    def _check_learnt(self) -> None:
        if len(self.mix_mode) > 1 or self.mix_repeat > 1 or self.mix_prob:
            raise UsageError(
                f"{', '.join(set(LEARNT_METHODS) & set(self.mix_mode))} learns its mask in a pipeline "
                f"of its own and can't be part of a mixture, got mix_mode {self.method}; "
                "train it alone"
            )
        if len(self.alpha) != 1:
            raise UsageError(f"expected one alpha for {self.method}, got {len(self.alpha)}")
        check_alpha(self.alpha[0])


_LISTS = ("mix_mode", "alpha", "mix_prob")
