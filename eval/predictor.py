"""Batches of crops in, rows of predictions out: in fp32, in fast arithmetic, or fast and guarded."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..zoo.manifest import Protocol
from .guard import CALIBRATION, SAFETY, TIE, Guard
from .precision import HeadLogits, choose, exact_networks, fast_networks
from .predictions import Precision, Predictions, Rows
from .protocol import normalise
from .ranking import rank
from .side import CropBatch, Side

BATCH_SIZE = 64


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
