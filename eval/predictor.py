"""Crops in, rows of predictions out: in fp32, in fast arithmetic, or fast and guarded."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from ..zoo.errors import CheckpointError, DataError
from ..zoo.manifest import Protocol
from .crops import BATCH_SIZE
from .guard import CALIBRATION, Guard, Reach, changes, deviations, spot, summary
from .precision import HeadLogits, Network, choose, exact_networks, fast_networks
from .predictions import TOP, Precision, Predictions, Rows
from .protocol import normalise

ENOUGH = 16  # images that a CPU computes as fast, each, as more of them together


@dataclass(frozen=True)
class _Images:
    """Some images, and what one backbone's heads said of them in fast arithmetic."""

    indices: Tensor
    crops: Tensor
    labels: Tensor
    fast: Mapping[str, Tensor]
    peaks: Tensor
    """(n, L) each image's largest activation in L convolutions; none where they aren't known."""

    def at(self, rows: Tensor | slice) -> "_Images":
        fast = {
            h: z[rows if isinstance(rows, slice) else rows.to(z.device)]
            for h, z in self.fast.items()
        }
        return _Images(
            self.indices[rows],
            self.crops[rows],
            self.labels[rows],
            fast,
            self.peaks[rows],
        )

    @staticmethod
    def joined(parts: Sequence["_Images"]) -> "_Images":
        return _Images(
            torch.cat([part.indices for part in parts]),
            torch.cat([part.crops for part in parts]),
            torch.cat([part.labels for part in parts]),
            {h: torch.cat([part.fast[h] for part in parts]) for h in parts[0].fast},
            torch.cat([part.peaks for part in parts]),
        )


@dataclass
class _Backbone:
    """One backbone with its heads in both arithmetics, and the images with too low margins."""

    exact: HeadLogits
    fast: HeadLogits | None
    waiting: list[_Images] = field(default_factory=list)
    both: dict[str, list[tuple[Tensor, Tensor, Tensor]]] = field(default_factory=dict)
    """Head -> fast logits, exact ones and labels of the calibration, until all has been seen."""
    reach: Reach = field(default_factory=Reach)

    def look(self, indices: Tensor, crops: Tensor, labels: Tensor, x: Tensor, size: int) -> _Images:
        """What fast arithmetic says of these images. x: the crops, normalised. size: see `_filled`."""
        assert self.fast is not None  # given with every precision but fp32
        logits = _filled(self.fast, x, size)
        noted = self.fast.peaks if isinstance(self.fast, Network) else []
        peaks = torch.stack(noted, 1)[: len(labels)].cpu() if noted else torch.zeros(len(labels), 0)
        return _Images(indices, crops, labels, logits, peaks)

    def take(self, size: int, *, everything: bool) -> Iterator[_Images]:
        """Waiting images, in whole batches; the rest too if everything is asked for."""
        waiting = sum(len(part.labels) for part in self.waiting)
        if waiting == 0 or (waiting < size and not everything):
            return
        whole = _Images.joined(self.waiting)
        stop = waiting if everything else waiting - waiting % size
        self.waiting = [whole.at(slice(stop, None))] if stop < waiting else []
        for start in range(0, stop, size):
            yield whole.at(slice(start, min(start + size, stop)))


