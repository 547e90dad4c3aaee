"""What a sweep over protocols says about a published number, in words and with its odds."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..zoo.manifest import Metric
from .sweep import DROPPED, RULES, Outcome
from .verdict import REPRODUCED

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


def chance_of_a_hit(values: Sequence[float], reported: float, decimals: int) -> float:
    """Probability that some variant gives the digits of a number that has nothing to do with them.

    That number is taken as uniform over the span of the variants' values and the published one;
    each variant covers what rounds to its digits, and overlaps count once. All in percent.
    """
    half = 0.5 * 10**-decimals
    low, high = min(*values, reported) - half, max(*values, reported) + half
    covered, end = 0.0, low
    for value in sorted(values):
        covered += max(0.0, value + half - max(end, value - half))
        end = max(end, value + half)
    return min(1.0, covered / (high - low))


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
