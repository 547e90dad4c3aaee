"""Batches of crops in, rows of predictions out: in fp32, in fast arithmetic, or fast and guarded.

One backbone with its heads, in fp32 and in fast arithmetic, under guard.

From logits to rows of predictions.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..zoo.errors import CheckpointError, DataError
from ..zoo.manifest import Protocol
from .guard import CALIBRATION, SAFETY, TIE, Guard, changes, deviations, spot
from .precision import HeadLogits, choose, exact_networks, fast_networks
from .predictions import TOP, Floats, Mask, Precision, Predictions, Rows
from .protocol import normalise

BATCH_SIZE = 64


@dataclass(frozen=True)
class CropBatch:
    """Images; those that wait also know what fast arithmetic said. spots: (n,), see `Guard`."""

    indices: Tensor
    crops: Tensor
    labels: Tensor
    fast: Mapping[str, Tensor] | None = None
    spots: Tensor | None = None

    def at(self, rows: "Tensor | slice") -> "CropBatch":
        """Some of the images."""
        fast = {h: z[rows] for h, z in self.fast.items()} if self.fast is not None else None
        spots = None if self.spots is None else self.spots[rows]
        return CropBatch(self.indices[rows], self.crops[rows], self.labels[rows], fast, spots)


class Side:
    """One backbone with its heads: both arithmetics, a guard for each head, images that wait."""

    def __init__(
        self, exact: HeadLogits, fast: HeadLogits | None, batch_size: int, safety: float
    ) -> None:
        self.exact, self.fast, self.batch_size, self.safety = exact, fast, batch_size, safety
        self.guards: dict[str, Guard] = {}
        self.floor: Mapping[str, float] = {}
        self._waiting: list[CropBatch] = []

    def believe(self, batch: CropBatch, x: Tensor, *, guarded: bool) -> dict[str, Rows]:
        """Rows of the images that fast arithmetic may settle; the others wait."""
        fast = self._fast(x)
        usable = {h: _rankable(z) for h, z in fast.items()} if guarded else fast
        rows = {
            h: rank(z, batch.labels, batch.indices, exact=False, head=h) for h, z in usable.items()
        }
        if not guarded:
            return rows
        doubted = np.logical_or.reduce([self._guard(h).doubts(row) for h, row in rows.items()])
        spots = spot(batch.indices.numpy()) & ~doubted
        wait = torch.from_numpy(doubted | spots)
        if bool(wait.any()):
            at = wait.nonzero()[:, 0]
            there = at.to(x.device)
            kept = {h: z[there] for h, z in fast.items()}
            self._waiting.append(
                CropBatch(
                    batch.indices[at],
                    batch.crops[at],
                    batch.labels[at],
                    kept,
                    torch.from_numpy(spots)[at],
                )
            )
        return {h: _take(row, ~wait.numpy()) for h, row in rows.items()}

    def take(self, *, everything: bool = False) -> list[CropBatch]:
        """Waiting images, in whole batches; the rest too if everything is asked for."""
        waiting = sum(len(batch.labels) for batch in self._waiting)
        if waiting == 0 or (waiting < self.batch_size and not everything):
            return []
        whole, size = _cat(self._waiting), self.batch_size
        kept = 0 if everything else waiting % size
        self._waiting = [whole.at(slice(waiting - kept, None))] if kept else []
        return [
            whole.at(slice(i, min(i + size, waiting - kept)))
            for i in range(0, waiting - kept, size)
        ]

    def compare(self, batch: CropBatch, x: Tensor) -> dict[str, Rows]:
        """Rows in fp32 of images that are computed both ways, from which the guards learn."""
        with torch.inference_mode():
            exact = self.exact(x)
        fast = batch.fast if batch.fast is not None else self._fast(x)
        spots: Mask = np.zeros(len(batch.labels), bool)
        if batch.spots is not None:
            spots = batch.spots.numpy()
        settled = {}
        for head, z in exact.items():
            rows = rank(z, batch.labels, batch.indices, exact=True, head=head)
            guess = rank(_rankable(fast[head]), batch.labels, batch.indices, exact=False, head=head)
            moved = deviations(fast[head], z, batch.labels).cpu().numpy()
            changed = changes(guess, rows, batch.labels.numpy())
            self._guard(head).observe(moved, changed, spots)
            settled[head] = rows
        return settled

    def _fast(self, x: Tensor) -> Mapping[str, Tensor]:
        assert self.fast is not None  # given with every precision but fp32
        with torch.inference_mode():
            return self.fast(x)

    def _guard(self, head: str) -> Guard:
        if head not in self.guards:
            self.guards[head] = Guard(self.safety)
            self.guards[head].raise_to(self.floor.get(head, 0.0))
        return self.guards[head]


def _rankable(z: Tensor) -> Tensor:
    """Logits (n, C) with zeros for images where they overflowed, which the guard then doubts."""
    return torch.where(z.isfinite().all(1, keepdim=True), z, 0)


def _cat(parts: Sequence[CropBatch]) -> CropBatch:
    fast = {h: torch.cat([p.fast[h] for p in parts if p.fast]) for h in parts[0].fast or {}}
    return CropBatch(
        torch.cat([p.indices for p in parts]),
        torch.cat([p.crops for p in parts]),
        torch.cat([p.labels for p in parts]),
        fast,
        torch.cat([p.spots for p in parts if p.spots is not None]),
    )


def _take(rows: Rows, mask: Mask) -> Rows:
    return Rows(**{f.name: getattr(rows, f.name)[mask] for f in fields(Rows)})


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


class Predictor:
    """Turns batches of crops into rows of predictions of one checkpoint, under one precision.

    model: a classifier of the zoo in eval mode on `device`; in fp32 any callable (N, 3, H, W)
    -> {head: (N, C)}. arithmetic: what "fast" means, "auto" measures what this machine does
    fastest. fast: use these functions for it instead, one for each backbone. batch_size: of the
    recomputation in fp32.
    """

    def __init__(
        self,
        model: nn.Module | HeadLogits,
        protocol: Protocol,
        device: torch.device,
        precision: Precision = "fp32",
        *,
        arithmetic: str = "auto",
        fast: Sequence[HeadLogits] | None = None,
        batch_size: int = BATCH_SIZE,
        calibration: int = CALIBRATION,
        safety: float = SAFETY,
    ) -> None:
        self.protocol, self.device, self.precision = protocol, device, precision
        self.calibration = calibration if precision == "guarded" else 0
        self.arithmetic = "fp32"
        exact = exact_networks(model)
        if precision != "fp32" and fast is None:
            chosen = choose(arithmetic, device)
            self.arithmetic = chosen
            fast = fast_networks(model, chosen, device)
        self._sides = [
            Side(network, fast[i] if fast else None, batch_size, safety)
            for i, network in enumerate(exact)
        ]
        self._early: dict[str, float] = {}
        self._calibrated = 0
        self._recomputed: set[int] = set()
        self._ties: set[int] = set()

    def predict(self, indices: Tensor, crops: Tensor, labels: Tensor) -> dict[str, Rows]:
        """Rows that are settled now; images with low margins wait inside until a batch is full.

        indices: (B,) int64 positions in the labelled list. crops: (B, H, W, 3) uint8. labels: (B,)
        int64. Raises what `ranking.rank` raises.
        """
        if self.precision == "fp32":
            return self.recompute(indices, crops, labels)
        batch = CropBatch(indices, crops, labels)
        x = self._normalised(crops)
        calibrates = self._calibrated < self.calibration
        self._calibrated += len(labels) if calibrates else 0
        settled: dict[str, Rows] = {}
        for side in self._sides:
            if calibrates:
                rows = side.compare(batch, x)
                self._note(rows)
            else:
                rows = side.believe(batch, x, guarded=self.precision == "guarded")
                self._note(rows)
                for full in side.take():
                    rows = _join(rows, self._settle(side, full))
            settled |= rows
        return settled

    def flush(self) -> dict[str, Rows]:
        """Recompute what waits."""
        settled: dict[str, Rows] = {}
        for side in self._sides:
            rows: dict[str, Rows] = {}
            for rest in side.take(everything=True):
                rows = _join(rows, self._settle(side, rest))
            settled |= rows
        return settled

    def recompute(self, indices: Tensor, crops: Tensor, labels: Tensor) -> dict[str, Rows]:
        """Rows in fp32; arguments as of `predict`."""
        x = self._normalised(crops)
        rows: dict[str, Rows] = {}
        for side in self._sides:
            with torch.inference_mode():
                exact = side.exact(x)
            rows |= {h: rank(z, labels, indices, exact=True, head=h) for h, z in exact.items()}
        if self.precision != "fp32":
            self._recomputed.update(indices.tolist())
        self._note(rows)
        return rows

    @property
    def bounds(self) -> dict[str, float]:
        """The present bound per head, in logit units; {} unless guarded."""
        if self.precision != "guarded":
            return {}
        known = {head: g.bound for side in self._sides for head, g in side.guards.items()}
        return {h: max(known.get(h, 0.0), self._early.get(h, 0.0)) for h in known | self._early}

    def raise_bounds(self, bounds: Mapping[str, float]) -> None:
        """Take over bounds that other ranks or an earlier run found, where they are larger."""
        for head, bound in bounds.items():
            self._early[head] = max(bound, self._early.get(head, 0.0))
        for side in self._sides:
            side.floor = self._early
            for head, guard in side.guards.items():
                guard.raise_to(self._early.get(head, 0.0))

    def stale(self, head: str, predictions: Predictions) -> np.ndarray:
        """Images (m,) that fast arithmetic settled under a smaller bound; recompute them."""
        if self.precision != "guarded":
            return np.zeros(0, np.int64)
        guard = Guard()
        guard.raise_to(self.bounds.get(head, 0.0))
        return guard.stale(predictions)

    def summary(self) -> dict[str, Any]:
        """What was computed how, for reports: counts of images, and per head what was measured."""
        shared = {"precision": self.precision, "arithmetic": self.arithmetic}
        if self.precision != "guarded":
            return shared | {"ties": len(self._ties), "heads": {}}
        heads = {
            head: {
                "bound": self.bounds[head],
                "largest_deviation": guard.largest,
                "compared": guard.compared,
                "changed": guard.changed,
                "surprises": guard.surprises,
            }
            for side in self._sides
            for head, guard in side.guards.items()
        }
        return shared | {
            "safety": self._sides[0].safety,
            "calibrated": self._calibrated,
            "recomputed": len(self._recomputed),
            "ties": len(self._ties),
            "heads": heads,
        }

    def _settle(self, side: Side, batch: CropBatch) -> dict[str, Rows]:
        rows = side.compare(batch, self._normalised(batch.crops))
        self._recomputed.update(batch.indices.tolist())
        self._note(rows)
        return rows

    def _note(self, rows: Mapping[str, Rows]) -> None:
        """Remember images whose best class fp32 itself leaves open."""
        for row in rows.values():
            self._ties.update(row.indices[row.margin < TIE].tolist())

    def _normalised(self, crops: Tensor) -> Tensor:
        return normalise(crops.to(self.device), self.protocol)


def _join(one: Mapping[str, Rows], other: Mapping[str, Rows]) -> dict[str, Rows]:
    """Both parts' rows per head."""
    joined = dict(other)
    for head, rows in one.items():
        if head in other:
            columns = {
                f.name: np.concatenate([getattr(rows, f.name), getattr(other[head], f.name)])
                for f in fields(Rows)
            }
            joined[head] = Rows(**columns)
        else:
            joined[head] = rows
    return joined
