"""What a checkpoint says of its own training, read from its notes and config text, and in words."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ..errors import UsageError
from ..manifest import Settings
from .config import TrainingConfig, in_text, parse, pick

# Pillow's numbers, which torchvision's transforms took before they had names.
RESAMPLING = {0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic", 4: "box", 5: "hamming"}
VERSIONS = ("mixzoo", "openmixup", "mmcv")  # of software that notes its own
TORCHVISION_DEFAULT = "bilinear"  # of transforms.Resize, where a config names none

# Names in a recipe of mixzoo's own that facts are made of; its other values are told as they are.
USED = {
    "method",
    "mix_mode",
    "alpha",
    "architecture",
    "num_classes",
    "epochs",
    "precision",
    "seed",
    "init",
}
OF_NETWORK = {"method", "architecture", "num_classes"}
CHANGED = "changed from the row's recipe"
SOURCE = "exported from"
OWN = {"seed", "epoch", "epoch as written", "written", "software", "log every", SOURCE}
MOST = 2000  # characters of one fact; a long pipeline has a few hundred

Alpha = float | tuple[float, ...]
Side = int | tuple[int, ...]


@dataclass(frozen=True)
class TrainingFacts:
    """Facts of one training run as its checkpoint tells them; None where it doesn't."""

    method: str | None = None
    alpha: Alpha | None = None
    """Of Beta(alpha, alpha), one for each of several methods; None for vanilla: it draws none."""
    architecture: str | None = None
    num_classes: int | None = None
    epoch: int | None = None
    """The epoch after which the checkpoint was written, counted from 1."""
    epochs: int | None = None
    """How many epochs the run was planned for."""
    iteration: int | None = None
    learning_rate: float | None = None
    weight_decay: float | None = None
    precision: str | None = None
    """`fp32`, or the 16-bit type that was mixed with it."""
    started_from: str | None = None
    eval_pixels: Mapping[str, Any] = field(default_factory=dict)
    """The evaluation pipeline of the config, by the names of a manifest's protocol; `resize` is the
    shorter side, or (height, width) where the config names both."""
    recipe: Mapping[str, Any] = field(default_factory=dict)
    """The settings it was trained with, by the names of `mixzoo train --set`, as far as they are
    told; those that the network itself tells are left out. A manifest's row keeps them."""
    others: Mapping[str, Any] = field(default_factory=dict)
    """What nothing is compared with, by name, as it stands there."""
    left_out: tuple[str, ...] = ()
    """What of the config text was not understood."""


def training_facts(meta: Mapping[str, Any]) -> TrainingFacts:
    """Read the notes of a checkpoint (`Checkpoint.meta`): epoch, versions, and the config text.

    The config is OpenMixup's or a recipe of mixzoo's trainer; nothing of it is run. A note of
    another type than is written there counts as not there.
    """
    text = meta.get("config")
    config = parse(text) if isinstance(text, str) else TrainingConfig()
    is_recipe = config.get("architecture") and config.get("model") is None
    facts = _of_mixzoo(config) if is_recipe else _of_openmixup(config)
    notes = {
        "epoch as written": pick(meta, "epoch_written", kind=str),
        "seed": seed
        if (seed := pick(meta, "seed", kind=int)) is not None
        else facts.recipe.get("seed"),
        CHANGED: pick(meta, "changed", kind=str),
        "written": pick(meta, "time", kind=str),
        SOURCE: pick(meta, "source_sha256", kind=str),
        "software": _software(meta),
    }
    return replace(
        facts,
        epoch=pick(meta, "epoch", kind=int),
        iteration=pick(meta, "iter", kind=int),
        others={**facts.others, **notes},
        left_out=config.left_out,
    )


def recipe_text(architecture: str, recipe: Mapping[str, Any]) -> str:
    """A recipe as a config text that `training_facts` reads, for files without their run's own."""
    values = {"architecture": architecture, **recipe}
    return "".join(f"{name} = {value!r}\n" for name, value in values.items())


