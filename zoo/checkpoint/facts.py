"""What a checkpoint says of its own training: the facts that its notes and its config text hold."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..errors import UsageError
from .config import TrainingConfig, parse
from .text import plain, printable
from .told_recipe import is_recipe, recipe_facts

# Pillow's numbers, which torchvision's transforms took before they had names.
RESAMPLING = {0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic", 4: "box", 5: "hamming"}
VERSIONS = ("mixzoo", "openmixup", "mmcv")  # of software that notes its own
TORCHVISION_DEFAULT = "bilinear"  # of transforms.Resize, where a config names none


@dataclass(frozen=True)
class EvalPixels:
    """The evaluation pipeline that a config describes; None where it doesn't say.

    resize: the shorter side, or (height, width) where the config names both.
    """

    resize: int | tuple[int, ...] | None = None
    crop: int | tuple[int, ...] | None = None
    interpolation: str | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None


@dataclass(frozen=True)
class TrainingFacts:
    """Facts of one training run as its checkpoint tells them; None where it doesn't."""

    method: str | None = None
    alpha: float | tuple[float, ...] | None = None
    architecture: str | None = None
    num_classes: int | None = None
    epoch: int | None = None
    """The epoch after which the checkpoint was written, counted from 1."""
    iteration: int | None = None
    epochs: int | None = None
    """How many epochs the run was planned for."""
    optimizer: str | None = None
    learning_rate: float | None = None
    weight_decay: float | None = None
    schedule: str | None = None
    images_per_gpu: int | None = None
    gpus: int | None = None
    """As the config lists them; a launcher of several processes doesn't write this."""
    accumulation: int = 1
    """Batches whose gradients make one step."""
    batch_size: int | None = None
    """Images of a step, all processes together."""
    micro_batch: int | None = None
    """Those of them that are mixed and normalised together."""
    half_precision: bool | None = None
    half_type: str = "fp16"
    """The 16-bit type, where half precision is used."""
    started_from: str | None = None
    train_pipeline: str | None = None
    eval_pixels: EvalPixels = field(default_factory=EvalPixels)
    train_images: str | None = None
    val_images: str | None = None
    seed: int | None = None
    written: str | None = None
    software: str | None = None
    left_out: tuple[str, ...] = ()
    """What of the config text was not understood."""


def training_facts(meta: Mapping[str, Any]) -> TrainingFacts:
    """Read the notes of a checkpoint (`Checkpoint.meta`): epoch, versions, and the config text.

    The config is OpenMixup's or a recipe of mixzoo's trainer; nothing of it is run. A note of
    another type than is written there counts as not there.
    """
    text = meta.get("config")
    config = parse(text) if isinstance(text, str) else TrainingConfig()
    return TrainingFacts(
        epoch=_whole(meta.get("epoch")),
        iteration=_whole(meta.get("iter")),
        seed=_whole(meta.get("seed")),
        written=_text(meta.get("time")),
        software=_software(meta),
        left_out=config.left_out,
        **(recipe_facts(config) if is_recipe(config) else _openmixup_facts(config)),
    )


def _openmixup_facts(config: TrainingConfig) -> dict[str, Any]:
    model = _table(config.get("model"))
    optimizer = _table(config.get("optimizer"))
    gpus = config.get("gpu_ids")
    return {
        "method": _method(model),
        "alpha": _alpha(model.get("alpha")),
        "architecture": _architecture(_table(model.get("backbone"))),
        "num_classes": _num_classes(model),
        "epochs": _whole(config.get("runner", "max_epochs")) or _whole(config.get("total_epochs")),
        "optimizer": _call(optimizer),
        "learning_rate": _number(optimizer.get("lr")),
        "weight_decay": _number(optimizer.get("weight_decay")),
        "schedule": _call(_table(config.get("lr_config")), "policy"),
        "images_per_gpu": _whole(config.get("data", "imgs_per_gpu"))
        or _whole(config.get("data", "samples_per_gpu")),
        "gpus": len(gpus) if isinstance(gpus, list | tuple) else None,
        "accumulation": _whole(config.get("optimizer_config", "update_interval")) or 1,
        "half_precision": _flag(config.get("use_fp16")),
        "started_from": _started_from(config),
        "train_pipeline": _pipeline(config, "train"),
        "eval_pixels": _eval_pixels(config),
        "train_images": _images(config, "train"),
        "val_images": _images(config, "val"),
    }


def _method(model: Mapping[str, Any]) -> str | None:
    """OpenMixup's names: a plain classifier is vanilla; AutoMix and SAMix share a type."""
    kind = model.get("type")
    if kind == "MixUpClassification":
        modes = model.get("mix_mode")
        modes = modes if isinstance(modes, list | tuple) else [modes]
        return " + ".join(map(str, modes)) if modes and all(modes) else None
    if kind == "AutoMixup":
        block = _table(model.get("mix_block"))
        # SAMix scales features by lam, AutoMix gives lam to its convolutions as a channel.
        return "samix" if block.get("lam_mul") else "automix" if block.get("lam_concat") else None
    return "vanilla" if kind == "Classification" else None


