"""The sampled audit: evaluates images in a random order until enough is known of all of them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ..zoo.data import LabelledImages
from ..zoo.report import Sample
from . import sample
from .breakdown import supercategories
from .crops import Work
from .evaluator import Subject
from .jobs import Job, predict
from .judge import NEAR, slack
from .sample import BLOCK, AuditPlan, Estimate, estimate, plan
from .stopping import LAST_LOOK, Audit
from .world import World


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
class Sampled:
    """What a sample told. order: positions of the images seen. estimates: job -> head -> it."""

    order: list[int]
    estimates: dict[str, dict[str, Estimate]]
    unreadable: dict[int, str]


def evaluate_sample(
    jobs: Sequence[Job],
    subjects: Mapping[str, Subject],
    work: Work,
    world: World,
    sampling: Sampling,
    progress: Callable[[int], object] | None = None,
) -> Sampled:
    """Evaluate as much as is needed: all that was asked for, or until every job's audit stops."""
    drawn = sampling.plan(work.images)
    step = sampling.images or work.batch_size * world.size
    audits: dict[str, Audit] = {}
    if not sampling.images:
        audits = {job.name: Audit(drawn, width=sampling.width, batch=step) for job in jobs}
    target = sampling.images or max(audit.target for audit in audits.values())
    order: list[int] = []
    sound: list[Job] = []
    unreadable: dict[int, str] = {}
    while len(order) < target:
        chunk = drawn.order[len(order) : min(len(order) + step, target)].tolist()
        unreadable |= predict(jobs, subjects, work, world, order=chunk, progress=progress)
        order += chunk
        sound = [job for job in jobs if not job.error]
        stops = [_stops(audits[job.name], job, chunk) for job in sound if audits]
        if audits and all(stops):
            break
    estimates = {
        job.name: {
            head: estimate(drawn, job.heads[head].correct[order]) for head in job.weights.heads
        }
        for job in sound
    }
    for (
        name,
        audit,
    ) in audits.items():  # this head's interval is the one that may be looked at early
        if name in estimates:
            estimates[name][next(iter(estimates[name]))] = audit.estimate
    return Sampled(order, estimates, unreadable)


def describe(sampling: Sampling, sampled: Sampled, job: Job) -> Sample:
    """How the sample was drawn, and what it can't see of a job's published number."""
    seen, total = len(sampled.order), len(job.images)
    blind: list[str] = []
    if job.row and job.row.reported_top1 is not None:
        blind = sample.cannot_detect(
            seen=seen,
            total=total,
            classes=len(job.images.class_counts()),
            reported=job.row.reported_top1,
            slack=_slack(job),
            confidence=0.95 if sampling.images else LAST_LOOK,
        )
    kind = "fixed size" if sampling.images else f"until {sampling.until:g} points wide"
    return Sample(images=seen, of=total, seed=sampling.seed, kind=kind, cannot_detect=tuple(blind))


def _stops(audit: Audit, job: Job, chunk: Sequence[int]) -> bool:
    audit.update(job.heads[job.weights.heads[0]].correct[chunk])
    return audit.stops(reported=job.row.reported_top1 if job.row else None, tolerance=_slack(job))


def _slack(job: Job) -> float:
    return slack(job.benchmark.manifest.metric) if job.benchmark else NEAR