class Predictor:
    """Turns batches of crops into rows of predictions of one checkpoint, under one precision.

    model: a classifier of the zoo in eval mode on `device`; in fp32 any callable (N, 3, H, W)
    -> {head: (N, C)}. arithmetic: what "fast" means, "auto" measures what this machine does
    fastest. fast: use these functions for it instead, one for each backbone. batch_size: of the
    images that come together. calibration: images computed both ways before any is believed.
    """

    precision: Precision
    filled = True
    """Whether guarded batches are filled up to their size, see `_filled`; not those of a sample."""

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
    ) -> None:
        self.protocol, self.device, self.precision = protocol, device, precision
        self.batch_size, self.calibration = batch_size, calibration
        self.seen = 0  # images, with those that couldn't be read: the first calibrate
        self.arithmetic = "fp32"
        exact = exact_networks(model)
        if precision != "fp32" and fast is None:
            self.arithmetic = choose(arithmetic, device)
            fast = fast_networks(model, self.arithmetic, device)
        self._backbones = [
            _Backbone(*pair) for pair in zip(exact, fast or [None] * len(exact), strict=True)
        ]
        self._guards: dict[str, Guard] = defaultdict(Guard)
        self._calibrated = 0

    @property
    def calibrates(self) -> bool:
        """Whether the next images are computed both ways, whatever their margins."""
        return self.precision == "guarded" and self.seen < self.calibration

    @torch.inference_mode()
    def predict(self, indices: Tensor, crops: Tensor, labels: Tensor) -> dict[str, Rows]:
        """Rows that are settled now; images with low margins wait inside until a batch is full.

        indices: (B,) int64 positions in the labelled list. crops: (B, H, W, 3) uint8. labels: (B,)
        int64. Raises what `rank` raises.
        """
        if self.precision == "fp32":
            return self.recompute(indices, crops, labels)
        x = self._normalised(crops)
        calibrates = self.calibrates
        if not calibrates:
            self._learn()
        self.seen += len(labels)
        self._calibrated += len(labels) if calibrates else 0
        settled: dict[str, Rows] = {}
        for backbone in self._backbones:
            images = backbone.look(indices, crops, labels, x, self._size)
            if calibrates:
                backbone.reach.observe(images.peaks.numpy())
                settled |= self._compare(backbone, images, x, calibrates=True)
            elif self.precision == "fast":
                settled |= _rank_all(images.fast, labels, indices, exact=False)
            else:
                images = self._corrected(images)
                settled |= _joined([self._believe(backbone, images), *self._settle(backbone)])
        return settled

    @torch.inference_mode()
    def flush(self) -> dict[str, Rows]:
        """Recompute what waits."""
        self._learn()
        settled: dict[str, Rows] = {}
        for backbone in self._backbones:
            settled |= _joined(list(self._settle(backbone, everything=True)))
        return settled

    @torch.inference_mode()
    def recompute(
        self,
        indices: Tensor,
        crops: Tensor,
        labels: Tensor,
        stale: Mapping[str, npt.ArrayLike] | None = None,
    ) -> dict[str, Rows]:
        """Rows in fp32; arguments as of `predict`.

        stale: head -> positions that are stale; then only those are computed, with the other heads
        of their backbone, and the guards learn from them.
        """
        x = self._normalised(crops)
        if stale is None:
            logits = {h: z for backbone in self._backbones for h, z in backbone.exact(x).items()}
            return _rank_all(logits, labels, indices, exact=True)
        settled: dict[str, Rows] = {}
        for backbone in self._backbones:
            images = self._corrected(backbone.look(indices, crops, labels, x, self._size))
            doubted = [indices[:0], *(torch.as_tensor(stale.get(h, ())) for h in images.fast)]
            if (rows := torch.isin(indices, torch.cat(doubted).long())).any():
                backbone.waiting.append(images.at(rows))
                settled |= _joined(list(self._settle(backbone, everything=True)))
        return settled

    @property
    def bounds(self) -> dict[str, float]:
        """The present bound per head, in logit units; {} unless guarded."""
        return {head: guard.bound for head, guard in self._guards.items()}

    def raise_bounds(self, bounds: Mapping[str, float]) -> None:
        """Take over bounds that other ranks or an earlier run found, where they are larger."""
        for head, bound in bounds.items():
            self._guards[head].raise_to(bound)

    def stale(self, head: str, predictions: Predictions) -> np.ndarray:
        """Images (m,) that fast arithmetic settled under a smaller bound; recompute them."""
        if self.precision != "guarded":
            return np.zeros(0, np.int64)
        return predictions.stale(self._guards[head].bound)

    def summary(self, known: Mapping[str, Predictions]) -> dict[str, Any]:
        """What was computed how, see `guard.summary`. known: head -> predictions of all images."""
        return summary(self.precision, self.arithmetic, known, self.bounds, self._calibrated)

    @property
    def exact_size(self) -> int:
        """Images that fp32 computes again at once; as the last of them are filled up, not many."""
        return min(self.batch_size, ENOUGH if self.device.type == "cpu" else BATCH_SIZE)

    @property
    def _size(self) -> int:
        return self.batch_size if self.filled and self.precision == "guarded" else 0

    def _believe(self, backbone: _Backbone, images: _Images) -> dict[str, Rows]:
        """Rows of the images that fast arithmetic may settle; the others wait."""
        usable = {head: _rankable(z) for head, z in images.fast.items()}
        rows = _rank_all(usable, images.labels, images.indices, exact=False)
        doubted = backbone.reach.exceeded(images.peaks.numpy())
        for head, row in rows.items():
            doubted |= self._guards[head].doubts(row)
        indices = images.indices.numpy()
        wait = doubted | spot(indices)
        if wait.any():
            backbone.waiting.append(images.at(torch.from_numpy(np.flatnonzero(wait))))
        return {head: row.at(~wait) for head, row in rows.items()}

    def _settle(
        self, backbone: _Backbone, *, everything: bool = False
    ) -> Iterator[dict[str, Rows]]:
        for images in backbone.take(self.exact_size, everything=everything):
            yield self._compare(backbone, images, self._normalised(images.crops))

    def _learn(self) -> None:
        """Offsets and bounds from the calibration so far; no bound is used before."""
        for backbone in self._backbones:
            for head, parts in backbone.both.items():
                self._guards[head].calibrate(
                    *(torch.cat(part) for part in zip(*parts, strict=True))
                )
            if not self.calibrates:
                backbone.both.clear()

    def _corrected(self, images: _Images) -> _Images:
        """The same without what fast arithmetic moves its logits by on average."""
        fast = {head: z - self._guards[head].offset for head, z in images.fast.items()}
        return replace(images, fast=fast)

    def _compare(
        self, backbone: _Backbone, images: _Images, x: Tensor, *, calibrates: bool = False
    ) -> dict[str, Rows]:
        """Rows in fp32 of images that are computed both ways, from which the guards learn."""
        size = BATCH_SIZE if calibrates else self.exact_size
        exact = _filled(backbone.exact, x, min(self._size, size))
        labels = images.labels
        settled = _rank_all(exact, labels, images.indices, exact=True)
        for head, rows in settled.items():
            fast = images.fast[head]
            guess = rank(_rankable(fast), labels, images.indices, exact=False, head=head)
            if calibrates:
                backbone.both.setdefault(head, []).append((fast, exact[head], labels))
            else:
                self._guards[head].observe(deviations(fast, exact[head], labels).cpu().numpy())
            settled[head] = replace(rows, changed=changes(guess, rows, labels.numpy()))
        return settled

    def _normalised(self, crops: Tensor) -> Tensor:
        return normalise(crops.to(self.device), self.protocol)


