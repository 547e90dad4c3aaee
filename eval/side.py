"""One backbone with its heads, in fp32 and in fast arithmetic, under guard."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch
from torch import Tensor

from .guard import Guard, changes, deviations, spot
from .precision import HeadLogits
from .predictions import Mask, Rows
from .ranking import rank


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
