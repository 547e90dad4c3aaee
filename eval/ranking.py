"""From logits to rows of predictions."""

import numpy as np
import torch

from ..zoo.errors import CheckpointError, DataError
from .predictions import TOP, Floats, Rows


def rank(
    logits: torch.Tensor,
    labels: torch.Tensor,
    indices: torch.Tensor,
    *,
    exact: bool,
    head: str = "head0",
) -> Rows:
    """What one head says of one batch; margins and confidence are computed in float32.

    logits: (B, C) of any float type and device. labels: (B,) int64 in [0, C). indices: (B,) int64
    positions in the labelled list. exact: whether the logits were computed in fp32. head: for
    messages. Among equal logits the lower class comes first, as `argmax` has it.
    Raises DataError for a label that the head doesn't have, CheckpointError where logits aren't
    finite.
    """
    z = logits.float()
    classes = z.shape[1]
    if len(labels) and int(labels.max()) >= classes:
        raise DataError(
            f"The data has label {int(labels.max())}, but head {head} has only {classes} "
            "classes (labels start at 0). Is this the data set that the checkpoint knows?"
        )
    best = min(TOP + 1, classes)  # the sixth tells how safe the fifth is
    values, order = z.topk(best, dim=1)
    labelled = z.gather(1, labels.to(z.device)[:, None])
    confidence = 1 / (z - values[:, :1]).exp().sum(1, keepdim=True)
    finite = z.isfinite().all(1, keepdim=True)
    # One transfer: float32 holds class numbers exactly up to 2**24.
    columns = torch.cat((values, order.float(), labelled, confidence, finite.float()), 1)
    values, order, labelled, confidence, finite = np.split(
        columns.cpu().numpy(), np.cumsum([best, best, 1, 1]), axis=1
    )
    if not finite.all():
        raise CheckpointError(
            f"Head {head} gives logits that aren't finite numbers, so there is nothing to rank. "
            "The weights are damaged, or were saved after training diverged."
        )
    top = np.full((len(order), TOP), -1, np.int32)
    top[:, :best] = order[:, :TOP]
    tied = np.flatnonzero((values[:, 1:] == values[:, :-1]).any(axis=1))
    if len(tied):  # topk leaves the order of equals open
        order = z[torch.from_numpy(tied).to(z.device)].sort(dim=1, descending=True, stable=True)
        top[tied, :best] = order.indices[:, :TOP].cpu().numpy()
    return Rows(
        indices=indices.cpu().numpy(),
        top=top,
        margin=_margin(values),
        margin5=_margin5(
            values, labelled[:, 0], (top == labels.cpu().numpy()[:, None]).any(axis=1)
        ),
        confidence=confidence[:, 0],
        exact=np.full(len(top), exact),
    )


def _margin(values: Floats) -> Floats:
    """(B,) best minus second best of (B, k) falling values; inf where there is one class only."""
    if values.shape[1] == 1:
        return np.full(len(values), np.inf, np.float32)
    return values[:, 0] - values[:, 1]


def _margin5(values: Floats, labelled: Floats, hit: np.ndarray) -> Floats:
    """(B,) distance of the label's logit to the border of the first five; `Predictions.margin5`."""
    if values.shape[1] <= TOP:
        return np.full(len(values), np.inf, np.float32)
    return np.where(hit, labelled - values[:, TOP], values[:, TOP - 1] - labelled)
