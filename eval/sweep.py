"""Which protocol gives a published number? Tries the likely ones, the cheap evidence first.

A number that isn't reproduced may have been measured with another crop ratio, interpolation,
arithmetic or head. Each combination is a variant. A variant is first looked at on a few images: all
on which the base evaluation is undecided or its heads disagree, and a random sample of the rest.
Only variants that can still explain the published number are evaluated on all images.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Any

import msgspec
import numpy as np
from tqdm import tqdm

from ..zoo.errors import UsageError
from ..zoo.looks import REPRODUCED, signed
from ..zoo.manifest import Metric, Protocol
from ..zoo.net.progress import tell
from .crops import Work
from .evaluate import Request, prepare
from .jobs import load_models, predict, recall
from .judge import judge, slack
from .predictions import UNREADABLE, Counts, Ints, Precision, Predictions
from .sample import sample_limits
from .statistics import chance_of_a_hit
from .world import World

# The released configs' ratio, and the one that the benchmark's text gives.
CROP_RATIOS = (0.875, 0.85)
# torchvision's Resize is bilinear where a config names nothing. Nearest is left out: no pipeline
# evaluates with it, and each further variant makes a hit by chance likelier.
INTERPOLATIONS = ("bicubic", "bilinear")
EXACT: Precision = "guarded"  # the predictions of fp32, in every network tried
FAST: Precision = "fast"

FIRST_SHARE = 0.1  # of the images, for the first look at a variant
ERROR = 0.01  # chance that the first look drops a variant that explains the number
UNLIKELY = 0.05
DROPPED = "dropped after the first look"


@dataclass(frozen=True)
class Setting:
    """What the predictions of one pass over images depend on. precision: EXACT or FAST."""

    protocol: Protocol
    precision: Precision = EXACT

    def changes(self, protocol: Protocol) -> tuple[str, ...]:
        """What differs from a protocol in exact arithmetic, in words."""
        changed = [
            f"{name} {getattr(self.protocol, name)}"
            for name in ("resize", "interpolation")
            if getattr(self.protocol, name) != getattr(protocol, name)
        ]
        return (*changed, *(["fast arithmetic"] if self.precision == FAST else []))


def settings(protocol: Protocol) -> list[Setting]:
    """The protocol itself, then what differs from it in more and more."""
    sides = dict.fromkeys([protocol.resize, *(int(protocol.crop / ratio) for ratio in CROP_RATIOS)])
    kinds = dict.fromkeys([protocol.interpolation, *INTERPOLATIONS])
    found = [
        Setting(msgspec.structs.replace(protocol, resize=side, interpolation=kind), precision)
        for side, kind, precision in product(sides, kinds, (EXACT, FAST))
    ]
    return sorted(found, key=lambda setting: len(setting.changes(protocol)))


@dataclass(frozen=True)
class Outcome:
    """What is known of a variant: counts on all images, or None and where its top-1 lies.

    changes: what differs from the benchmark's protocol and the head that inference uses, in words.
    limits: percent, at least 99% certain; both the top-1 itself where `counts` are known.
    """

    setting: Setting
    head: str
    changes: tuple[str, ...]
    limits: tuple[float, float]
    verdict: str
    counts: Counts | None = None

    def __str__(self) -> str:
        return ", ".join(self.changes) or "the benchmark's protocol"

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        protocol = self.setting.protocol
        return {
            "variant": str(self),
            "resize": protocol.resize,
            "crop": protocol.crop,
            "interpolation": protocol.interpolation,
            "precision": self.setting.precision,
            "head": self.head,
            "correct": self.counts.correct if self.counts else None,
            "total": self.counts.total if self.counts else None,
            "top1": self.counts.top1 if self.counts else None,
            "limits99": list(self.limits),
            "verdict": self.verdict,
        }


@dataclass(frozen=True)
class FirstLook:
    """The images of the first look at a variant. certain: all that are likely to change.

    sample: drawn at random from `rest`; the three hold positions in the labelled list.
    """

    certain: Ints
    sample: Ints
    rest: Ints


def first_look(
    base: Mapping[str, Predictions], *, share: float = FIRST_SHARE, seed: int = 0
) -> FirstLook:
    """Choose the images of the first look: half of them the likeliest to change, half at random.

    base: head -> predictions. Likeliest to change are images on which heads disagree, then the
    others; both by the smallest margin that any head has. Unreadable images are in none of the
    parts. share: of all readable images, in (0, 1]. seed: of the random half.
    """
    known = list(base.values())
    best = np.stack([one.top[:, 0] for one in known])  # (heads, N)
    margin = np.stack([one.margin for one in known]).min(axis=0)
    agreed = (best == best[0]).all(axis=0)
    order = np.lexsort((margin, agreed))  # by the last key first
    order = order[known[0].state[order] != UNREADABLE].astype(np.int64)
    half = round(share * len(order) / 2)
    certain, rest = order[:half], order[half:]
    drawn = np.random.default_rng(seed).permutation(len(rest))[:half]
    return FirstLook(certain, rest[np.sort(drawn)], rest)


def project(base: Predictions, seen: Predictions, look: FirstLook) -> tuple[float, float]:
    """Where the top-1 of a variant on all images lies, in percent, with probability 0.99.

    base: one head's predictions of all images under the base setting. seen: the same head's under
    the variant, of the images of the look at least. Of the images left to chance, the base's wrong
    ones can only be gained and its right ones only lost; the number of each has an exact
    hypergeometric interval, and both hold together at the stated probability (Bonferroni).
    """
    kept = int(seen.correct[look.certain].sum())
    limits = [(0, 0)]
    for right in (False, True):
        stratum = look.rest[base.correct[look.rest] == right]
        if not len(stratum):
            continue
        sample = look.sample[base.correct[look.sample] == right]
        hits = int(seen.correct[sample].sum())
        limits.append(sample_limits(hits, [len(sample)], [len(stratum)], confidence=1 - ERROR / 2))
    low, high = (kept + sum(side) for side in zip(*limits, strict=True))
    return 100 * low / len(base), 100 * high / len(base)


Evaluate = Callable[[Setting, Ints], Mapping[str, Predictions]]
"""Predicts images (positions in the labelled list) under a setting: head -> predictions of all N
images, where others than the asked ones may be pending."""


def try_variants(
    protocol: Protocol,
    base: Mapping[str, Predictions],
    evaluate: Evaluate,
    *,
    reported: float,
    metric: Metric,
    share: float = FIRST_SHARE,
    seed: int = 0,
) -> Iterator[Outcome]:
    """Try all variants; yields the outcome of each, of all heads of a setting together.

    base: head -> predictions of all images under `protocol`, the default head first. evaluate:
    called once or twice a setting, with the images of the first look, then with all that are left.
    reported: the published top-1 in percent; metric: what it is. share, seed: see `first_look`.
    """
    look = first_look(base, share=share, seed=seed)
    seen = np.concatenate([look.certain, look.sample])
    room = slack(metric)
    for setting in settings(protocol):
        known: Mapping[str, Predictions] = base
        limits: dict[str, tuple[float, float]] = {}
        if setting != Setting(protocol):
            known = evaluate(setting, seen)
            limits = {head: project(base[head], known[head], look) for head in base}
            if any(low - room <= reported <= high + room for low, high in limits.values()):
                known, limits = evaluate(setting, np.concatenate([look.certain, look.rest])), {}
        for place, head in enumerate(base):
            changes = (*setting.changes(protocol), *([f"head {head}"] if place else []))
            if limits:
                yield Outcome(setting, head, changes, limits[head], DROPPED)
                continue
            counts = known[head].counts()
            verdict = judge({head: counts}, reported, metric).word
            top1 = (counts.top1, counts.top1)
            yield Outcome(setting, head, changes, top1, verdict, counts)


@dataclass(frozen=True)
class Sweep:
    """All variants of one checkpoint, and what they say. reported: published top-1, percent.

    At least one outcome has counts: the base's always does.
    """

    id: str
    reported: float
    metric: Metric
    outcomes: tuple[Outcome, ...]

    @cached_property
    def hits(self) -> list[Outcome]:
        """Variants that give the published digits, the one that changes least first."""
        found = [outcome for outcome in self.outcomes if outcome.verdict == REPRODUCED]
        return sorted(found, key=lambda outcome: len(outcome.changes))

    @cached_property
    def closest(self) -> Outcome:
        """The one nearest to the published number among those evaluated in full."""
        full = [outcome for outcome in self.outcomes if outcome.counts]
        return min(full, key=lambda o: (abs(o.limits[0] - self.reported), len(o.changes)))

    @cached_property
    def chance(self) -> float:
        """Of a hit by chance, see `chance_of_a_hit`."""
        middles = [sum(outcome.limits) / 2 for outcome in self.outcomes]
        return chance_of_a_hit(middles, self.reported, self.metric.decimals)

    @property
    def sentences(self) -> list[str]:
        """Which variants give the published number, how much that means, and what was dropped."""
        dropped = [outcome for outcome in self.outcomes if outcome.verdict == DROPPED]
        told = [self._result()]
        if self.hits and self.hits[0].changes:
            told.append(self._odds())
        if dropped:
            told.append(
                f"{len(dropped)} of {len(self.outcomes)} variants were {DROPPED}: with "
                f"{1 - ERROR:.0%} certainty more than {slack(self.metric):.2f} points from the "
                "published number."
            )
        return told

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "id": self.id,
            "reported_top1": self.reported,
            "variants": [outcome.to_dict() for outcome in self.outcomes],
            "hits": [str(outcome) for outcome in self.hits],
            "closest": str(self.closest),
            "chance_of_a_hit": self.chance,
            "sentences": self.sentences,
        }

    def _result(self) -> str:
        tried, digits = len(self.outcomes), self.metric.decimals
        published = f"{self.reported:.{digits}f}"
        if not self.hits:
            top1, digits = self.closest.limits[0], digits + 1
            return (
                f"No variant gives {published}: of {tried}, {self.closest} comes closest with "
                f"{top1:.{digits}f} ({signed(top1 - self.reported, digits)} points)."
            )
        if not self.hits[0].changes:
            more = f" (as do {len(self.hits) - 1} of {tried - 1} others)" if self.hits[1:] else ""
            return f"Nothing to explain: the benchmark's protocol gives {published}{more}."
        named = "; ".join(map(str, self.hits))
        return f"{len(self.hits)} of {tried} variants give {published}: {named}."

    def _odds(self) -> str:
        meaning = (
            "so this is unlikely to be luck"
            if self.chance < UNLIKELY
            else "so this alone is weak evidence; ask the checkpoint's config and the training log"
        )
        return (
            f"By chance: {len(self.outcomes)} variants were tried; a number picked at random from "
            "the span of their results would be given by one of them with probability "
            f"{self.chance:.2f}, {meaning}."
        )


def sweep(request: Request, world: World, *, quiet: bool = False) -> Sweep:
    """Try the likely protocols on the request's one checkpoint, against its row's number.

    The same result on every rank. Predictions are kept in the store, so an interrupted sweep goes
    on. Raises UsageError where there is nothing to explain: several checkpoints, no published
    number.
    """
    found = prepare(request, world)
    for note in found.images.notes:
        tell(note)
    checkpoint, row = found.checkpoints[0], found.checkpoints[0].row
    if len(found.checkpoints) + len(found.failures) > 1:
        raise UsageError("A sweep explains one number; expected one REF. Sweep each by itself.")
    if row is None or row.reported_top1 is None or checkpoint.benchmark is None:
        raise UsageError(
            f"{checkpoint.name}: expected a published number to explain, there is none. Name the "
            "row that the file is judged as: --row ROW"
        )
    images, reported = found.images, row.reported_top1
    metric = checkpoint.benchmark.manifest.metric

    def evaluate(setting: Setting, indices: Ints) -> Mapping[str, Predictions]:
        job = recall(
            checkpoint, images, setting.protocol, setting.precision, world, fresh=request.fresh
        )
        if not job.from_store:
            work = Work(images, setting.protocol, request.batch_size, request.workers)
            order = None if len(indices) == len(images) else indices.tolist()
            predict([job], load_models([job], world, work.batch_size), work, world, order=order)
        if job.error:
            raise job.error
        return {head: job.heads[head] for head in job.weights.heads}

    outcomes: list[Outcome] = []
    off = True if quiet or not world.leads else None  # None: off where stderr isn't a terminal
    total = len(settings(found.protocol))
    with tqdm(total=total, desc=checkpoint.name, unit="setting", disable=off) as passes:
        base = evaluate(Setting(found.protocol), np.arange(len(images)))
        for outcome in try_variants(
            found.protocol, base, evaluate, reported=reported, metric=metric
        ):
            outcomes.append(outcome)
            passes.update(len({o.setting for o in outcomes}) - passes.n)
    return Sweep(checkpoint.name, reported, metric, tuple(outcomes))
