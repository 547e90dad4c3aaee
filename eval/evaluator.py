"""Predictions of checkpoints for all images: one decoding pass for all of them, on all processes.

Every image is predicted once, by one process; the rows are gathered and counted as whole numbers,
so no world size pads, repeats or drops an image, and accuracies are divided once at the end.
"""

import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch

from ..zoo.errors import DataError, MixzooError, UsageError
from .crops import Work
from .decoding import explained
from .precision import HeadLogits
from .predictions import PENDING, Counts, Ints, Mask, Predictions, Rows
from .predictor import Predictor
from .world import ALONE, World

SAVE_EVERY = 60.0  # seconds
SAVING = 20  # times as long as a save took is computed before the next, which writes all rows again


@dataclass
class Subject:
    """One checkpoint under evaluation."""

    name: str
    predictor: Predictor
    known: dict[str, Predictions] = field(default_factory=dict)
    """Head -> predictions, the same on every rank; `evaluate_all` fills them in place."""
    error: MixzooError | None = None
    """Why this checkpoint can't be evaluated, if so."""

    def pending(self, indices: Sequence[int]) -> bool:
        """Whether any of these images has no prediction yet."""
        if self.error:
            return False
        states = [known.state[list(indices)] for known in self.known.values()]
        return not states or any((state == PENDING).any() for state in states)


def evaluate(
    logits: HeadLogits,
    work: Work,
    *,
    world: World = ALONE,
    progress: Callable[[int], object] | None = None,
) -> dict[str, Counts]:
    """Count hits of every head on all images, in fp32.

    logits: (N, 3, crop, crop) float32 -> {head name: (N, C)}; a model in eval mode on the world's
    device. progress: called with the number of images done, per batch, on this rank.
    Raises DataError (an undecodable image, a label that the head doesn't have) or CheckpointError
    (logits that aren't finite) on every rank if any rank meets one.
    """
    subject = Subject("logits", Predictor(logits, work.protocol, world.device, "fp32"))
    unreadable = evaluate_all([subject], work, world=world, progress=progress)
    if subject.error:
        raise subject.error
    for reason in unreadable.values():
        raise DataError(reason)
    return {head: known.counts() for head, known in subject.known.items()}


def evaluate_all(
    subjects: Sequence[Subject],
    work: Work,
    *,
    world: World = ALONE,
    order: Sequence[int] | None = None,
    progress: Callable[[int], object] | None = None,
    save: Callable[[Subject], object] | None = None,
) -> dict[int, str]:
    """Fill in what the subjects don't know yet, decoding each image once.

    A batch that was only partly known is predicted wholly again, so that an image always has the
    same neighbours. order: positions of the images to predict, the work's shard if None; batches
    are cut from it. Every process calibrates on the first batches, also where they are another's to
    predict. progress: called with images done on this rank. save: called now and then, and before
    an error leaves, so that what this rank knows isn't lost. A subject that fails keeps its
    `error`, on every rank, and the others go on. Returns positions and reasons of the images that
    can't be read, the same on every rank.
    """
    run = _Pass(subjects, work, world)
    for subject in subjects:
        subject.predictor.filled = order is None
    groups = work.groups(order)
    mine = groups if order else work.shard.share(groups)
    todo = [group for group in mine if any(s.pending(group) for s in subjects)]
    todo = todo[world.rank :: world.size]
    failure: MixzooError | None = None
    due = time.monotonic() + SAVE_EVERY
    try:
        with closing(run.walk(todo, groups)) as walk:
            for done in walk:
                if progress and done:
                    progress(done)
                if save and (now := time.monotonic()) > due:
                    run.save(save)
                    due = time.monotonic() + max(SAVE_EVERY, SAVING * (time.monotonic() - now))
    except MixzooError as error:
        failure = error
    finally:  # also when interrupted
        if save:
            run.save(save)
    world.agree(failure)
    run.exchange()
    run.settle()
    return run.unreadable


