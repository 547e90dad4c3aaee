"""The judge: is a recomputed number the benchmark's own, and does it give the published one?

Recomputing on the same images is no sampling: a faithful checkpoint under the faithful protocol
gives its number again, up to a handful of images on which arithmetic or a decoder decides, and no
interval excuses more. What may lie between a checkpoint and a table is known: the table may report
a median over the last epochs, while a checkpoint is one of them. The training log settles that,
so two questions are asked of it: is this file the run that the log tells of, and does that run give
the table's number? Both answers together are worth as much as the number itself.

A table has one number a row. AutoMix's and SAMix's checkpoints have four heads, and the table names
none; so the row gets one verdict, from the heads that its number can be of.

A retrained row is another draw: no seed's number is another's. So a run by itself is only named,
and runs of one recipe are judged together: is the published number as far from them as one more
run?

The rules stand in docs/verdicts.md; `python benchmarks/verdicts.py` measures how often they err.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean, stdev

from ..zoo.catalog import Benchmark
from ..zoo.looks import (
    CLOSE,
    CONSISTENT,
    DIFFERS,
    FEW_SEEDS,
    MATCHES_LOG,
    NO_NUMBER,
    NOT_COMPARABLE,
    NOT_ITS_LOG,
    NOT_REPRODUCED,
    OUTSIDE_SEEDS,
    REPRODUCED,
    RETRAINED,
    WITHIN_SEEDS,
    signed,
)
from ..zoo.manifest import Metric, Protocol
from .logs import LogAudit, heads_of_the_number, rounds_to
from .logs.summaries import PAIRS, ROUNDING
from .predictions import Counts, Precision
from .protocol import changes
from .statistics import chance_of_a_hit, student

NEAR = 0.10  # points; as much has been seen between fp32 and bf16
HANDFUL = 0.05  # points; other decoders and processors flip fewer images (12 of 24,426)
SCATTER = 0.25  # points; 99% of honest last epochs lie so near their median of five (sd 0.09)
FAR = 1.0  # points; eleven standard deviations of an honest last epoch
OUTLIER = 3.0  # times the range of the window's other epochs: 1 in 100 honest ones lies further
ENOUGH = 3  # seeds
FEW_SEEDED = 5  # up to so many seeds an interval is called wide
MANY_SEEDS = 1.96  # standard deviations: half the interval that very many seeds would make
LOG_ROUNDING = 1e-5  # points: half a unit of a log's last digit, and what single precision adds

RULES = {
    REPRODUCED: "the recomputed number rounds to the published digits; or the file matches its log, and "
    "the statistic that the table names, taken from the log, rounds to them",
    CONSISTENT: f"at most {SCATTER:.2f} points from a median over the last epochs, as 99 of 100 "
    "honest last epochs are; whether the run gives the table's number, its training log decides",
    CLOSE: f"other digits, but at most {NEAR:.2f} points away, which arithmetic explains",
    DIFFERS: f"more than {SCATTER:.2f} points from a median over the last epochs, at most {FAR:g}; "
    "whether the file or the table is at fault, its training log decides",
    NOT_REPRODUCED: "further from the published number than arithmetic and the choice of the epoch "
    "explain",
    NOT_COMPARABLE: "not measured on the table's images, with its pixels and in fp32's arithmetic, or "
    "retrained by another recipe",
    NO_NUMBER: "nothing to compare with",
    RETRAINED: f"not the released weights but trained again, so one draw among seeds: {ENOUGH} runs or "
    "more of one recipe are judged together",
    WITHIN_SEEDS: f"the published number lies where one more run of the recipe would in 95 of 100 cases "
    f"(Student's prediction interval from {ENOUGH} seeds or more); from few seeds that is a wide "
    "interval and a weak statement",
    OUTSIDE_SEEDS: "the published number lies outside of that interval, as 5 of 100 honest ones do",
    FEW_SEEDS: f"fewer than {ENOUGH} seeds don't tell how far seeds scatter",
    MATCHES_LOG: f"every head within one image or {HANDFUL:.2f} points of what the log says of "
    "this epoch, and the log passes its own audit",
    NOT_ITS_LOG: "another number than the log says of this epoch: not the logged run's file, or "
    "not evaluated as it was",
}
_ORDER = (REPRODUCED, CLOSE, CONSISTENT, DIFFERS, NOT_REPRODUCED)


@dataclass(frozen=True)
class Conditions:
    """Under what a number was measured.

    images: how many. list_sha256: of the labelled list. files_sha256: of list and image bytes;
    None if it wasn't asked for. unreadable: images that count as wrong because they can't be read.
    """

    images: int
    list_sha256: str
    files_sha256: str | None
    unreadable: int
    protocol: Protocol
    precision: Precision

    def differ_from(self, benchmark: Benchmark) -> str | None:
        """Why numbers measured so aren't the benchmark's own, None if they are."""
        return next(self._differences(benchmark), None)

    def _differences(self, benchmark: Benchmark) -> Iterator[str]:
        val, published = benchmark.manifest.dataset.val, benchmark.manifest.protocol
        if self.unreadable:
            yield f"{self.unreadable} of {self.images} images can't be read and count as wrong"
        if val.images is None:
            yield f"{self.images} images; how many the table was measured on is not known"
        elif self.images != val.images:
            yield f"{self.images} images, the table's validation set has {val.images}"
        elif val.list_sha256 not in (None, self.list_sha256):
            yield "as many images, but another list of paths and labels"
        elif val.files_sha256 not in (None, self.files_sha256):
            yield (
                "the listed images, but not with the locked bytes (drawn by another Pillow, or "
                "damaged: remove their folder and prepare it again)"
            )
        if changed := changes(self.protocol, published):
            told = ", ".join(f"{name} {text}" for name, text in changed.items())
            yield f"other pixels than the table's: {told}"
        if self.precision == "fast":
            yield "fast arithmetic, so that single predictions may not be fp32's"


@dataclass(frozen=True)
class Logged:
    """What a training log says of a checkpoint.

    epoch: the checkpoint's. top1: head -> percent at this epoch. others: head -> percent at the
    other epochs of the table's statistic; empty where the epoch isn't one of these. given_by: the
    heads whose statistic rounds to the published number; None where the log lacks epochs for it.
    statistic: it in words. values: head -> it in percent. problem: why the log can't vouch for
    anything, None if it can.
    """

    epoch: int
    top1: Mapping[str, float]
    others: Mapping[str, Sequence[float]]
    given_by: Collection[str] | None
    statistic: str
    problem: str | None = None
    values: Mapping[str, float] = field(default_factory=dict)

    def matches(self, counts: Mapping[str, Counts]) -> bool | None:
        """Whether all heads give the log's numbers again; None if they have none in common."""
        common = counts.keys() & self.top1.keys()
        return all(self.off_by(head, counts[head])[1] for head in common) if common else None

    def off_by(self, head: str, counts: Counts) -> tuple[float, bool]:
        """Recomputed minus logged in images, and whether that is one image or a handful at most."""
        points = counts.top1 - self.top1[head]
        slack = max(HANDFUL, 100 / counts.total) + LOG_ROUNDING
        return points / 100 * counts.total, abs(points) <= slack


