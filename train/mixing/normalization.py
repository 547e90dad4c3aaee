"""The channel statistics that batches were normalised with, to get back to pixels in [0, 1]."""

import torch

from ...zoo.errors import UsageError

# (mean, std) by channel; below 64 pixels OpenMixup assumes CIFAR images (its puzzlemix.py)
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
CIFAR = ((0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010))
SMALLEST_IMAGENET_WIDTH = 64


def denormalize(x: torch.Tensor) -> torch.Tensor:
    """Undo (pixel - mean) / std: (N, 3, H, W) float32, pixels in [0, 1] for normalised images.

    The statistics are ImageNet's, or CIFAR-10's for images narrower than 64 pixels, as OpenMixup
    has it. Raises `UsageError` unless there are three channels.
    """
    if x.shape[1] != 3:
        raise UsageError(
            f"expected RGB images (N, 3, H, W), got {tuple(x.shape)}; "
            "choose a method that doesn't look at colours, such as cutmix"
        )
    mean, std = IMAGENET if x.shape[-1] >= SMALLEST_IMAGENET_WIDTH else CIFAR
    per_channel = [torch.tensor(v, device=x.device).view(3, 1, 1) for v in (mean, std)]
    return x.float() * per_channel[1] + per_channel[0]
