"""From predictions to a report: rows with their verdicts, and what else a reader must know.

Everything here works on predictions as the store holds them, so that an evaluation that just ended
and one that was kept give the same rows. No torch is needed.
"""

import platform
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from ..zoo import shelf
from ..zoo.catalog import Benchmark, Catalog
from ..zoo.errors import MixzooError
from ..zoo.looks import MATCHES_LOG, NOT_COMPARABLE, cause_in_words, counted, signed
from ..zoo.manifest import Metric, Protocol
from ..zoo.manifest import Row as TableRow
from ..zoo.report import Claims, Head, Images, LoggedHead, Pixels, Report, Row, Seeds, Weights
from .breakdown import SHOTS, break_down, shots, supercategories
from .calibration import calibrate
from .case import Case
from .causes import causes_of, worth_telling
from .judge import RULES as JUDGE_RULES
from .judge import Conditions, Logged, judge, slack, what_log_says
from .logs import LogAudit
from .logs.sources import audit_of_row
from .predictions import UNREADABLE, Counts
from .protocol import changes, pixels
from .sample import RULES as SAMPLE_RULES
from .sample import conclude
from .seeds import is_retrained, together
from .statistics import wilson_interval
from .store import Stored, of_weights

if TYPE_CHECKING:
    from .sampled_run import Sampled

RULES = JUDGE_RULES | SAMPLE_RULES
KEPT = "kept predictions"
FEW = 4  # checkpoints or heads that each get a sentence of their own
VERSIONED = ("mixzoo", "torch", "numpy", "pillow", "scipy")


def conditions_of(stored: Stored) -> Conditions:
    """Under what predictions were made."""
    unreadable = max(int((known.state == UNREADABLE).sum()) for known in stored.heads.values())
    return Conditions(
        images=len(stored.files),
        list_sha256=stored.key["list_sha256"],
        files_sha256=stored.about.get("files_sha256"),
        unreadable=unreadable,
        protocol=msgspec.convert(stored.key["protocol"], Protocol),
        precision=stored.key["precision"],
    )


def row_of(
    stored: Stored,
    name: str,
    benchmark: Benchmark | None,
    row: TableRow | None,
    *,
    audit: LogAudit | None = None,
    claims: Claims | None = None,
    training_images: Mapping[int, int] | None = None,
) -> Row:
    """A checkpoint's heads, judged together on all images.

    name: the row's id or the file's path. row: of the benchmark's table, None for a file that is
    held against nothing. audit: of its training log. training_images: of each class, if known.
    """
    weights = msgspec.convert(stored.about["weights"], Weights)
    counts = {head: stored.heads[head].counts() for head in weights.heads}
    reported, metric = published(benchmark, row)
    facts = claims.facts if claims else {}
    retrained = is_retrained(facts, weights.sha256, benchmark, row)
    other = conditions_of(stored).differ_from(benchmark) if benchmark else None
    epoch = stored.about.get("epoch")
    logged = what_log_says(audit, epoch, reported, not_comparable=other) if audit else None
    verdict = judge(
        counts, reported, metric, not_comparable=other, logged=logged, retrained=retrained
    )
    groups = _groupings(stored, training_images or {})
    heads = [
        _head(
            head,
            counts[head],
            reported,
            logged=_logged(logged, head, counts[head]),
            precision=_arithmetic_of(stored, head),
            breakdown={
                kind: break_down(stored.heads[head], names, SHOTS if kind == "shots" else ())
                for kind, names in groups.items()
            },
            calibration=calibrate(stored.heads[head]),
        )
        for head in counts
    ]
    return Row(
        id=name,
        weights=weights,
        verdict=verdict.word,
        reason="; ".join((verdict.why, *weights.remarks)),
        head=verdict.head,
        heads=tuple(heads),
        reported_top1=reported,
        decimals=metric.decimals,
        matches_log=verdict.log,
        not_comparable=other,
        claims=claims or Claims(),
        row=row.id if row and retrained else None,
    )


