"""The sampled audit: evaluates images in a random order until enough is known of all of them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ..zoo.data import LabelledImages
from ..zoo.report import Sample
from . import sample
from .breakdown import supercategories
from .evaluator import Subject, Work
from .jobs import Job, predict
from .judge import NEAR, slack
from .sample import BLOCK, AuditPlan, Estimate, estimate, plan
from .stopping import Audit
from .world import World

SEQUENTIAL_CONFIDENCE = 0.96  # of the planned last look; the looks before spend the rest of the 5%


@dataclass(frozen=True)
class Sampling:
    """How a sample is drawn. images: how many; or until: the interval's width in points.

    With `until`, the audit looks after every batch and stops as soon as the interval is narrow
    enough, or excludes the published number; its error rate is that of a single look.
    """

    images: int | None = None
    until: float | None = None
    seed: int = 0

    @property
    def width(self) -> float:
        """The width, in points, that a verdict asks for."""
        return self.until or sample.WIDTH

    def plan(self, images: LabelledImages) -> AuditPlan:
        """The order in which to look, stratified by supercategory where the data tell it."""
        strata: Sequence[str | int] = supercategories(images.files, images.labels) or [0] * len(
            images
        )
        return plan(strata, seed=self.seed, block=None if self.images else BLOCK)


@dataclass(frozen=True)
class Look:
    """What a sample told. order: positions of the images seen. estimates: job -> head -> it."""

    order: list[int]
    estimates: dict[str, dict[str, Estimate]]
    unreadable: dict[int, str]


def look(
    jobs: Sequence[Job],
    subjects: Mapping[str, Subject],
    work: Work,
    world: World,
    sampling: Sampling,
    progress: Callable[[int], object] | None = None,
) -> Look:
    """Evaluate as much as is needed."""
    drawn = sampling.plan(work.images)
    if sampling.images:
        order = drawn.order[: sampling.images].tolist()
        unreadable = predict(jobs, subjects, work, world, order=order, progress=progress)
        return Look(order, _estimates(jobs, drawn, len(order)), unreadable)
    step = work.batch_size * world.size
    audits = {e.name: Audit(drawn, width=sampling.width, batch=step) for e in jobs}
    target = max(audit.target for audit in audits.values())
    unreadable: dict[int, str] = {}
    at = 0
    while at < target:
        chunk = drawn.order[at : min(at + step, target)].tolist()
        unreadable |= predict(jobs, subjects, work, world, order=chunk, progress=progress)
        at += len(chunk)
        going = [job for job in jobs if not job.error]
        for job in going:
            flags = job.heads[job.weights.heads[0]].correct[chunk]
            audits[job.name].update(flags)
        if all(_stops(audits[job.name], job) for job in going):
            break
    found = _estimates(jobs, drawn, at)
    for job in jobs:  # the audited head's interval is the one that may be looked at early
        if not job.error:
            found[job.name][job.weights.heads[0]] = audits[job.name].estimate
    return Look(drawn.order[:at].tolist(), found, unreadable)


def describe(sampling: Sampling, look: Look, job: Job) -> Sample:
    """How the sample was drawn and what it can't see of a job's published number, for the report."""
    seen, total = len(look.order), len(job.images)
    blind: list[str] = []
    if job.row and job.row.reported_top1 is not None:
        blind = sample.cannot_detect(
            seen=seen,
            total=total,
            classes=len(job.images.class_counts()),
            reported=job.row.reported_top1,
            slack=_slack(job),
            confidence=0.95 if sampling.images else SEQUENTIAL_CONFIDENCE,
        )
    kind = "fixed size" if sampling.images else f"until {sampling.until:g} points wide"
    return Sample(images=seen, of=total, seed=sampling.seed, kind=kind, cannot_detect=tuple(blind))


def _stops(audit: Audit, job: Job) -> bool:
    return audit.stops(reported=job.row.reported_top1 if job.row else None, tolerance=_slack(job))


def _slack(job: Job) -> float:
    return slack(job.benchmark.manifest.metric) if job.benchmark else NEAR


def _estimates(
    jobs: Sequence[Job],
    drawn: AuditPlan,
    seen: int,
) -> dict[str, dict[str, Estimate]]:
    at = drawn.order[:seen]
    return {
        job.name: {head: estimate(drawn, job.heads[head].correct[at]) for head in job.weights.heads}
        for job in jobs
        if not job.error
    }
