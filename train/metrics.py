"""Accuracies that a training log shows, in percent."""

import torch


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