def kept_report(benchmark: Benchmark, row: TableRow) -> Report | None:
    """A report on one row from its kept predictions, the benchmark's own before others; or None.

    Its log is asked if it is here. The same verdict as an evaluation under these conditions gives.
    """
    sha256 = shelf.file(benchmark, row).sha256
    kept = list(of_weights(sha256)) if sha256 else []
    if not kept:
        return None
    own = (one for one in kept if conditions_of(one).differ_from(benchmark) is None)
    stored = next(own, kept[0])
    audit, problems = readable_audit(benchmark, row)
    judged = row_of(stored, row.id, benchmark, row, audit=audit)
    case = Case(stored=stored, benchmark=benchmark, row=row, audit=audit)
    if case.is_off:
        judged = msgspec.structs.replace(judged, causes=worth_telling(causes_of(case)))
    run = {"log_problems": problems} if problems else {}
    return report_of(
        [judged], stored, benchmark, labels=KEPT, run=run, created=stored.about["created"]
    )


def judged_again(report: Report, row: Row, catalog: Catalog) -> Row:
    """A report's row with the verdict that its counts alone give by the table here, without a log.

    A row that no table here has is held against nothing.
    """
    benchmark, published_row = next(
        ((own, one) for own, one in catalog if one.id == (row.row or row.id)), (None, None)
    )
    reported, metric = published(benchmark, published_row)
    conditions = Conditions(
        images=row.default.total,
        list_sha256=report.data.list_sha256,
        files_sha256=report.data.files_sha256,
        unreadable=len(report.unreadable),
        protocol=msgspec.convert(pixels(report.protocol), Protocol),
        precision=row.default.precision.get("precision", "guarded"),
    )
    verdict = judge(
        {one.head: Counts(one.correct, one.correct5, one.total) for one in row.heads},
        reported,
        metric,
        not_comparable=conditions.differ_from(benchmark) if benchmark else None,
        retrained=row.row is not None,
    )
    return msgspec.structs.replace(
        row,
        reported_top1=reported,
        decimals=metric.decimals,
        verdict=verdict.word,
        reason=verdict.why,
        head=verdict.head,
    )


def readable_audit(benchmark: Benchmark, row: TableRow) -> tuple[LogAudit | None, list[str]]:
    """The audit of a row's log if it is here; a log that can't be read is none, and a sentence."""
    try:
        return audit_of_row(benchmark, row), []
    except MixzooError as error:
        return None, [str(error)]


def report_of(
    rows: Sequence[Row],
    stored: Stored,
    benchmark: Benchmark | None,
    *,
    labels: str,
    run: dict[str, Any],
    created: str,
    published_pixels: Protocol | None = None,
    **rest: Any,
) -> Report:
    """A report of rows that were made under the same conditions as `stored`.

    labels: where the images' labels came from. published_pixels: None takes the benchmark's.
    rest: `failures`, `unreadable`, `allow_missing`, `sample`.
    """
    conditions = conditions_of(stored)
    theirs = published_pixels or (benchmark.manifest.protocol if benchmark else conditions.protocol)
    seeds = together(rows, benchmark)
    return Report(
        benchmark=benchmark.name if benchmark else None,
        rows=tuple(rows),
        rules=rules_of(rows, seeds),
        protocol=Pixels(
            **pixels(conditions.protocol), overrides=changes(conditions.protocol, theirs)
        ),
        data=Images(
            labels=labels,
            images=conditions.images,
            list_sha256=conditions.list_sha256,
            files_sha256=conditions.files_sha256,
        ),
        run=run,
        versions=versions(),
        created=created,
        seeds=seeds,
        **rest,
    )


def rules_of(rows: Sequence[Row], seeds: Sequence[Seeds] = ()) -> dict[str, str]:
    """The rules behind the words of these rows and judgements by seeds."""
    used = {word for row in rows for word in (row.verdict, row.matches_log)}
    used |= {found.verdict for found in seeds}
    return {word: rule for word, rule in RULES.items() if word in used}


