"""Which protocol gives a published number? Tries the likely ones, the cheap evidence first.

A number that isn't reproduced may have been measured with another crop ratio, interpolation,
arithmetic or head. Each combination is a variant. A variant is first looked at on a few images: all
on which the base evaluation is undecided or its heads disagree, and a random sample of the rest.
Only variants that can still explain the published number are evaluated on all images.

What a sweep over protocols says about a published number, in words and with its odds.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from ..zoo.looks import REPRODUCED
from ..zoo.manifest import Metric, Protocol
from .judge import NEAR as CLOSE
from .judge import judge
from .predictions import UNREADABLE, Counts, Precision, Predictions
from .sample import sample_limits
from .statistics import chance_of_a_hit

# The released configs' ratio, and the one that the benchmark's text gives.
CROP_RATIOS = (0.875, 0.85)
# torchvision's Resize is bilinear where a config names nothing. Nearest is left out: no pipeline
# evaluates with it, and each further variant makes a hit by chance likelier.
INTERPOLATIONS = ("bicubic", "bilinear")
EXACT: Precision = "guarded"  # the predictions of fp32
FAST: Precision = "fast"

FIRST_SHARE = 0.1  # of the images, for the first look at a variant
ERROR = 0.01  # chance that the first look drops a variant that explains the number

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Setting:
    """What the predictions of one pass over images depend on. precision: EXACT or FAST."""

    protocol: Protocol
    precision: Precision = EXACT


@dataclass(frozen=True)
class Variant:
    """One way to get a number out of a checkpoint."""

    setting: Setting
    head: str
    changes: tuple[str, ...] = ()
    """What differs from the benchmark's protocol and the head that inference uses, in words."""

    def __str__(self) -> str:
        return ", ".join(self.changes) or "the benchmark's protocol"


@dataclass(frozen=True)
class FirstLook:
    """The images of the first look at a variant. certain: all that are likely to change.

    sample: drawn at random from `rest`; the three hold positions in the labelled list.
    """

    certain: Ints
    sample: Ints
    rest: Ints

    @property
    def indices(self) -> Ints:
        """All positions to evaluate, those likely to change first."""
        return np.concatenate([self.certain, self.sample])


@dataclass(frozen=True)
class Outcome:
    """What is known of a variant: counts on all images, or None and where its top-1 lies.

    limits: percent, at least 99% certain; both the top-1 itself where `counts` are known.
    """

    variant: Variant
    limits: tuple[float, float]
    verdict: str
    counts: Counts | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        protocol = self.variant.setting.protocol
        return {
            "variant": str(self.variant),
            "resize": protocol.resize,
            "crop": protocol.crop,
            "interpolation": protocol.interpolation,
            "precision": self.variant.setting.precision,
            "head": self.variant.head,
            "correct": self.counts.correct if self.counts else None,
            "total": self.counts.total if self.counts else None,
            "top1": self.counts.top1 if self.counts else None,
            "limits99": list(self.limits),
            "verdict": self.verdict,
        }


DROPPED = "dropped after the first look"
RULES = {
    DROPPED: f"with 99% certainty more than {CLOSE:.2f} points from the published number",
}

Evaluate = Callable[[Setting, Ints], Mapping[str, Predictions]]
"""Predicts images (positions in the labelled list) under a setting: head -> predictions of all N
images, where others than the asked ones may be pending."""


def settings(protocol: Protocol) -> list[Setting]:
    """The protocol itself, then what differs from it in more and more."""
    sides = dict.fromkeys([protocol.resize, *(int(protocol.crop / ratio) for ratio in CROP_RATIOS)])
    kinds = dict.fromkeys([protocol.interpolation, *INTERPOLATIONS])
    found = [
        Setting(msgspec.structs.replace(protocol, resize=side, interpolation=kind), precision)
        for side, kind, precision in product(sides, kinds, (EXACT, FAST))
    ]
    return sorted(found, key=lambda setting: len(_changes(setting, protocol)))


def variants(protocol: Protocol, heads: Sequence[str]) -> list[Variant]:
    """All settings with all heads, those that change least first; heads: the default first."""
    found = [
        Variant(
            setting,
            head,
            (*_changes(setting, protocol), *([f"head {head}"] if head != heads[0] else [])),
        )
        for setting, head in product(settings(protocol), heads)
    ]
    return sorted(found, key=lambda variant: len(variant.changes))


def attention(base: Mapping[str, Predictions]) -> Ints:
    """Positions of the readable images, those likeliest to change first.

    base: head -> predictions. First the images on which heads disagree, then the others; both by
    the smallest margin that any head has.
    """
    known = list(base.values())
    best = np.stack([one.top[:, 0] for one in known])  # (heads, N)
    margin = np.stack([one.margin for one in known]).min(axis=0)
    agreed = (best == best[0]).all(axis=0)
    order = np.lexsort((margin, agreed))  # by the last key first
    readable = known[0].state[order] != UNREADABLE
    return order[readable].astype(np.int64)