@dataclass(frozen=True)
class Verdict:
    """word: a key of RULES. why: the numbers that its rule was applied to, one sentence.

    head: the head that carries the verdict. log: MATCHES_LOG, NOT_ITS_LOG, or None where no
    log answers.
    """

    word: str
    why: str
    head: str
    log: str | None = None


def judge(
    counts: Mapping[str, Counts],
    reported: float | None,
    metric: Metric,
    *,
    not_comparable: str | None = None,
    logged: Logged | None = None,
    retrained: bool = False,
) -> Verdict:
    """Judge a checkpoint's heads against its row's published top-1.

    counts: head -> hits, the head that inference uses first. reported: percent, or None if nothing
    was published. not_comparable: see `Conditions.differ_from`. logged: see `what_log_says`.
    retrained: whether it is a run of its own, which gets no word but that.
    """
    first = next(iter(counts))
    if reported is None:
        return Verdict(NO_NUMBER, RULES[NO_NUMBER], first)
    if not_comparable:
        return Verdict(NOT_COMPARABLE, not_comparable, first)
    matches = logged.matches(counts) if logged and not logged.problem else None
    candidates = heads_of_the_number({head: one.top1 for head, one in counts.items()})
    if logged and matches:  # the better head by the table's statistic may be another in one epoch
        told = [head for head in logged.given_by or () if head in counts]
        candidates = list(dict.fromkeys([*candidates, *told]))
    if retrained:
        candidates = [first]  # best of several heads would be no single draw
    words = {
        head: RETRAINED
        if retrained
        else _word(head, counts[head].top1, reported, metric, logged, matches)
        for head in candidates
    }
    head = first if retrained else min(candidates, key=lambda one: _ORDER.index(words[one]))
    says = None if matches is None else MATCHES_LOG if matches else NOT_ITS_LOG
    why = [_numbers(counts[head], reported, metric)]
    if len(candidates) > 1:
        why.append(_heads_tried(head, candidates, counts, reported, metric))
    if logged:
        why.append(_log_in_words(logged, head, counts[head]))
    return Verdict(words[head], "; ".join(why), head, says)


