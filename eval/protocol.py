"""Evaluation pixels as the reference defines them: sizes, offsets, normalisation.

The released configs evaluate with torchvision's PIL path: convert to RGB, Resize(shorter side),
CenterCrop, ToTensor, Normalize. Decoding is in `pixels`, the resize in `resample`. Golden data:
tests/golden/eval_pipeline.json.
"""

from typing import TYPE_CHECKING, Any

import msgspec

from ..zoo.errors import UsageError
from ..zoo.manifest import Protocol
from ..zoo.report import Pixels

if TYPE_CHECKING:
    import torch

INTERPOLATIONS = ("bicubic", "bilinear", "nearest")
CHANNELS = ("RGB", "BGR")
PIXELS = ("resize", "crop", "interpolation", "mean", "std", "channels")
"""What decides about a network's input, given an image's bytes."""


def pixels(protocol: Protocol | Pixels) -> dict[str, Any]:
    """The values that pixels depend on, as plain data for JSON; `channels` where they aren't RGB."""
    values = {name: getattr(protocol, name) for name in PIXELS}
    plain = {n: list(v) if isinstance(v, tuple) else v for n, v in values.items()}
    return {n: v for n, v in plain.items() if v != CHANNELS[0]}


def changes(protocol: Protocol, published: Protocol) -> dict[str, str]:
    """Name -> `147 instead of 146`, for each value that isn't the published one."""
    ours, theirs = (msgspec.to_builtins(one) for one in (protocol, published))
    return {n: f"{ours[n]} instead of {theirs[n]}" for n in PIXELS if ours[n] != theirs[n]}


def flags(protocol: Protocol, published: Protocol) -> list[str]:
    """The options of `mixzoo eval` that ask for these pixels in place of the published ones."""
    ours = msgspec.to_builtins(protocol)
    return [
        word
        for name in changes(protocol, published)
        for word in (f"--{name}", _in_option(ours[name]))
    ]


def _in_option(value: Any) -> str:
    return ",".join(f"{v:g}" for v in value) if isinstance(value, tuple) else str(value)


def override(protocol: Protocol, **given: Any) -> Protocol:
    """The protocol with some of its values replaced, by their names; None keeps a value.

    Raises UsageError if the crop would be larger than the resized image, the interpolation isn't
    one of INTERPOLATIONS, or a value can't be one.
    """
    facts = msgspec.to_builtins(protocol) | {k: v for k, v in given.items() if v is not None}
    if facts["interpolation"] not in INTERPOLATIONS:
        raise UsageError(
            f"--interpolation: expected one of {', '.join(INTERPOLATIONS)}, got "
            f"{facts['interpolation']!r}. Choose one of them."
        )
    if not 0 < facts["crop"] <= facts["resize"]:
        raise UsageError(
            f"--crop: expected 1 to {facts['resize']} (the resized shorter side), got "
            f"{facts['crop']}. Choose such a number."
        )
    try:
        return msgspec.convert(facts, Protocol)
    except msgspec.ValidationError as error:
        what, _, at = str(error).replace("`", "").partition(" - at $.")
        name, what = (
            at.partition("[")[0],
            what.replace("float", "numbers").replace("int", "a number"),
        )
        raise UsageError(
            f"--{name}: {what[:1].lower()}{what[1:]}, got {_in_option(facts.get(name))}. Correct it."
        ) from None


def placement(
    width: int, height: int, protocol: Protocol
) -> tuple[tuple[int, int], tuple[int, int]]:
    """Size of the resized image (width, height), and corner of the crop in it (left, top).

    Rounds as torchvision does: the longer side is truncated, the offset rounded half to even.
    """
    short, long = protocol.resize, int(protocol.resize * max(width, height) / min(width, height))
    size = (short, long) if width <= height else (long, short)
    return size, (round((size[0] - protocol.crop) / 2), round((size[1] - protocol.crop) / 2))


def normalise(crops: "torch.Tensor", protocol: Protocol) -> "torch.Tensor":
    """Scale uint8 crops to [0, 1] and normalise by the protocol's mean and standard deviation.

    crops: (N, H, W, 3) uint8, RGB. Returns (N, 3, H, W) float32 on the same device, in the
    protocol's order of channels.
    """
    if protocol.channels == "BGR":
        crops = crops.flip(3)
    x = crops.permute(0, 3, 1, 2).float().contiguous().div_(255)
    mean, std = (
        # made on the CPU, or the CPU would wait here for all that a GPU has to do
        x.new_tensor(values, device="cpu").view(3, 1, 1).to(x.device, non_blocking=True)
        for values in (protocol.mean, protocol.std)
    )
    return x.sub_(mean).div_(std)
