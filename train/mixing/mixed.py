"""What all mixing methods share: their one result, its checks, and the random numbers they draw.

Every draw takes a `numpy.random.Generator` from the caller. Nothing here or in any mixing method
touches a global generator, so one seeded generator repeats a whole run on any device.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from ...zoo.errors import UsageError, in_words

Variant = Literal["openmixup", "paper"]
"""Which behaviour to follow where the two differ: the code behind the published numbers
(OpenMixup, quirks included), or the method's paper."""

MAX_REDRAWS = 10

# (mean, std) by channel; below 64 pixels OpenMixup assumes CIFAR images (its puzzlemix.py)
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
CIFAR = ((0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010))
SMALLEST_IMAGENET_WIDTH = 64


@dataclass(frozen=True)
class Mixed:
    """A mixed batch, its label weights and the mask that explains its pixels.

    The label of sample i is `lam[i]` times its own plus `1 - lam[i]` times that of sample
    `perm[i]`. Unless the method says otherwise,
    `images == mask * x + (1 - mask) * x[perm]` for the batch `x` that was mixed.
    """

    images: torch.Tensor
    """(N, C, H, W), dtype and device of the batch that was mixed."""

    perm: torch.Tensor
    """(N,) int64 on the batch's device: the partner of each sample."""

    lam: torch.Tensor
    """(N,) float32 on the batch's device: weight of a sample's own label, in [0, 1]."""

    mask: torch.Tensor
    """(N, 1, H, W), dtype of the images: weight of the original at each pixel, in [0, 1].

    Often an expanded view of fewer values: read it, don't write to it."""


def check_images(x: torch.Tensor) -> None:
    """Raise `UsageError` unless `x` is (N, C, H, W) float."""
    if not isinstance(x, torch.Tensor) or x.ndim != 4 or not x.is_floating_point():
        raise UsageError(
            f"expected a batch (N, C, H, W) of floats, got {in_words(x)}; "
            "convert the images to float tensors and stack them."
        )


def as_labels(y: torch.Tensor, x: torch.Tensor, num_classes: int | None = None) -> torch.Tensor:
    """The labels `y` of the images `x`, (N,) int64. Raises `UsageError` for other shapes or dtypes.

    num_classes: which they have to be below; asked on the CPU only, elsewhere it would be waited
    for.
    """
    if not isinstance(y, torch.Tensor) or y.shape != x.shape[:1] or y.is_floating_point():
        raise UsageError(
            f"expected a tensor of one whole number as label for each of {len(x)} images, got "
            f"{in_words(y)}; stack them, and mix before labels become soft."
        )
    if num_classes and y.is_cpu and len(y) and not 0 <= y.min() <= y.max() < num_classes:
        raise UsageError(
            f"expected labels of 0 to {num_classes - 1}, got {y.min()} to {y.max()}; correct them, "
            "or the number of classes."
        )
    return y.long()


def check_batch(x: torch.Tensor, perm: torch.Tensor, lam: float = 1.0) -> None:
    """Raise `UsageError` unless `x` is (N, C, H, W) float, `perm` (N,) int64, `lam` in [0, 1]."""
    check_images(x)
    if perm.shape != x.shape[:1] or perm.dtype != torch.int64:
        raise UsageError(
            f"expected a permutation ({len(x)},) int64 for {len(x)} images, got "
            f"{tuple(perm.shape)} {perm.dtype}; draw it for this batch."
        )
    if not 0 <= lam <= 1:
        raise UsageError(f"expected lam in [0, 1], got {lam}; draw it with the method's draw.")


def uniform_weight(x: torch.Tensor, lam: float) -> torch.Tensor:
    """The same label weight for every sample: (N,) float32 on the device of `x`."""
    return torch.full((len(x),), lam, dtype=torch.float32, device=x.device)


def shared_mask(x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """One mask (H, W), or a scalar, seen by the whole batch: a view (N, 1, H, W)."""
    n, _, h, w = x.shape
    return mask.to(x).expand(n, 1, h, w)


def draw_lam(rng: np.random.Generator, alpha: float) -> float:
    """A mixing weight from Beta(alpha, alpha), in [0, 1].

    Raises `UsageError` unless alpha > 0.
    """
    check_alpha(alpha)
    return float(rng.beta(alpha, alpha))


def check_alpha(alpha: float) -> None:
    """Raise `UsageError` unless alpha > 0."""
    if not alpha > 0:
        raise UsageError(
            f"expected alpha > 0 for Beta(alpha, alpha), got {alpha}; "
            "use the method 'vanilla' to train without mixing."
        )


def draw_permutation(rng: np.random.Generator, n: int) -> torch.Tensor:
    """A uniform permutation of n samples, (n,) int64 on the CPU; it may have fixed points."""
    return torch.from_numpy(rng.permutation(n))


def draw_partners(rng: np.random.Generator, n: int, variant: Variant) -> torch.Tensor:
    """A permutation of n samples, (n,) int64 on the CPU.

    "openmixup", for its CutMix and FMix: drawn again up to 10 times while it leaves any sample in
    place. The 10th redraw is accepted whatever it is, so fixed points stay possible (always for
    n = 1, rarely otherwise). "paper": drawn once.
    """
    perm = rng.permutation(n)
    if variant == "openmixup":
        for _ in range(MAX_REDRAWS):
            if not (perm == np.arange(n)).any():
                break
            perm = rng.permutation(n)
    return torch.from_numpy(perm)


def mix_cross_entropy(
    logits: torch.Tensor,
    y: torch.Tensor,
    y_partner: torch.Tensor,
    lam: torch.Tensor,
    variant: Variant = "openmixup",
) -> torch.Tensor:
    """Cross entropy against two hard labels per sample, weighted lam and 1 - lam.

    logits: (N, K) float. y, y_partner: (N,) int64. lam: (N,) float, weight of `y`, in [0, 1].
    Returns a scalar, the mean over the batch.

    Where lam differs between samples (PuzzleMix), "openmixup" uses its mean for all of them, as
    the code behind the published numbers does; "paper" weighs each sample by its own. Where
    lam is shared by the batch the two are equal.
    """
    if variant == "openmixup":
        weight = lam.mean()
        return weight * cross_entropy(logits, y) + (1 - weight) * cross_entropy(logits, y_partner)
    own = cross_entropy(logits, y, reduction="none")
    partner = cross_entropy(logits, y_partner, reduction="none")
    return (lam * own + (1 - lam) * partner).mean()


def denormalize(x: torch.Tensor) -> torch.Tensor:
    """Undo (pixel - mean) / std: (N, 3, H, W) float32, pixels in [0, 1] for normalised images.

    The statistics are ImageNet's, or CIFAR-10's for images narrower than 64 pixels, as OpenMixup
    has it. Raises `UsageError` unless there are three channels.
    """
    if x.shape[1] != 3:
        raise UsageError(
            f"expected RGB images (N, 3, H, W), got {tuple(x.shape)}; "
            "choose a method that doesn't look at colours, such as cutmix."
        )
    mean, std = IMAGENET if x.shape[-1] >= SMALLEST_IMAGENET_WIDTH else CIFAR
    per_channel = [torch.tensor(v, device=x.device).view(3, 1, 1) for v in (mean, std)]
    return x.float() * per_channel[1] + per_channel[0]