@dataclass(frozen=True)
class Spread:
    """What runs of several seeds give together; percent, with 95% confidence where it says so.

    word: a key of RULES. why: the numbers behind it. of_mean: where the recipe's mean lies.
    of_next: where one more run does. Both are None below ENOUGH seeds.
    """

    word: str
    why: str
    mean: float | None
    of_mean: tuple[float, float] | None = None
    of_next: tuple[float, float] | None = None


def judge_seeds(
    top1: Mapping[int, float],
    reported: float | None,
    metric: Metric,
    *,
    images: int,
    not_comparable: str | None = None,
) -> Spread:
    """Judge a published top-1 as one draw among runs of one recipe.

    top1: seed -> percent of its run, by the statistic that the table names. images: that each was
    validated on. not_comparable: why the runs aren't draws of the published recipe. Counts are
    whole and tables rounded, so half a digit and one image beside the interval are in it.
    """
    values, n = list(top1.values()), len(top1)
    mean = fmean(values) if values else None
    told = ", ".join(
        f"{value:.{metric.decimals + 1}f} (seed {seed})" for seed, value in top1.items()
    )
    why = [told or "no run counts"]
    of_mean = of_next = None
    if mean is not None and n >= ENOUGH:
        around, beside = (sds * stdev(values) for sds in student(n))
        of_mean, of_next = (
            (max(0.0, mean - half), min(100.0, mean + half)) for half in (around, beside)
        )
        why.append(
            f"mean {mean:.2f} (95% interval {of_mean[0]:.2f} to {of_mean[1]:.2f}); one more run: "
            f"{of_next[0]:.2f} to {of_next[1]:.2f} in 95 of 100 cases"
        )
    if reported is not None:
        why.append(f"published {reported:.{metric.decimals}f}")
    if reported is None:
        word = NO_NUMBER
    elif not_comparable:
        word = NOT_COMPARABLE
        why.append(not_comparable)
    elif of_next is None:
        word = FEW_SEEDS
        why.append(
            f"{ENOUGH - n} more seed{'s' * (ENOUGH - n > 1)} needed to tell how far seeds scatter"
        )
    else:
        room = 0.5 * 10**-metric.decimals + 100 / images + ROUNDING
        within = of_next[0] - room <= reported <= of_next[1] + room
        word = WITHIN_SEEDS if within else OUTSIDE_SEEDS
    if of_next and n <= FEW_SEEDED:
        why.append(
            f"{n} seeds make a wide interval, {student(n)[1]:.1f} standard deviations either way "
            f"where many would make {MANY_SEEDS}"
        )
    return Spread(word, "; ".join(why), mean, of_mean, of_next)


def slack(metric: Metric) -> float:
    """How far, in points, a faithful checkpoint may lie from a table whose logs aren't at hand."""
    return SCATTER if metric.statistic == "median_of_last_epochs" else NEAR