def _filled(network: HeadLogits, x: Tensor, size: int) -> Mapping[str, Tensor]:
    """Logits of images, of which fewer than `size` are filled up to as many.

    Libraries pick another kernel for another number of images, and its last bits differ. In full
    batches an image's logits don't depend on its neighbours, so not on who computes it with whom.
    """
    n = len(x)
    if n >= size:
        return network(x)
    more = x[:1].expand(size - n, *x.shape[1:])
    return {head: z[:n] for head, z in network(torch.cat((x, more))).items()}


def _rankable(z: Tensor) -> Tensor:
    """Logits (n, C) with zeros for images where they overflowed, which the guard then doubts."""
    return torch.where(z.isfinite().all(1, keepdim=True), z, 0)


def _joined(parts: Sequence[Mapping[str, Rows]]) -> dict[str, Rows]:
    """The rows of all parts, per head."""
    heads = parts[0] if parts else ()
    return {head: Rows.joined([part[head] for part in parts]) for head in heads}


def _rank_all(
    logits: Mapping[str, Tensor], labels: Tensor, indices: Tensor, *, exact: bool
) -> dict[str, Rows]:
    return {h: rank(z, labels, indices, exact=exact, head=h) for h, z in logits.items()}


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
    # One transfer: float32 holds class numbers exactly up to 2**24. Classes that there aren't are
    # called -1 and have a logit of -inf.
    missing = (0, TOP + 1 - best)
    values = nn.functional.pad(values, missing, value=-torch.inf)
    order = nn.functional.pad(order.float(), missing, value=-1)
    columns = torch.cat((values, order, labelled, confidence, finite.float()), 1).cpu().numpy()
    values, order, labelled, confidence, finite = np.split(
        columns, np.cumsum([TOP + 1, TOP + 1, 1, 1]), axis=1
    )
    if not finite.all():
        raise CheckpointError(
            f"Head {head} gives logits that aren't finite numbers, so there is nothing to rank. "
            "The weights are damaged, or were saved after training diverged: get another copy, or "
            "an earlier epoch."
        )
    top = order[:, :TOP].astype(np.int32)
    tied = np.flatnonzero((values[:, 1:best] == values[:, : best - 1]).any(axis=1))
    if len(tied):  # topk leaves the order of equals open
        stable = z[torch.from_numpy(tied).to(z.device)].sort(dim=1, descending=True, stable=True)
        top[tied, :best] = stable.indices[:, :TOP].cpu().numpy()
    hit = (top == labels.cpu().numpy()[:, None]).any(axis=1)
    return Rows(
        indices=indices.cpu().numpy(),
        top=top,
        margin=values[:, 0] - values[:, 1],
        margin5=np.where(hit, labelled[:, 0] - values[:, TOP], values[:, TOP - 1] - labelled[:, 0]),
        confidence=confidence[:, 0],
        exact=np.full(len(top), exact),
        changed=np.zeros(len(top), bool),
    )