def sampled_row_of(
    stored: Stored,
    name: str,
    benchmark: Benchmark | None,
    row: TableRow | None,
    sampled: "Sampled",
    width: float,
) -> Row:
    """A checkpoint's row where a sample of the images was evaluated; inference's head is judged.

    width: of the interval in points, that a verdict asks for.
    """
    weights = msgspec.convert(stored.about["weights"], Weights)
    reported, metric = published(benchmark, row)
    other = conditions_of(stored).differ_from(benchmark) if benchmark else None
    estimates = sampled.estimates[name]
    heads = []
    for head in weights.heads:
        found = estimates[head]
        correct5 = int(stored.heads[head].correct5[sampled.order].sum())
        counts = Counts(found.correct, correct5, found.seen)
        limits = (found.low, found.high)
        heads.append(_head(head, counts, reported, limits, precision=_arithmetic_of(stored, head)))
    first = estimates[weights.heads[0]]
    if reported is None or other:
        counts = {weights.heads[0]: Counts(first.correct, 0, first.seen)}
        verdict = judge(counts, reported, metric, not_comparable=other)
        word, why = verdict.word, verdict.why
    else:
        word, why = conclude(first, reported, width=width, slack=slack(metric))
    return Row(
        id=name,
        weights=weights,
        verdict=word,
        reason="; ".join((why, *weights.remarks)),
        head=weights.heads[0],
        heads=tuple(heads),
        reported_top1=reported,
        decimals=metric.decimals,
        not_comparable=other or f"a sample: {first.seen} of {first.total} images",
    )


def published(benchmark: Benchmark | None, row: TableRow | None) -> tuple[float | None, Metric]:
    """The number that a row is judged against, in percent, and what it is of."""
    metric = benchmark.manifest.metric if benchmark else Metric(statistic="last_epoch")
    return (row.reported_top1 if row else None), metric


def versions() -> dict[str, str]:
    """Versions of what the numbers depend on."""
    found = {"python": platform.python_version()}
    for name in VERSIONED:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def _head(
    head: str,
    counts: Counts,
    reported: float | None,
    limits: tuple[float, float] | None = None,
    **details: Any,
) -> Head:
    return Head(
        head=head,
        correct=counts.correct,
        correct5=counts.correct5,
        total=counts.total,
        top1=counts.top1,
        top5=counts.top5,
        interval95=limits or wilson_interval(counts.correct, counts.total),
        gap_points=None if reported is None else counts.top1 - reported,
        gap_images=None if reported is None else counts.correct - reported / 100 * counts.total,
        **details,
    )


def _logged(logged: Logged | None, head: str, counts: Counts) -> LoggedHead | None:
    if logged is None or logged.problem or head not in logged.top1:
        return None
    gap, _ = logged.off_by(head, counts)
    return LoggedHead(
        epoch=logged.epoch,
        top1=logged.top1[head],
        gap_images=round(gap, 2),
        statistic=logged.values.get(head),
    )


def _arithmetic_of(stored: Stored, head: str) -> dict[str, Any]:
    """What the guard measured and recomputed for a head."""
    summary = stored.about.get("precision", {})
    shared = {name: value for name, value in summary.items() if name != "heads"}
    return shared | summary.get("heads", {}).get(head, {})


def _groupings(stored: Stored, training_images: Mapping[int, int]) -> dict[str, Sequence[str]]:
    """Ways to group the images, as far as the data tell them."""
    labels = next(iter(stored.heads.values())).labels.tolist()
    found: dict[str, Sequence[str]] = {}
    if above := supercategories(stored.files, labels):
        found["supercategory"] = above
    if training_images:
        found["shots"] = shots(labels, training_images)
    return found


COLUMNS = (
    "Row",
    "Head",
    "Correct",
    "Recomputed",
    "Published",
    "Gap",
    "Gap, images",
    "95% interval",
    "Verdict",
)


class Line(NamedTuple):
    """A line of the verdict table: its cells under COLUMNS, and what they are of."""

    row: Row
    head: Head
    cells: list[str]


def table(report: Report) -> list[Line]:
    """Of each row the head that carries the verdict, and below it the others."""
    return [
        Line(row, head, _cells(row, head))
        for row in report.rows
        for head in sorted(row.heads, key=lambda one: one is not row.judged)
    ]


def _cells(row: Row, head: Head) -> list[str]:
    low, high = head.interval95
    judged = head is row.judged
    reported, gap, images = row.reported_top1, head.gap_points, head.gap_images
    return [
        row.id if judged else "",
        head.head + (" *" if len(row.heads) > 1 and head is row.default else ""),
        f"{head.correct} / {head.total}",
        f"{head.top1:.{row.decimals + 1}f}",
        "-" if reported is None else f"{reported:.{row.decimals}f}",
        "-" if gap is None else signed(gap, row.decimals + 1),
        "-" if images is None else signed(images, 1),
        f"{low:.2f} to {high:.2f}",
        row.verdict if judged else "",
    ]