def what_log_says(
    audit: LogAudit,
    epoch: object,
    reported: float | None,
    *,
    not_comparable: str | None = None,
) -> Logged | None:
    """What a log says of a checkpoint of its run; None if it has no accuracy of any head.

    epoch: that the checkpoint says it was written after; the log's last one where it says none.
    not_comparable: see `Conditions.differ_from`; what wasn't measured as the benchmark's numbers
    are is held against no log either, and there is None.
    """
    if not_comparable:
        return None
    log, claim = audit.log, audit.claim
    series = {head: log.series(f"{head}_top1") for head in log.heads}
    epochs = set().union(*series.values())
    if not epochs:
        return None
    at = epoch if isinstance(epoch, int) and epoch in epochs else max(epochs)
    named = {s.head: s for s in audit.summaries if s.rule == claim.rule}
    window = {e for summary in named.values() for e in summary.epochs}
    values, given_by = audit.table_values, None
    if values and reported is not None:
        by = {one.head for one in values if rounds_to(one.value, reported, claim.decimals)}
        given_by = [one.head for one in values if by & {one.head, PAIRS.get(one.head)}]
    printed = dict.fromkeys(f"{one.value:.3f}" for one in values)
    return Logged(
        epoch=at,
        top1={head: float(of[at]) for head, of in series.items() if at in of},
        others={
            head: [float(of[e]) for e in sorted(window - {at}) if e in of] if at in window else []
            for head, of in series.items()
        },
        given_by=given_by,
        statistic=f"{claim.rule} {' or '.join(printed)}",
        problem=audit.problem,
        values={head: one.value for head, one in named.items()},
    )


def _word(
    head: str,
    top1: float,
    reported: float,
    metric: Metric,
    logged: Logged | None,
    matches: bool | None,
) -> str:
    gap = abs(top1 - reported)
    if rounds_to(top1, reported, metric.decimals):
        return REPRODUCED
    given_by = None
    if logged is not None and matches is not None:
        given_by = logged.given_by
        if given_by and matches and head in given_by and gap <= _allowed(logged, head):
            return REPRODUCED
    undecided_median = metric.statistic == "median_of_last_epochs" and given_by is None
    if undecided_median and gap <= SCATTER + ROUNDING:
        return CONSISTENT
    if gap <= NEAR + ROUNDING:
        return CLOSE
    return DIFFERS if undecided_median and gap <= FAR + ROUNDING else NOT_REPRODUCED


def _allowed(logged: Logged, head: str) -> float:
    """How far a checkpoint may lie from its run's number: as its neighbours in the window scatter.

    Without a limit, one line typed into a log would turn any number green.
    """
    others = logged.others.get(head, ())
    return max(SCATTER, OUTLIER * (max(others) - min(others)) if others else 0.0) + ROUNDING


def _numbers(counts: Counts, reported: float, metric: Metric) -> str:
    return (
        f"{counts.correct} of {counts.total} is {counts.top1:.{metric.decimals + 1}f}, published "
        f"{reported:.{metric.decimals}f}"
    )


def _heads_tried(
    head: str,
    candidates: Sequence[str],
    counts: Mapping[str, Counts],
    reported: float,
    metric: Metric,
) -> str:
    """Which head carries the verdict, and what trying several costs in certainty."""
    values = [counts[one].top1 for one in candidates]
    chance = chance_of_a_hit(values, reported, metric.decimals)
    return (
        f"that is head {head}, of {len(candidates)} that the number can be of "
        f"({', '.join(candidates)}): one published at random in their range would "
        f"be met with a chance of {100 * chance:.1f}%"
    )


def _log_in_words(logged: Logged, head: str, counts: Counts) -> str:
    if logged.problem:
        return f"its log {logged.problem}, so it vouches for nothing"
    if head not in logged.top1:
        return f"its log doesn't have head {head}"
    images, _ = logged.off_by(head, counts)
    gives = {None: ", which lacks epochs", True: "", False: ", which isn't the published number"}
    given = None if logged.given_by is None else bool(logged.given_by)
    return (
        f"epoch {logged.epoch} of its log says {logged.top1[head]:.5f} "
        f"({signed(images, 0)} images), the table's statistic of the log is the "
        f"{logged.statistic}{gives[given]}"
    )
