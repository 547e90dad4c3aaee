"""What a recipe of mixzoo's own trainer says of its run: `name = value` lines in a checkpoint's notes."""

from typing import Any, TypeGuard

from .config import TrainingConfig


def is_recipe(config: TrainingConfig) -> bool:
    """Whether a config text is a recipe of mixzoo's (`train.recipe.Recipe.text`), not OpenMixup's."""
    method = config.get("mix_mode") or config.get("method")
    return bool(method and config.get("architecture")) and config.get("model") is None


def recipe_facts(config: TrainingConfig) -> dict[str, Any]:
    """Fields of `TrainingFacts` by name; None for a value of another type than a recipe writes.

    A recipe says neither how a step was shared among processes nor where the images came from, and
    leaves the validation's pixels to the benchmark. The first recipes had one `method` and one
    alpha where they now have lists.
    """
    modes = _texts(config.get("mix_mode") or config.get("method"))
    lr, decay, momentum, floor = (
        _number(config.get(name)) for name in ("lr", "weight_decay", "momentum", "min_lr")
    )
    precision, crop = config.get("precision"), _whole(config.get("crop"))
    return {
        "method": " + ".join(modes) or None,
        "alpha": _alpha(config.get("alpha"), modes),
        "architecture": next(iter(_texts(config.get("architecture"))), None),
        "num_classes": _whole(config.get("num_classes")),
        "epochs": _whole(config.get("epochs")),
        "optimizer": _call("SGD", lr=lr, momentum=momentum, weight_decay=decay),
        "learning_rate": lr,
        "weight_decay": decay,
        "schedule": _call("CosineAnnealing", min_lr=floor or 0.0),
        "batch_size": _whole(config.get("batch_size")),
        "micro_batch": _whole(config.get("micro_batch")),
        "half_precision": precision in ("fp16", "bf16"),
        "half_type": "bf16" if precision == "bf16" else "fp16",
        "train_pipeline": f"RandomResizedCrop(size={crop}, interpolation=bicubic); "
        "RandomHorizontalFlip()",
    }


def _alpha(value: Any, modes: list[str]) -> float | tuple[float, ...] | None:
    """One alpha or one for each method; vanilla draws none, whatever stands in its place."""
    values = value if isinstance(value, list | tuple) else [value]
    if modes == ["vanilla"] or not values or not all(map(_is_number, values)):
        return None
    return float(values[0]) if len(values) == 1 else tuple(map(float, values))


def _call(name: str, **arguments: float | None) -> str:
    given = (f"{key}={value:g}" for key, value in arguments.items() if value is not None)
    return f"{name}({', '.join(given)})"


def _texts(value: Any) -> list[str]:
    values = value if isinstance(value, list | tuple) else [value]
    return [text[:200] for text in values if isinstance(text, str)]


def _is_number(value: Any) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _number(value: Any) -> float | None:
    return float(value) if _is_number(value) else None


def _whole(value: Any) -> int | None:
    return value if _is_number(value) and isinstance(value, int) else None