def reason(row: Row) -> str:
    """Why a row has its verdict, and the likeliest cause where its number is off."""
    return "; ".join((row.reason, *map(cause_in_words, row.causes[:1])))


def notes(report: Report) -> Iterator[str]:
    """What else was found, in sentences: the log's word, the arithmetic, the sample."""
    matching = [row for row in report.rows if row.matches_log == MATCHES_LOG]
    exact = [row for row in matching if not any(_off(head) for head in row.heads)]
    if len(exact) > FEW:
        yield (
            f"{len(exact)} of {len(report.rows)} checkpoints give what their logs say, to the "
            "image."
        )
    for row in report.rows:
        if row.matches_log and not (row in exact and len(exact) > FEW):
            yield f"{row.id}: {row.matches_log} ({', '.join(_against_log(row))})."
        if row.not_comparable is None and round(row.judged.gap_images or 0):
            yield f"{row.id}: {row.verdict}: {row.reason}."
        for cause in row.causes[:1]:
            yield f"{row.id}: {cause_in_words(cause)}"
    yield from _how_computed(report.rows)
    if report.sample:
        yield f"A sample: {report.sample.images} of {report.sample.of} images."
        yield from report.sample.cannot_detect
    if "from_store" in report.run:
        yield (
            f"Answered from predictions kept by an earlier evaluation: {report.run['from_store']}. "
            "--fresh predicts again."
        )


def warnings(report: Report) -> Iterator[str]:
    """What a reader must not miss: contradictions, images and checkpoints that are left out."""
    for reason in dict.fromkeys(r.reason for r in report.rows if r.verdict == NOT_COMPARABLE):
        yield f"{NOT_COMPARABLE.capitalize()}: {reason}."
    if all(row.not_comparable is None for row in report.rows):
        for name, change in report.protocol.overrides.items():
            yield f"Protocol changed by hand: {name} {change}."
    for row in report.rows:
        yield from (f"{row.id}: {text}." for text in row.weights.remarks)
        yield from (f"{row.id}: {text}" for text in row.claims.disagreements)
    if report.unreadable:
        first = report.unreadable[0]
        yield (
            f"{len(report.unreadable)} images can't be read and count as wrong, first "
            f"{first.file}: {first.reason}"
        )
    yield from report.run.get("images", ())
    for problem in report.run.get("log_problems", ()):
        yield f"A training log decides nothing: {problem}"
    for problem in report.run.get("not_kept", ()):
        yield f"Predictions could not be kept: {problem}."
    for failure in report.failures:
        yield f"{failure.id} could not be evaluated: {failure.error}"


def _off(head: Head) -> int:
    """Images more than its log says, 0 where the log doesn't know the head."""
    return round(head.logged.gap_images) if head.logged else 0


def _against_log(row: Row) -> Iterator[str]:
    for head in row.heads:
        if head.logged:
            off = _off(head)
            told = f"{signed(off, 0)} images" if off else "to the image"
            yield f"{head.head}: epoch {head.logged.epoch} {head.logged.top1:.5f}, {told}"


def _how_computed(rows: Sequence[Row]) -> Iterator[str]:
    """A sentence for each of a few checkpoints; of many, for those where fp32 changed something."""
    first = [(row.id, row.default.precision) for row in rows]
    changed = [one for one in first if one[1].get("changed")] if len(rows) > FEW else first
    yield from dict.fromkeys(f"{name}: {_arithmetic(facts)}" for name, facts in changed)
    if len(changed) < len(first):
        (name, facts), *others = [one for one in first if one not in changed]
        yield f"{name}: {_arithmetic(facts)}"
        yield f"The {len(others)} others likewise; the report has their numbers."


def _arithmetic(facts: Mapping[str, Any]) -> str:
    """How predictions were computed, one sentence."""
    if facts.get("precision") == "guarded":
        changed = facts["changed"]
        return (
            f"{facts['arithmetic']} arithmetic, guarded: {facts['calibrated']} images calibrated "
            f"the bound ({facts['bound']:.2g} of a logit), {facts['recomputed']} more were computed "
            f"again in fp32; fp32 changed {counted(changed, 'prediction')} of all these."
        )
    if facts.get("precision") == "fast":
        return f"{facts['arithmetic']} arithmetic, unguarded: single predictions may not be fp32's."
    return "IEEE fp32."