class _Pass:
    """One walk over the images.

    untold: subject and head -> mask of the images that this rank settled since it last told the
    others. Not the rows themselves: each would hold a piece of the heap between large tensors.
    """

    def __init__(self, subjects: Sequence[Subject], work: Work, world: World) -> None:
        self.subjects, self.work, self.world = subjects, work, world
        self.untold: dict[tuple[str, str], Mask] = {}
        self.unreadable: dict[int, str] = {}

    def walk(
        self, todo: Sequence[Sequence[int]], groups: Sequence[Sequence[int]]
    ) -> Generator[int, None, None]:
        """Predict batches of positions; yields the number of images of each batch.

        groups: all batches; the first of them are looked at before, by whoever calibrates, and
        yield 0 where they aren't among `todo`.
        """
        predictors = [s.predictor for s in self.subjects if not s.error]
        learning = [p for p in predictors if p.calibrates and (todo or p.filled)]
        size = self.work.batch_size
        begin = min((p.seen // size for p in learning), default=0)
        first = groups[begin : max((-(-p.calibration // size) for p in learning), default=0)]
        mine = {group[0] for group in todo}
        seen = {group[0] for group in first}
        ordered = [*first, *(group for group in todo if group[0] not in seen)]
        decoded = self.work.batches(ordered, ranks_here=self.world.local_size)
        with _explained(), closing(decoded):
            for group, batch in zip(ordered, decoded, strict=True):
                own = group[0] in mine
                if own:
                    self.unreadable.update(batch.unreadable)
                for subject in self.subjects:
                    predictor = subject.predictor
                    pending = own and subject.pending(group)
                    predictor.seen += len(batch.unreadable)
                    if len(batch.indices) and (pending or predictor.calibrates):
                        inputs = (batch.indices, batch.crops, batch.labels)
                        self._note(subject, predictor.predict, *inputs, keep=pending)
                yield len(group) if own else 0
            for subject in self.subjects:
                self._note(subject, subject.predictor.flush)

    def _note(
        self,
        subject: Subject,
        predict: Callable[..., dict[str, Rows]],
        *inputs: Any,
        keep: bool = True,
    ) -> None:
        """Let the subject predict, and write the rows down; a failure is the subject's own."""
        if subject.error:
            return
        try:
            rows = predict(*inputs)
        except MixzooError as error:
            subject.error = error
            return
        for head, found in rows.items() if keep else ():
            self._known(subject, head).put(found)
            if (subject.name, head) not in self.untold:
                self.untold[subject.name, head] = np.zeros(len(self.work.images), bool)
            self.untold[subject.name, head][found.indices] = True

    def _known(self, subject: Subject, head: str) -> Predictions:
        if head not in subject.known:
            subject.known[head] = Predictions.empty(self.work.images.labels)
        return subject.known[head]

    def save(self, save: Callable[[Subject], object]) -> None:
        """Save the subjects that know something."""
        for subject in self.subjects:
            if subject.known and not subject.error:
                save(subject)

    def exchange(self) -> None:
        """Tell all ranks what each found, what failed, and which images can't be read."""
        failed = {s.name: s.error for s in self.subjects if s.error}
        named = {subject.name: subject for subject in self.subjects}
        mine = {key: np.flatnonzero(mask) for key, mask in self.untold.items()}
        found = {key: (at, named[key[0]].known[key[1]].at(at)) for key, at in mine.items()}
        self.untold = {}
        for rows, errors, unreadable in self.world.gather((found, failed, self.unreadable)):
            self.unreadable |= unreadable
            for name, error in errors.items():
                named[name].error = named[name].error or error
            for (name, head), (at, predictions) in rows.items():
                self._known(named[name], head).set(at, predictions)
        gone = sorted(self.unreadable)
        for known in (k for s in self.subjects for k in s.known.values()):
            known.put_unreadable(gone)

    def settle(self) -> None:
        """Recompute what doesn't hold any longer under the largest bound that any rank has."""
        shard, images = self.work.shard, len(self.work.images)
        own = shard.positions(images, self.work.batch_size) if shard.of > 1 else np.arange(images)
        while True:
            bounds = self.world.gather({s.name: s.predictor.bounds for s in self.subjects})
            stale: dict[str, dict[str, Ints]] = {}
            for subject in (s for s in self.subjects if not s.error):
                for found in bounds:
                    subject.predictor.raise_bounds(found[subject.name])
                for head, known in subject.known.items():
                    at = np.intersect1d(subject.predictor.stale(head, known), own)
                    if len(at):
                        stale.setdefault(subject.name, {})[head] = at
            if not stale:
                return
            self._recompute(stale)
            self.exchange()

    def _recompute(self, stale: Mapping[str, Mapping[str, Ints]]) -> None:
        """This rank's share of stale images, decoded once for all subjects."""
        every = {int(i) for heads in stale.values() for at in heads.values() for i in at}
        groups = self.work.groups(sorted(every))
        here = replace(self.work, workers=0)
        for batch in here.batches(groups[self.world.rank :: self.world.size]):
            self.unreadable.update(batch.unreadable)
            for subject in (s for s in self.subjects if s.name in stale):
                heads = stale[subject.name]
                rows = torch.isin(batch.indices, torch.tensor(np.concatenate([*heads.values()])))
                if rows.any():
                    images = (batch.indices[rows], batch.crops[rows], batch.labels[rows])
                    self._note(subject, subject.predictor.recompute, *images, heads)


@contextmanager
def _explained() -> Iterator[None]:
    """Turn the failures of a machine that is too small into advice."""
    try:
        with explained():
            yield
    except torch.OutOfMemoryError as error:
        raise UsageError(
            f"Out of memory on the device ({str(error).splitlines()[0]}). Run the same command "
            "again with a smaller --batch-size or --models-at-once; what was predicted is kept."
        ) from None
