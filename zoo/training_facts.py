"""What a checkpoint says of its own training: the facts that its notes and its config text hold."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from .errors import UsageError
from .training_config import TrainingConfig, parse

# Pillow's numbers, which torchvision's transforms took before they had names.
RESAMPLING = {0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic", 4: "box", 5: "hamming"}
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
    half_precision: bool | None = None
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

    def in_words(self) -> dict[str, str]:
        """Facts by name, as text for people; what the checkpoint doesn't say is left out."""
        return {name: _printable(text) for name, text in _in_words(self) if text}


def training_facts(meta: Mapping[str, Any]) -> TrainingFacts:
    """Read the notes of a checkpoint (`Checkpoint.meta`): epoch, versions, and the config text.

    Nothing of it is run. A note of another type than OpenMixup writes counts as not there.
    """
    text = meta.get("config")
    config = parse(text) if isinstance(text, str) else TrainingConfig()
    model = _table(config.get("model"))
    optimizer = _table(config.get("optimizer"))
    gpus = config.get("gpu_ids")
    return TrainingFacts(
        method=_method(model),
        alpha=_alpha(model.get("alpha")),
        architecture=_architecture(_table(model.get("backbone"))),
        num_classes=_num_classes(model),
        epoch=_whole(meta.get("epoch")),
        iteration=_whole(meta.get("iter")),
        epochs=_whole(config.get("runner", "max_epochs")) or _whole(config.get("total_epochs")),
        optimizer=_call(optimizer),
        learning_rate=_number(optimizer.get("lr")),
        weight_decay=_number(optimizer.get("weight_decay")),
        schedule=_call(_table(config.get("lr_config")), "policy"),
        images_per_gpu=_whole(config.get("data", "imgs_per_gpu"))
        or _whole(config.get("data", "samples_per_gpu")),
        gpus=len(gpus) if isinstance(gpus, list | tuple) else None,
        accumulation=_whole(config.get("optimizer_config", "update_interval")) or 1,
        half_precision=_flag(config.get("use_fp16")),
        started_from=_started_from(config),
        train_pipeline=_pipeline(config, "train"),
        eval_pixels=_eval_pixels(config),
        train_images=_images(config, "train"),
        val_images=_images(config, "val"),
        seed=_whole(meta.get("seed")),
        written=_text(meta.get("time")),
        software=_software(meta),
        left_out=config.left_out,
    )


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
    from .architectures import ResNetConfig

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
    named = {name: _text(meta.get(f"{name}_version")) for name in ("openmixup", "mmcv")}
    lines = str(meta.get("env_info", "")).splitlines()
    torch = next((line for line in lines if line.startswith("PyTorch: ")), "")
    named["torch"] = torch.partition(": ")[2] or None
    return ", ".join(f"{name} {version}" for name, version in named.items() if version) or None


def _in_words(facts: TrainingFacts) -> Iterator[tuple[str, str | None]]:
    pixels, alpha = facts.eval_pixels, facts.alpha
    yield "method", facts.method
    yield "alpha", None if alpha is None else _plain(alpha)
    yield "architecture", facts.architecture
    yield "classes", None if facts.num_classes is None else str(facts.num_classes)
    of = f" of {facts.epochs}" if facts.epochs else ""
    yield "epoch", f"{facts.epoch}{of}" if facts.epoch is not None else None
    yield "epochs planned", str(facts.epochs) if facts.epochs and facts.epoch is None else None
    yield "iterations", None if facts.iteration is None else str(facts.iteration)
    yield "optimizer", facts.optimizer
    yield "schedule", facts.schedule
    yield "batch", _batch(facts)
    if facts.half_precision is not None:
        yield "precision", "mixed with fp16" if facts.half_precision else "fp32"
    yield "started from", facts.started_from
    yield "training images", facts.train_images
    yield "training pipeline", facts.train_pipeline
    yield "validation images", facts.val_images
    yield "evaluation resize", None if pixels.resize is None else _plain(pixels.resize)
    yield "evaluation interpolation", pixels.interpolation
    yield "evaluation crop", None if pixels.crop is None else _plain(pixels.crop)
    yield "evaluation mean", None if pixels.mean is None else _plain(pixels.mean)
    yield "evaluation std", None if pixels.std is None else _plain(pixels.std)
    yield "seed", None if facts.seed is None else str(facts.seed)
    yield "written", facts.written
    yield "software", facts.software
    yield "not understood", "; ".join(facts.left_out)


def _batch(facts: TrainingFacts) -> str | None:
    if facts.images_per_gpu is None:
        return None
    more = f", gradients of {facts.accumulation} batches summed" if facts.accumulation > 1 else ""
    gpus = f"; the config lists {facts.gpus} of them" if facts.gpus else ""
    return f"{facts.images_per_gpu} images per GPU{gpus}{more}"


def _call(step: Mapping[str, Any], naming: str = "type") -> str | None:
    """`dict(type='Resize', size=256)` as `Resize(size=256)`."""
    name = _text(step.get(naming))
    rest = ", ".join(f"{key}={_plain(value)}" for key, value in step.items() if key != naming)
    return name and f"{name}({rest})"


def _plain(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, list | tuple):
        return " x ".join(map(_plain, value)) if len(value) == 2 else ", ".join(map(_plain, value))
    return str(value)[:200]


def _table(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _text(value: Any) -> str | None:
    """One line of printable text."""
    if not isinstance(value, str):
        return None
    return _printable(value[:200]).strip() or None


def _printable(text: str) -> str:
    """Without what could steer a terminal."""
    return "".join(c if c.isprintable() else " " for c in text)


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