def in_words(facts: TrainingFacts) -> dict[str, str]:
    """Facts by name, as text for people; what the checkpoint doesn't say is left out."""
    epoch, mixed = facts.epoch, facts.precision not in (None, "fp32")
    words = {
        "method": facts.method,
        "alpha": facts.alpha,
        "architecture": facts.architecture,
        "classes": facts.num_classes,
        "epoch": f"{epoch} of {facts.epochs}" if epoch is not None and facts.epochs else epoch,
        "epochs planned": facts.epochs if epoch is None else None,
        "iterations": facts.iteration,
        "precision": f"mixed with {facts.precision}" if mixed else facts.precision,
        "started from": facts.started_from,
        **{f"evaluation {name}": value for name, value in facts.eval_pixels.items()},
        **facts.others,
        "not understood": "; ".join(facts.left_out) or None,
    }
    return {name: in_text(value)[:MOST] for name, value in words.items() if value is not None}


def recipe_of_words(words: Mapping[str, str]) -> dict[str, str]:
    """What of `in_words` runs of one recipe share, whatever their seeds."""
    return {name: text for name, text in words.items() if name not in OWN}


def is_own_run(words: Mapping[str, str]) -> bool:
    """Whether mixzoo's trainer wrote a checkpoint, from `in_words` of its facts."""
    return "seed" in words and words.get("software", "").startswith("mixzoo")


def _of_openmixup(config: TrainingConfig) -> TrainingFacts:
    method = _method(config)
    half = config.get("use_fp16", kind=bool)
    facts = TrainingFacts(
        method=method,
        alpha=_alpha(config.get("model", "alpha", kind=Alpha), method),
        architecture=_architecture(config),
        num_classes=config.get("model", "head", "num_classes", kind=int)
        or config.get("model", "head_one", "num_classes", kind=int),
        epochs=config.get("runner", "max_epochs", kind=int) or config.get("total_epochs", kind=int),
        learning_rate=config.get("optimizer", "lr", kind=float),
        weight_decay=config.get("optimizer", "weight_decay", kind=float),
        precision=None if half is None else "fp16" if half else "fp32",
        # going on after an interruption (`resume_from`) is no start from other weights
        started_from=config.get("load_from", kind=str)
        or config.get("model", "pretrained", kind=str),
        eval_pixels=_eval_pixels(config),
        others={
            "optimizer": config.get("optimizer"),
            "schedule": config.get("lr_config"),
            "images per GPU": config.get("data", "imgs_per_gpu")
            or config.get("data", "samples_per_gpu"),
            "GPUs": config.get("gpu_ids"),  # a launcher of several processes doesn't write them
            "batches per step": config.get("optimizer_config", "update_interval"),
            "training images": config.get("data", "train", "data_source"),
            "training pipeline": _steps(config, "train") or None,
            "validation images": config.get("data", "val", "data_source"),
        },
    )
    told = {
        "mix_mode": method and method.split(" + "),
        "alpha": [facts.alpha] if isinstance(facts.alpha, float) else facts.alpha,
        "mix_prob": config.get("model", "mix_prob"),
        "epochs": facts.epochs,
        "lr": facts.learning_rate,
        "momentum": config.get("optimizer", "momentum"),
        "weight_decay": facts.weight_decay,
        "precision": facts.precision,
    }
    return replace(facts, recipe=_settings(told))


def _of_mixzoo(config: TrainingConfig) -> TrainingFacts:
    """The facts of a recipe of mixzoo's own (`train.recipe.Recipe.text`).

    It leaves the validation's pixels to the benchmark. The first recipes had one `method` and one
    alpha where they now have lists.
    """
    modes = config.get("mix_mode") or config.get("method")
    method = _joined(modes)
    return TrainingFacts(
        method=method,
        alpha=_alpha(config.get("alpha", kind=Alpha), method),
        architecture=config.get("architecture", kind=str),
        num_classes=config.get("num_classes", kind=int),
        epochs=config.get("epochs", kind=int),
        learning_rate=config.get("lr", kind=float),
        weight_decay=config.get("weight_decay", kind=float),
        precision=config.get("precision", kind=str),
        started_from=config.get("init", kind=str),
        recipe=_settings({"mix_mode": modes, **config.values}),
        others={
            name.replace("_", " "): value
            for name, value in config.values.items()
            if name not in USED
        },
    )


