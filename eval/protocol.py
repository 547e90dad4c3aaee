"""Evaluation pixels, exactly as the reference makes them.

The released configs evaluate with torchvision's PIL path: convert to RGB, Resize(shorter side),
CenterCrop, ToTensor, Normalize. The arithmetic is written out here with Pillow and torch, so that
it depends on one decoder and one resampler only. Golden data: tests/golden/eval_pipeline.json.
"""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from ..zoo.errors import DataError, UsageError
from ..zoo.manifest import Protocol

if TYPE_CHECKING:
    import torch

RESAMPLING = {
    "bicubic": Image.Resampling.BICUBIC,
    "bilinear": Image.Resampling.BILINEAR,
    "nearest": Image.Resampling.NEAREST,
}


def override(
    protocol: Protocol, *, resize: int | None, crop: int | None, interpolation: str | None
) -> Protocol:
    """The protocol with some of its values replaced; None keeps a value.

    Raises UsageError if the crop would be larger than the resized image, or the interpolation
    isn't one of RESAMPLING.
    """
    import msgspec

    given = {"resize": resize, "crop": crop, "interpolation": interpolation}
    changed = msgspec.structs.replace(protocol, **{k: v for k, v in given.items() if v is not None})
    if changed.interpolation not in RESAMPLING:
        raise UsageError(
            f"--interpolation: expected one of {', '.join(RESAMPLING)}, got {interpolation!r}."
        )
    if not 0 < changed.crop <= changed.resize:
        raise UsageError(
            f"--crop: expected 1 to {changed.resize} (the resized shorter side), got {changed.crop}."
        )
    return changed


def load_crop(path: Path, protocol: Protocol) -> np.ndarray:
    """Decode, resize and centre-crop one image.

    Returns uint8 (crop, crop, 3), RGB. Raises DataError naming the file if it can't be decoded.
    """
    try:
        with Image.open(path) as image:
            return np.asarray(crop_image(image.convert("RGB"), protocol))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise DataError(
            f"{path}: expected an image, got {type(error).__name__}: {error}. "
            "Replace the file with the original one."
        ) from None


def crop_image(image: Image.Image, protocol: Protocol) -> Image.Image:
    """Resize the shorter side to `protocol.resize` and cut the centre `protocol.crop` square.

    Sizes and offsets round as torchvision does: the longer side is truncated, the offset rounded
    half to even.
    """
    width, height = image.size
    short, long = protocol.resize, int(protocol.resize * max(width, height) / min(width, height))
    size = (short, long) if width <= height else (long, short)
    if size != image.size:
        image = image.resize(size, RESAMPLING[protocol.interpolation])
    left = round((size[0] - protocol.crop) / 2)
    top = round((size[1] - protocol.crop) / 2)
    return image.crop((left, top, left + protocol.crop, top + protocol.crop))


def normalise(crops: "torch.Tensor", protocol: Protocol) -> "torch.Tensor":
    """Scale uint8 crops to [0, 1] and normalise by the protocol's mean and standard deviation.

    crops: (N, H, W, 3) uint8. Returns (N, 3, H, W) float32 on the same device.
    """
    x = crops.permute(0, 3, 1, 2).float().contiguous().div_(255)
    mean = x.new_tensor(protocol.mean).view(3, 1, 1)
    std = x.new_tensor(protocol.std).view(3, 1, 1)
    return x.sub_(mean).div_(std)