def _alpha(value: Any) -> float | tuple[float, ...] | None:
    if isinstance(value, list | tuple):
        return tuple(map(float, value)) if all(map(_is_number, value)) and value else None
    return _number(value)


def _architecture(backbone: Mapping[str, Any]) -> str | None:
    """The name that mixzoo gives to the backbone, if it is a ResNet or ResNeXt."""
    from ..nets import ResNetConfig

    kind, depth = str(backbone.get("type")), _whole(backbone.get("depth"))
    if not kind.startswith(("ResNet", "ResNeXt")) or depth is None:
        return None
    groups = _whole(backbone.get("groups")) or (32 if kind.startswith("ResNeXt") else 1)
    try:
        return ResNetConfig(
            depth=depth,
            groups=groups,
            width_per_group=_whole(backbone.get("width_per_group")) or 4 if groups > 1 else 64,
            base_width=_whole(backbone.get("base_channels")) or 64,
            stem="cifar" if kind.endswith("CIFAR") else "imagenet",
        ).name
    except UsageError:
        return None


def _num_classes(model: Mapping[str, Any]) -> int | None:
    heads = (_table(model.get(name)) for name in ("head", "head_one"))
    return next((n for head in heads if (n := _whole(head.get("num_classes")))), None)


def _started_from(config: TrainingConfig) -> str | None:
    """Weights that training began with; going on after an interruption isn't one of them."""
    named = (config.get("load_from"), config.get("model", "pretrained"))
    return next((_text(value) for value in named if value), None)


def _steps(config: TrainingConfig, split: str) -> list[Mapping[str, Any]]:
    """The split's pipeline: the one in `data` is what the run used, the top-level one a default."""
    default = "train_pipeline" if split == "train" else "test_pipeline"
    steps = config.get("data", split, "pipeline")
    steps = steps if isinstance(steps, list) else config.get(default)
    return [_table(step) for step in steps] if isinstance(steps, list) else []


def _pipeline(config: TrainingConfig, split: str) -> str | None:
    return "; ".join(filter(None, (_call(step) for step in _steps(config, split)))) or None


def _eval_pixels(config: TrainingConfig) -> EvalPixels:
    steps = {str(step.get("type")): step for step in _steps(config, "val")}
    resize, crop = _table(steps.get("Resize")), _table(steps.get("CenterCrop"))
    # With `prefetch` the loader normalises, by the config's own mean and std.
    prefetched = config.get("img_norm_cfg") if config.get("data", "val", "prefetch") else None
    scale = _table(steps.get("Normalize")) or _table(prefetched)
    named = resize.get("interpolation", TORCHVISION_DEFAULT if resize else None)
    return EvalPixels(
        resize=_side(resize.get("size")),
        crop=_side(crop.get("size")),
        interpolation=RESAMPLING.get(named, f"number {named}")
        if type(named) is int
        else _text(named),
        mean=_channels(scale.get("mean")),
        std=_channels(scale.get("std")),
    )


def _images(config: TrainingConfig, split: str) -> str | None:
    source = _table(config.get("data", split, "data_source"))
    found = [_text(source.get(name)) for name in ("list_file", "root")]
    return " in ".join(filter(None, found)) or None


def _software(meta: Mapping[str, Any]) -> str | None:
    """Versions: those of the reference, and PyTorch's from the description of the machine."""
    named = {name: _text(meta.get(f"{name}_version")) for name in VERSIONS}
    lines = str(meta.get("env_info", "")).splitlines()
    torch = next((line for line in lines if line.startswith("PyTorch: ")), "")
    named["torch"] = torch.partition(": ")[2] or None
    return ", ".join(f"{name} {version}" for name, version in named.items() if version) or None


def _call(step: Mapping[str, Any], naming: str = "type") -> str | None:
    """`dict(type='Resize', size=256)` as `Resize(size=256)`."""
    name = _text(step.get(naming))
    rest = ", ".join(f"{key}={plain(value)}" for key, value in step.items() if key != naming)
    return name and f"{name}({rest})"


def _table(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _text(value: Any) -> str | None:
    """One line of printable text."""
    if not isinstance(value, str):
        return None
    return printable(value[:200]).strip() or None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _number(value: Any) -> float | None:
    return float(value) if _is_number(value) else None


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _flag(value: Any) -> bool | None:
    return value if isinstance(value, bool) else None


def _side(value: Any) -> int | tuple[int, ...] | None:
    if isinstance(value, list | tuple) and all(type(side) is int for side in value):
        return tuple(value)
    return _whole(value)


def _channels(value: Any) -> tuple[float, ...] | None:
    if isinstance(value, list | tuple) and all(map(_is_number, value)):
        return tuple(map(float, value))
    return None