def _settings(values: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the values that a manifest can keep, without what the network itself tells."""
    given = (pick({name: value}, kind=Settings) for name, value in values.items())
    found = {name: value for one in given if one for name, value in one.items()}
    return {k: v for k, v in found.items() if k not in OF_NETWORK and v not in ([], {})}


def _method(config: TrainingConfig) -> str | None:
    """OpenMixup's names: a plain classifier is vanilla; AutoMix and SAMix share a type."""
    match config.get("model", "type"):
        case "MixUpClassification":
            return _joined(config.get("model", "mix_mode"))
        case "Classification":
            return "vanilla"
        case "AutoMixup":
            # SAMix scales features by lam, AutoMix gives lam to its convolutions as a channel.
            names = {"lam_mul": "samix", "lam_concat": "automix"}
            found = (names[key] for key in names if config.get("model", "mix_block", key))
            return next(found, None)
    return None


def _joined(modes: Any) -> str | None:
    """One method's name, or those of several that take turns."""
    modes = [modes] if isinstance(modes, str) else pick(modes, kind=list[str]) or []
    return " + ".join(in_text(mode) for mode in modes) or None


def _alpha(alpha: Alpha | None, method: str | None) -> Alpha | None:
    """A list of one is that one; vanilla draws none, whatever stands in its place."""
    if method == "vanilla" or alpha == ():
        return None
    return alpha[0] if isinstance(alpha, tuple) and len(alpha) == 1 else alpha


def _architecture(config: TrainingConfig) -> str | None:
    """The name that mixzoo gives to the backbone, if it is a ResNet or ResNeXt."""
    from ..nets import ResNetConfig

    kind = config.get("model", "backbone", "type", kind=str) or ""
    if not kind.startswith(("ResNet", "ResNeXt")):
        return None
    depth, groups, width, base = (
        config.get("model", "backbone", name, kind=int)
        for name in ("depth", "groups", "width_per_group", "base_channels")
    )
    groups = groups or (32 if kind.startswith("ResNeXt") else 1)
    try:
        return ResNetConfig(
            depth=depth or 0,
            groups=groups,
            width_per_group=width or 4 if groups > 1 else 64,
            base_width=base or 64,
            stem="cifar" if kind.endswith("CIFAR") else "imagenet",
        ).name
    except UsageError:
        return None


def _steps(config: TrainingConfig, split: str) -> list[Any]:
    """The split's pipeline: the one in `data` is what the run used, the top-level one a default."""
    default = "train_pipeline" if split == "train" else "test_pipeline"
    used = config.get("data", split, "pipeline", kind=list)
    return config.get(default, kind=list) or [] if used is None else used


def _eval_pixels(config: TrainingConfig) -> dict[str, Any]:
    steps = {pick(step, "type", kind=str): step for step in _steps(config, "val")}
    resize = steps.get("Resize")
    # With `prefetch` the loader normalises, by the config's own mean and std.
    prefetched = config.get("img_norm_cfg") if config.get("data", "val", "prefetch") else None
    scale = steps.get("Normalize") or prefetched
    named = pick(resize, "interpolation", kind=int | str)
    if isinstance(named, int):
        named = RESAMPLING.get(named, f"number {named}")
    return {
        "resize": pick(resize, "size", kind=Side),
        "interpolation": named or (TORCHVISION_DEFAULT if resize else None),
        "crop": pick(steps.get("CenterCrop"), "size", kind=Side),
        "mean": pick(scale, "mean", kind=tuple[float, ...]),
        "std": pick(scale, "std", kind=tuple[float, ...]),
    }


def _software(meta: Mapping[str, Any]) -> str | None:
    """Versions: those of the reference, and PyTorch's from the description of the machine."""
    named = {name: pick(meta, f"{name}_version", kind=str) for name in VERSIONS}
    lines = str(meta.get("env_info", "")).splitlines()
    torch = next((line for line in lines if line.startswith("PyTorch: ")), "")
    named["torch"] = torch.partition(": ")[2]
    return ", ".join(f"{name} {version}" for name, version in named.items() if version) or None
