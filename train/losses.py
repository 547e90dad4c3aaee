"""Losses against mixed labels, and the accuracies (in percent) that a training log shows."""

import torch
from torch.nn.functional import cross_entropy

from .mixing.mixed import Variant


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


def acc(logits: torch.Tensor, y: torch.Tensor, k: int = 1) -> torch.Tensor:
    """Percentage of samples whose label is among the k highest scores: a scalar float32.

    logits: (N, K) float. y: (N,) int64. Between equal scores the order is unspecified. In training
    on mixed images OpenMixup's `acc` takes the own labels only.
    """
    hits = logits.topk(k, dim=1).indices == y[:, None]
    return 100 * hits.any(1).float().mean()


def acc_mix(
    logits: torch.Tensor, y: torch.Tensor, y_partner: torch.Tensor, lam: torch.Tensor
) -> torch.Tensor:
    """Percentage of mixed labels found in their order: a scalar float32.

    The label with the larger weight counts where it has the highest score, the other where it
    has the second highest, each with its weight. As in OpenMixup, which of them is larger is decided
    once for the batch, by the mean of lam; at exactly one half it is the partner's.

    logits: (N, K) float, K > 1. y, y_partner: (N,) int64. lam: (N,) float, weight of `y`.
    """
    weight = lam.mean()
    first, second = logits.topk(2, dim=1).indices.T
    own_leads = weight > 0.5
    own = (torch.where(own_leads, first, second) == y).float().mean()
    partner = (torch.where(own_leads, second, first) == y_partner).float().mean()
    return 100 * (weight * own + (1 - weight) * partner)
