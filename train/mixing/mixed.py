"""The one result that every mixing method returns, and the checks they share."""

from dataclasses import dataclass

import torch

from ...zoo.errors import UsageError


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


def check_batch(x: torch.Tensor, perm: torch.Tensor, lam: float = 1.0) -> None:
    """Raise `UsageError` unless `x` is (N, C, H, W) float, `perm` (N,) int64, `lam` in [0, 1]."""
    if x.ndim != 4 or not x.is_floating_point():
        raise UsageError(
            f"expected a batch (N, C, H, W) of floats, got {tuple(x.shape)} {x.dtype}; "
            "convert the images to float and stack them"
        )
    if perm.shape != x.shape[:1] or perm.dtype != torch.int64:
        raise UsageError(
            f"expected a permutation ({len(x)},) int64 for {len(x)} images, got "
            f"{tuple(perm.shape)} {perm.dtype}; draw it for this batch"
        )
    if not 0 <= lam <= 1:
        raise UsageError(f"expected lam in [0, 1], got {lam}; draw it with the method's draw")


def uniform_weight(x: torch.Tensor, lam: float) -> torch.Tensor:
    """The same label weight for every sample: (N,) float32 on the device of `x`."""
    return torch.full((len(x),), lam, dtype=torch.float32, device=x.device)


def shared_mask(x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """One mask (H, W), or a scalar, seen by the whole batch: a view (N, 1, H, W)."""
    n, _, h, w = x.shape
    return mask.to(x).expand(n, 1, h, w)