def first_look(
    base: Mapping[str, Predictions], *, share: float = FIRST_SHARE, seed: int = 0
) -> FirstLook:
    """Choose the images of the first look: half of them by `attention`, half at random.

    share: of all images, in (0, 1]. seed: of the random half.
    """
    order = attention(base)
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


def can_explain(limits: tuple[float, float], reported: float) -> bool:
    """Whether a top-1 within these limits may be the published one, or close to it; all percent."""
    return limits[0] - CLOSE <= reported <= limits[1] + CLOSE


def sweep(
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
    reported: the published top-1 in percent; metric: what it is.
    """
    look = first_look(base, share=share, seed=seed)
    everything = attention(base)
    found = variants(protocol, list(base))
    for setting in settings(protocol):
        known: Mapping[str, Predictions] = base
        dropped: dict[str, tuple[float, float]] = {}
        if setting != Setting(protocol):
            known = evaluate(setting, look.indices)
            limits = {head: project(base[head], known[head], look) for head in base}
            if any(can_explain(one, reported) for one in limits.values()):
                known = evaluate(setting, everything)
            else:
                dropped = limits
        for variant in (v for v in found if v.setting == setting):
            yield _outcome(
                variant, known[variant.head], dropped.get(variant.head), reported, metric
            )


def _outcome(
    variant: Variant,
    known: Predictions,
    limits: tuple[float, float] | None,
    reported: float,
    metric: Metric,
) -> Outcome:
    if limits:
        return Outcome(variant, limits, DROPPED)
    counts = known.counts()
    verdict = judge({variant.head: counts}, reported, metric).word
    return Outcome(variant, (counts.top1, counts.top1), verdict, counts)


def _changes(setting: Setting, protocol: Protocol) -> tuple[str, ...]:
    changed = [
        f"{name} {getattr(setting.protocol, name)}"
        for name in ("resize", "interpolation")
        if getattr(setting.protocol, name) != getattr(protocol, name)
    ]
    return (*changed, *(["fast arithmetic"] if setting.precision == FAST else []))


UNLIKELY = 0.05


@dataclass(frozen=True)
class Explanation:
    """hits: variants that give the published digits, the one that changes least first.

    closest: the one nearest to it among those evaluated in full. chance: of a hit by chance, see
    `chance_of_a_hit`. sentences: all of it in words.
    """

    hits: tuple[Outcome, ...]
    closest: Outcome
    chance: float
    sentences: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "hits": [str(outcome.variant) for outcome in self.hits],
            "closest": str(self.closest.variant),
            "chance_of_a_hit": self.chance,
            "sentences": list(self.sentences),
        }


def explain(outcomes: Sequence[Outcome], reported: float, metric: Metric) -> Explanation:
    """Say which variants give the published top-1 (percent), and how much that means.

    outcomes: of `sweep`; at least one was evaluated in full (the base always is).
    """
    full = [outcome for outcome in outcomes if outcome.counts]
    hits = sorted(
        (outcome for outcome in full if outcome.verdict == REPRODUCED),
        key=lambda outcome: len(outcome.variant.changes),
    )
    closest = min(full, key=lambda o: (abs(o.limits[0] - reported), len(o.variant.changes)))
    chance = chance_of_a_hit([sum(o.limits) / 2 for o in outcomes], reported, metric.decimals)
    sentences = [
        _result(hits, closest, outcomes, reported, metric),
        _odds(hits, chance, len(outcomes)),
        *_dropped(outcomes),
    ]
    return Explanation(tuple(hits), closest, chance, tuple(filter(None, sentences)))


def _result(
    hits: Sequence[Outcome],
    closest: Outcome,
    outcomes: Sequence[Outcome],
    reported: float,
    metric: Metric,
) -> str:
    published = f"{reported:.{metric.decimals}f}"
    if not hits:
        gap = closest.limits[0] - reported
        return (
            f"No variant gives {published}: of {len(outcomes)}, {closest.variant} comes closest with "
            f"{closest.limits[0]:.{metric.decimals + 1}f} ({gap:+.{metric.decimals + 1}f} points)."
        )
    if not hits[0].variant.changes:
        more = f" (as do {len(hits) - 1} of {len(outcomes) - 1} others)" if len(hits) > 1 else ""
        return f"Nothing to explain: the benchmark's protocol gives {published}{more}."
    named = "; ".join(str(hit.variant) for hit in hits)
    return f"{len(hits)} of {len(outcomes)} variants give {published}: {named}."


def _odds(hits: Sequence[Outcome], chance: float, tried: int) -> str:
    if not hits or not hits[0].variant.changes:
        return ""
    meaning = (
        "so this is unlikely to be luck"
        if chance < UNLIKELY
        else "so this alone is weak evidence; ask the checkpoint's config and the training log"
    )
    return (
        f"By chance: {tried} variants were tried; a number picked at random from the span of their "
        f"results would be given by one of them with probability {chance:.2f}, {meaning}."
    )


def _dropped(outcomes: Sequence[Outcome]) -> list[str]:
    dropped = [outcome for outcome in outcomes if outcome.verdict == DROPPED]
    if not dropped:
        return []
    return [f"{len(dropped)} of {len(outcomes)} variants were {DROPPED}: {RULES[DROPPED]}."]
