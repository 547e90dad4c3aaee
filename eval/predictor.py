"""Batches of crops in, rows of predictions out: in fp32, in fast arithmetic, or fast and guarded."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..zoo.errors import UsageError
from ..zoo.manifest import Protocol
from .guard import CALIBRATION, SAFETY, Guard, deviations, spot
from .precision import HeadLogits, Precision, exact_fp32, lower
from .predictions import Predictions, Rows
from .protocol import normalise
from .ranking import rank

BATCH_SIZE = 64


@dataclass
class Waiting:
    """Images of one batch that fp32 has still to settle, with their logits in fast arithmetic."""

    indices: Tensor
    crops: Tensor
    labels: Tensor
    fast: dict[str, Tensor]
    confident: Tensor  # (n,) bool: spot checks


class Predictor:
    """Turns batches of crops into rows of predictions of one checkpoint, under one precision."""

    def __init__(
        self,
        model: nn.Module | HeadLogits,
        protocol: Protocol,
        device: torch.device,
        precision: Precision = "fp32",
        *,
        fast: HeadLogits | None = None,
        batch_size: int = BATCH_SIZE,
        calibration: int = CALIBRATION,
        safety: float = SAFETY,
    ) -> None:
        self.protocol, self.device, self.precision = protocol, device, precision
        self.batch_size, self.calibration, self.safety = batch_size, calibration, safety
        self.heads: tuple[str, ...] = tuple(getattr(model, "heads", ()))
        self._exact: HeadLogits = model.logits if isinstance(model, nn.Module) else model
        self._fast: HeadLogits | None = fast
        if precision != "fp32" and fast is None:
            if not isinstance(model, nn.Module):
                raise UsageError("fast arithmetic needs a model, not a function of logits")
            self._fast = lower(model).logits
        self._guards: dict[str, Guard] = {}
        self._waiting: list[Waiting] = []
        self._calibrated = 0
        self._recomputed = 0
        for head in self.heads:
            self._guard(head)

    def predict(self, indices: Tensor, crops: Tensor, labels: Tensor) -> dict[str, Rows]:
        """Rows that are settled now; images with low margins wait inside until a batch is full.

        indices: (B,) int64. crops: (B, H, W, 3) uint8. labels: (B,) int64.
        """
        if self.precision == "fp32":
            return self.recompute(indices, crops, labels)
        fast = self._logits(self._fast, crops)
        if self.precision == "fast":
            return {h: rank(z, labels, indices, exact=False, head=h) for h, z in fast.items()}
        if self._calibrated < self.calibration:
            self._calibrated += len(labels)
            return self._settle(Waiting(indices, crops, labels, fast, torch.ones(len(labels)) < 0))
        rows = {h: rank(z, labels, indices, exact=False, head=h) for h, z in fast.items()}
        doubted = np.zeros(len(labels), bool)
        for head, row in rows.items():
            doubted |= self._guard(head).doubts(row)
        checked = spot(indices.numpy()) & ~doubted
        wait = torch.from_numpy(doubted | checked)
        if wait.any():
            kept = {h: z[wait.to(z.device)] for h, z in fast.items()}
            self._waiting.append(
                Waiting(
                    indices[wait], crops[wait], labels[wait], kept, torch.from_numpy(checked)[wait]
                )
            )
        settled = [{h: _take(row, ~wait.numpy()) for h, row in rows.items()}]
        while sum(len(w.labels) for w in self._waiting) >= self.batch_size:
            settled.append(self._settle(self._pop()))
        return _join(settled)

    def flush(self) -> dict[str, Rows]:
        """Recompute what waits."""
        settled = []
        while self._waiting:
            settled.append(self._settle(self._pop()))
        return _join(settled)

    @property
    def bounds(self) -> dict[str, float]:
        """The present bound per head, in logit units; {} unless guarded."""
        if self.precision != "guarded":
            return {}
        return {head: guard.bound for head, guard in self._guards.items()}

    def raise_bounds(self, bounds: Mapping[str, float]) -> None:
        """Take over bounds that other ranks or an earlier run found, where they are larger."""
        for head, bound in bounds.items():
            self._guard(head).raise_to(bound)

    def stale(self, head: str, predictions: Predictions) -> np.ndarray:
        """Images (m,) that fast arithmetic settled under a smaller bound; recompute them."""
        if self.precision != "guarded":
            return np.zeros(0, np.int64)
        return self._guard(head).stale(predictions)

    def recompute(self, indices: Tensor, crops: Tensor, labels: Tensor) -> dict[str, Rows]:
        """Rows in fp32; arguments as of `predict`."""
        exact = self._logits(self._exact, crops)
        self._recomputed += len(labels)
        return {h: rank(z, labels, indices, exact=True, head=h) for h, z in exact.items()}

    def summary(self) -> dict[str, Any]:
        """For reports."""
        return {
            "precision": self.precision,
            "safety": self.safety,
            "bounds": self.bounds,
            "calibrated": self._calibrated,
            "recomputed": self._recomputed,
        }

    def _guard(self, head: str) -> Guard:
        return self._guards.setdefault(head, Guard(self.safety))

    def _logits(self, network: HeadLogits, crops: Tensor) -> Mapping[str, Tensor]:
        with exact_fp32(), torch.inference_mode():
            return network(normalise(crops.to(self.device), self.protocol))

    def _settle(self, waiting: Waiting) -> dict[str, Rows]:
        exact = self._logits(self._exact, waiting.crops)
        self._recomputed += len(waiting.labels)
        for head, z in exact.items():
            moved = deviations(waiting.fast[head], z, waiting.labels)
            self._guard(head).observe(moved.cpu().numpy())
        return {
            h: rank(z, waiting.labels, waiting.indices, exact=True, head=h)
            for h, z in exact.items()
        }

    def _pop(self) -> Waiting:
        """The first `batch_size` waiting images as one batch."""
        whole = _cat(self._waiting)
        first, rest = _split(whole, self.batch_size)
        self._waiting = [rest] if len(rest.labels) else []
        return first


def _cat(parts: list[Waiting]) -> Waiting:
    def joined(name: str) -> Tensor:
        return torch.cat([getattr(p, name) for p in parts])

    fast = {h: torch.cat([p.fast[h] for p in parts]) for h in parts[0].fast}
    return Waiting(joined("indices"), joined("crops"), joined("labels"), fast, joined("confident"))


def _split(w: Waiting, n: int) -> tuple[Waiting, Waiting]:
    def part(rows: slice) -> Waiting:
        fast = {h: z[rows] for h, z in w.fast.items()}
        return Waiting(w.indices[rows], w.crops[rows], w.labels[rows], fast, w.confident[rows])

    return part(slice(n)), part(slice(n, None))


def _take(rows: Rows, mask: np.ndarray) -> Rows:
    return Rows(**{f.name: getattr(rows, f.name)[mask] for f in fields(Rows)})


def _join(parts: list[dict[str, Rows]]) -> dict[str, Rows]:
    """All parts' rows per head."""
    if not parts:
        return {}
    return {
        head: Rows(
            **{
                f.name: np.concatenate([getattr(part[head], f.name) for part in parts])
                for f in fields(Rows)
            }
        )
        for head in parts[0]
    }
