"""Cross entropies against mixed labels."""

import torch
from torch.nn.functional import cross_entropy, log_softmax, one_hot

from .mixing.draws import Variant


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


def soft_cross_entropy(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Cross entropy against a distribution per sample: a scalar, the mean over the batch.

    logits: (N, K) float. target: (N, K) float, rows summing to one. Each sample has its own label
    weights here, whatever the variant of `mix_cross_entropy`.
    """
    return -(target * log_softmax(logits, dim=1)).sum(1).mean()


def soft_labels(
    y: torch.Tensor, y_partner: torch.Tensor, lam: torch.Tensor, n_classes: int
) -> torch.Tensor:
    """The distribution lam * y + (1 - lam) * y_partner: (N, n_classes) float32.

    y, y_partner: (N,) int64. lam: (N,) float32, weight of `y`, in [0, 1].
    """
    weight = lam[:, None]
    return weight * one_hot(y, n_classes) + (1 - weight) * one_hot(y_partner, n_classes)
