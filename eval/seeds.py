"""Retrained rows: which checkpoints are runs of one recipe, and what their seeds say together."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import count

from ..zoo import shelf
from ..zoo.catalog import Benchmark, Catalog
from ..zoo.checkpoint.facts import CHANGED, SOURCE, is_own_run, recipe_of_words
from ..zoo.errors import several
from ..zoo.looks import MATCHES_LOG
from ..zoo.manifest import Metric
from ..zoo.manifest import Row as TableRow
from ..zoo.report import Report, Row, Seeds
from .judge import judge_seeds

PUBLISHED_SEED = 0  # of rows that this package trained itself


def is_retrained(
    words: Mapping[str, str], sha256: str, benchmark: Benchmark | None, row: TableRow | None
) -> bool:
    """Whether a checkpoint is a run of its own of the row that it is judged against.

    words: what it says of its training (`claims.facts`). A file of the row's locked hash, or an
    export of it, is the published draw itself, as is a run of this package's own rows with the seed
    that they had; one that doesn't say that mixzoo trained it may be.
    """
    if not (benchmark and row and is_own_run(words)):
        return False
    released = benchmark.manifest.dataset.drawn_by_package and words["seed"] == str(PUBLISHED_SEED)
    own = shelf.file(benchmark, row).sha256
    return not released and (own is None or own not in (sha256, words.get(SOURCE)))


def together(rows: Iterable[Row], benchmark: Benchmark | None) -> tuple[Seeds, ...]:
    """The retrained rows of an evaluation, those of each table row judged together.

    rows: measured on the same list under the same conditions.
    """
    found: dict[str, list[Row]] = {}
    for one in rows:
        if one.row and benchmark:
            found.setdefault(one.row, []).append(one)
    return tuple(_judged(runs, benchmark) for runs in found.values() if benchmark)


def of_reports(reports: Iterable[Report], catalog: Catalog) -> tuple[Seeds, ...]:
    """What the retrained rows of reports say together, those on one list of images."""
    alike: dict[tuple[str, str], list[Row]] = {}
    for report in reports:
        key = (report.benchmark or "", report.data.list_sha256)
        alike.setdefault(key, []).extend(report.rows)
    return tuple(
        found
        for (name, _), rows in alike.items()
        if any(one.row for one in rows)
        for found in together(rows, catalog.benchmark(name))
    )


COLUMNS = ("Row", "Head", "Seeds", "Mean", "95%, mean", "95%, one more run", "Published", "Verdict")


def cells(found: Seeds) -> list[str]:
    """The cells of one judgement under COLUMNS, as text."""
    low_high = (found.mean_interval95, found.next_interval95)
    return [
        found.row,
        found.head,
        ", ".join(map(str, found.seeds)),
        "-" if found.mean is None else f"{found.mean:.2f}",
        *("-" if ends is None else f"{ends[0]:.2f} to {ends[1]:.2f}" for ends in low_high),
        "-" if found.reported_top1 is None else f"{found.reported_top1:g}",
        found.verdict,
    ]


def sentences(found: Seeds) -> list[str]:
    """The verdict's reason, what doesn't count, and how to train another seed."""
    return [
        f"{found.row}: {found.verdict}: {found.reason}.",
        *(f"{text}." for text in found.left_out),
        f"One more seed: {found.next_command}",
    ]


def _judged(runs: Sequence[Row], benchmark: Benchmark) -> Seeds:
    metric, row_id = benchmark.manifest.metric, str(runs[0].row)
    recipes = [frozenset(recipe_of_words(run.claims.facts).items()) for run in runs]
    recipe = Counter(recipes).most_common(1)[0][0]
    counting: dict[int, Row] = {}
    left_out = []
    for run, own in zip(runs, recipes, strict=True):
        seed = _seed(run.claims.facts)
        why = next(_problems(run, seed, counting, benchmark), None) or _other_recipe(own, recipe)
        if why:
            left_out.append(f"{run.id} doesn't count: {why}")
        elif seed is not None:
            counting[seed] = run
    top1 = {seed: _number(run, metric) or 0.0 for seed, run in sorted(counting.items())}
    facts, other = dict(recipe), [s for run in counting.values() for s in run.claims.disagreements]
    if changed := facts.get(CHANGED):
        other = [f"the runs are of another recipe than {row_id}'s: {changed}"]
    found = judge_seeds(
        top1,
        runs[0].reported_top1,
        metric,
        images=runs[0].default.total,
        not_comparable=other[0].rstrip(".") if other else None,
    )
    return Seeds(
        row=row_id,
        verdict=found.word,
        reason=found.why,
        head=runs[0].default.head,
        runs=tuple(counting[seed].id for seed in top1),
        seeds=tuple(top1),
        top1=tuple(top1.values()),
        reported_top1=runs[0].reported_top1,
        mean=found.mean,
        mean_interval95=found.of_mean,
        next_interval95=found.of_next,
        left_out=tuple(left_out),
        next_command=_next(benchmark, row_id, facts.get(CHANGED, "").split(), top1),
    )


def _problems(
    run: Row, seed: int | None, counting: Mapping[int, Row], benchmark: Benchmark
) -> Iterator[str]:
    """Why a run isn't a draw of its own. counting: those before it, by seed."""
    epoch, _, epochs = run.claims.facts.get("epoch", "").partition(" of ")
    if run.not_comparable:
        yield run.not_comparable
    if seed is None:
        yield "its seed can't be read"
    if epoch != epochs:
        yield f"it was written after epoch {epoch} of {epochs}, and a table is about finished runs"
    if _number(run, benchmark.manifest.metric) is None:
        yield (
            "the table takes a median over the last epochs, which a log beside the weights "
            "(NAME.log.json) that they match would tell"
        )
    if other := counting.get(-1 if seed is None else seed):
        yield f"its seed is {seed}, as that of {other.id}"
    yield from (
        f"it gives the very predictions of {other.id}"
        for other in counting.values()
        if other.heads == run.heads
    )


def _other_recipe(
    own: frozenset[tuple[str, str]], recipe: frozenset[tuple[str, str]]
) -> str | None:
    """How a recipe differs from the one that most runs have, None if it doesn't."""
    ours, theirs = dict(own), dict(recipe)
    names = sorted({name for name, _ in own ^ recipe})
    told = [f"{n} {ours.get(n, 'unsaid')}, not {theirs.get(n, 'unsaid')}" for n in names]
    return f"another recipe: {several(told)}" if told else None


def _number(run: Row, metric: Metric) -> float | None:
    """What the table's statistic is of a run: of its last epoch recomputed, a median by its log."""
    if metric.statistic == "last_epoch":
        return run.default.top1
    logged = run.default.logged
    return logged.statistic if logged and run.matches_log == MATCHES_LOG else None


def _seed(facts: Mapping[str, str]) -> int | None:
    text = facts.get("seed", "")
    return int(text) if text.isdecimal() and len(text) < 20 else None


def _next(benchmark: Benchmark, row: str, settings: Sequence[str], known: Collection[int]) -> str:
    seed = next(n for n in count(PUBLISHED_SEED + 1) if n not in known)
    changed = [word for one in (f"seed={seed}", *settings) for word in ("--set", one)]
    return benchmark.command(
        "train", row, *benchmark.images, *changed, "--out", f"runs/{row}-seed{seed}"
    )
