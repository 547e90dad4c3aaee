"""Evaluation pixels as the reference defines them: sizes, offsets, normalisation.

The released configs evaluate with torchvision's PIL path: convert to RGB, Resize(shorter side),
CenterCrop, ToTensor, Normalize. Decoding is in `pixels`, the resize in `resample`. Golden data:
tests/golden/eval_pipeline.json.
"""

from typing import TYPE_CHECKING, Any

from ..zoo.errors import UsageError
from ..zoo.manifest import Protocol
from ..zoo.report import Pixels

if TYPE_CHECKING:
    import torch

INTERPOLATIONS = ("bicubic", "bilinear", "nearest")
PIXELS = ("resize", "crop", "interpolation", "mean", "std")
"""What decides about a network's input, given an image's bytes."""


def pixels(protocol: Protocol | Pixels) -> dict[str, Any]:
    """The values that pixels depend on, as plain data for JSON."""
    values = {name: getattr(protocol, name) for name in PIXELS}
    return {n: list(v) if isinstance(v, tuple) else v for n, v in values.items()}


def changes(protocol: Protocol, published: Protocol) -> dict[str, str]:
    """Name -> `147 instead of 146`, for each value that isn't the published one."""
    ours, theirs = pixels(protocol), pixels(published)
    return {n: f"{ours[n]} instead of {theirs[n]}" for n in PIXELS if ours[n] != theirs[n]}


def override(
    protocol: Protocol, *, resize: int | None, crop: int | None, interpolation: str | None
) -> Protocol:
    """The protocol with some of its values replaced; None keeps a value.

    Raises UsageError if the crop would be larger than the resized image, or the interpolation
    isn't one of INTERPOLATIONS.
    """
    import msgspec

    given = {"resize": resize, "crop": crop, "interpolation": interpolation}
    changed = msgspec.structs.replace(protocol, **{k: v for k, v in given.items() if v is not None})
    if changed.interpolation not in INTERPOLATIONS:
        raise UsageError(
            f"--interpolation: expected one of {', '.join(INTERPOLATIONS)}, got {interpolation!r}."
        )
    if not 0 < changed.crop <= changed.resize:
        raise UsageError(
            f"--crop: expected 1 to {changed.resize} (the resized shorter side), got {changed.crop}."
        )
    return changed


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

    crops: (N, H, W, 3) uint8. Returns (N, 3, H, W) float32 on the same device.
    """
    x = crops.permute(0, 3, 1, 2).float().contiguous().div_(255)
    mean, std = (
        # made on the CPU, or the CPU would wait here for all that a GPU has to do
        x.new_tensor(values, device="cpu").view(3, 1, 1).to(x.device, non_blocking=True)
        for values in (protocol.mean, protocol.std)
    )
    return x.sub_(mean).div_(std)
