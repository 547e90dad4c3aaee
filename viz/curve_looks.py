"""Which curves of one or several runs are drawn, and how each looks."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ..eval.logs.summaries import MEDIAN
from ..zoo.errors import UsageError
from .axes import marker_of
from .runs import Run, short_names
from .themes import Theme

DASHES: tuple[Any, ...] = ("solid", (0, (5, 1.6)), (0, (1.2, 1.4)), (0, (6, 1.5, 1.2, 1.5)))


@dataclass(frozen=True)
class Curve:
    """One head of one run and how it looks."""

    run: Run
    head: str
    label: str
    colour: str
    dashes: Any
    marker: str

    @property
    def look(self) -> dict[str, Any]:
        """Of its lines."""
        return {"color": self.colour, "linestyle": self.dashes, "linewidth": 1.5}

    @cached_property
    def values(self) -> dict[int, float]:
        """Epoch -> top-1, percent."""
        return self.run.top1(self.head)

    @property
    def numbers(self) -> str:
        """`median 64.730, published 64.73`."""
        claim = self.run.audit.claim
        parts = []
        for rule in dict.fromkeys((claim.rule, MEDIAN)):
            value = self.run.value(self.head, rule)
            text = "not complete" if value is None else f"{value:.{claim.decimals + 1}f}"
            parts.append(f"{rule} {text}")
        if claim.top1 is not None:
            parts.append(f"published {claim.top1:.{claim.decimals}f}")
        return ", ".join(parts)


def choose_curves(runs: Sequence[Run], heads: Sequence[str] | None, theme: Theme) -> list[Curve]:
    """A curve for each head that is drawn: all of one run, the first of several, or those named.

    Of one run, heads differ in everything; of several, runs do, and heads in their dashes.
    Raises UsageError for no run, or a head that no run has.
    """
    if not runs:
        raise UsageError("Expected at least one training log to draw, got none.")
    names = short_names([run.audit.name for run in runs])
    shown = [_shown(run, heads, alone=len(runs) == 1) for run in runs]
    if not any(shown):
        known = dict.fromkeys(head for run in runs for head in run.heads)
        raise UsageError(
            f"No log has the head {' or '.join(heads or ())}; expected one of {', '.join(known)}."
        )
    several_heads = any(len(one) > 1 for one in shown)
    found: list[Curve] = []
    for place, (run, name) in enumerate(zip(runs, names, strict=True)):
        for nth, head in enumerate(shown[place]):
            turn = nth if len(runs) == 1 else place
            dashes = nth if several_heads else place
            found.append(
                Curve(
                    run,
                    head,
                    _label(run, name, head, alone=len(runs) == 1),
                    theme.series[turn % len(theme.series)],
                    DASHES[(dashes + turn // len(theme.series)) % len(DASHES)],
                    marker_of(turn),
                )
            )
    return found


def _label(run: Run, name: str, head: str, *, alone: bool) -> str:
    """A run's only head isn't worth a word, nor is the name of the only run."""
    if alone:
        return head
    return f"{name} {head}" if len(run.heads) > 1 else name


def _shown(run: Run, heads: Sequence[str] | None, *, alone: bool) -> tuple[str, ...]:
    """The heads of a run that are drawn."""
    if heads is not None:
        return tuple(head for head in run.heads if head in heads)
    return run.heads if alone else run.heads[:1]
