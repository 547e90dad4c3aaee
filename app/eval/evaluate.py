"""`mixzoo eval`: recompute a published number and judge it."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ...zoo import submit as jobs
from ...zoo.errors import DataError, MixzooError, UsageError
from ...zoo.files import write
from ...zoo.looks import command as command_line
from ...zoo.looks import naming
from ...zoo.submit import Cluster
from ..console import print_table, say, say_submitted
from ..groups import CommandWithVerbs
from ..options import (
    Count,
    FilePath,
    OutputFolder,
    OutputPlace,
    Real,
    Seed,
    complete_names,
    evaluation_options,
    json_option,
    manifest_option,
    option,
    pixel_options,
    require_json,
    submit_options,
    words_of,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...zoo.report import Report, Seeds


FORMS = (".md", ".html", ".csv", ".yaml")


@click.command(
    "eval",
    cls=CommandWithVerbs,
    package=__package__,
    verbs={name: name for name in ("check", "compare", "doubts", "merge", "tally")},
)
@click.argument("refs", nargs=-1, metavar="REF...", shell_complete=complete_names)
@evaluation_options
@option("--benchmark NAME", "The benchmark whose rows --all evaluates.")
@option("--all", "Evaluate all rows of --benchmark, in one pass.", to="all_rows")
@option("--row ROW", "The row that a checkpoint file is judged against.")
@pixel_options
@option(
    "--precision",
    "How to compute: guarded is fast arithmetic, and fp32 wherever its measured error could change "
    "a prediction, which gave fp32's predictions in every network tried.",
    click.Choice(["fp32", "guarded", "fast"]),
    default="guarded",
)
@option(
    "--models-at-once",
    "Checkpoints that are in memory together.  [default: all]",
    Count,
)
@option("--crops DIR", "Keep decoded crops in this folder.", OutputFolder)
@option("--allow-missing", "Report even if images can't be read, which then count as wrong.")
@option("--log FILE", "The training log of the checkpoint, where REF is one file.", FilePath)
@option("--sample N", "Evaluate a drawn sample of N images.", Count)
@option(
    "--until POINTS",
    "Draw images until the 95% interval is at most so wide, or excludes the published number.",
    Real(0, 100, min_open=True),
)
@option("--seed", "Seed of the drawn sample.", Seed, default=0)
@option("--fresh", "Predict again what an earlier run predicted.")
@option(
    "--shard N/OF",
    "Predict one of OF parts of the images into the folder --out; auto: that of a SLURM array's "
    "task. Then: mixzoo eval merge DIR...",
)
@option(
    "--out FILE.json",
    "Write the report; FILE.md, .html, .csv and .yaml are written beside it.",
    OutputPlace,
)
@option(
    "--evidence DIR",
    "Write all predictions, from which anybody can check the verdict: mixzoo eval check DIR.",
    OutputFolder,
)
@submit_options
@option(
    "--jobs N",
    "Submitted jobs that share the images (local ones run one after the other); mixzoo eval merge "
    "joins their parts.",
    click.IntRange(1, 10_000),
    to="count",
    default=1,
)
@manifest_option
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    all_rows: bool,
    out: Path | None,
    device: str,
    as_json: bool,
    shard: str | None,
    submit: Cluster | None,
    job_settings: tuple[str, ...],
    count: int,
    **options: Any,
) -> None:
    """Recompute top-1 and judge it against the published number.

    A REF is a row id (its weights are fetched if they aren't here) or a checkpoint file.
    Several are evaluated in one pass over the images. What an interrupted run predicted is kept.
    Counts are the same under any number of processes:
    torchrun --nproc_per_node N -m mixzoo.eval REF... --data DIR
    """
    if out and not shard:
        require_json(out)
    if all_rows != bool(options["benchmark"]) or not (options["refs"] or all_rows):
        raise UsageError(
            "Expected checkpoints, got none. Name them (REF...), or a whole table: --all "
            "--benchmark NAME."
        )
    if submit:
        if shard and count > 1:
            raise UsageError("--jobs makes the parts itself. Leave --shard out.")
        _submit(ctx, submit, job_settings, count, out)
        return
    from ...eval.evaluate import Request, evaluate_part, evaluate_refs
    from ...eval.shard import parse
    from ...eval.world import join

    if shard:
        if not out or options["evidence"] or as_json or options["sample"] or options["until"]:
            raise UsageError(
                "--shard needs --out DIR, draws no sample and makes no report. Leave --sample, "
                "--until, --json and --evidence out."
            )
        words = words_of(ctx, without=("shard", "out"))
        request = Request(**options, shard=parse(shard, os.environ))
        with join(device) as world:
            failures = evaluate_part(request, world, out, words)
        if world.leads:
            merge = command_line("eval", "merge", *naming(options["manifests"]), out)
            say(f"Part {request.shard}: {out}. When all are there, name them all: {merge} ...")
        for name, why in failures.items():
            raise MixzooError(f"Not all checkpoints could be evaluated, first {name}: {why}")
        return
    with join(device) as world:
        report = evaluate_refs(Request(**options), world)
    if world.leads:
        give(report, out, options["evidence"], as_json, options["manifests"])


def _submit(
    ctx: click.Context, where: Cluster, settings: tuple[str, ...], count: int, out: Path | None
) -> None:
    """This evaluation as jobs: one that makes the report, or several that make parts of it."""
    if out is None:
        raise UsageError("--submit: a job's report goes to a file. Name it: --out FILE.json.")
    of_jobs, out = ["submit", "job_settings", "count", "out"], out.absolute()
    folder, parts = out.with_suffix(".jobs"), out.with_suffix(".parts")
    ends = [["--out", str(out)]]
    if count > 1:
        of_jobs += ["evidence", "as_json"]  # which the merge writes
        shards = range(1, count + 1)
        ends = [["--shard", f"{n}/{count}", "--out", str(parts / str(n))] for n in shards]
    words = words_of(ctx, without=of_jobs)
    each = [[*words, *end] for end in ends]
    groups = [jobs.Commands([one]) for one in each] if where == "slurm" else [jobs.Commands(each)]
    say_submitted(jobs.submit(where, folder, groups, settings, {"name": "mixzoo-eval"}), folder)
    if count > 1:
        given, evidence = naming(ctx.params["manifests"]), ctx.params["evidence"]
        given += ["--evidence", str(evidence)] if evidence else []
        merge = command_line("eval", "merge", parts, "--out", out, *given)
        say(f"When all are done: {merge}")


def give(
    report: "Report",
    out: Path | None,
    evidence: Path | None,
    as_json: bool,
    manifests: "Sequence[Path]",
) -> None:
    """Print a report, write it, and raise what it can't hide.

    evidence: the folder that holds it, if it was written. manifests: that were named.
    """
    if as_json:
        click.echo(report.to_json(), nl=False)
    else:
        print_report(report)
    if out:
        _write_all(report, out)
        if not as_json:
            say(f"Report: {out}, and beside it {', '.join(FORMS)}")
    if evidence and not as_json:
        check = command_line("eval", "check", evidence, *naming(manifests))
        say(f"Evidence: {evidence}. Check it, here or elsewhere: {check}")
    _raise_problems(report)


def _raise_problems(report: "Report") -> None:
    """Raise what a report can't hide: checkpoints that failed, images that can't be read."""
    if report.failures:
        first = report.failures[0]
        raise MixzooError(
            f"Not all checkpoints could be evaluated ({len(report.failures)} failed), first "
            f"{first.id}: {first.error}"
        )
    if report.unreadable and not report.allow_missing:
        first = report.unreadable[0]
        raise DataError(
            f"{len(report.unreadable)} images can't be read, first {first.file}: {first.reason} "
            "Or have them counted as wrong, by --allow-missing."
        )


def print_report(report: "Report") -> None:
    """Print the verdict table, the rules behind its words, and what departs from the protocol."""
    from ...eval.report import COLUMNS, notes, table, warnings

    one_head = all(len(row.heads) == 1 for row in report.rows)
    print_table(
        COLUMNS,
        [line.cells for line in table(report)],
        right=("Correct", "Recomputed", "Published", "Gap", "Gap, images"),
        optional=("95% interval", "Gap", "Correct", *["Head"] * one_head, "Gap, images"),
    )
    print_seeds(report.seeds)
    for word, rule in report.rules.items():
        say(f"{word}: {rule}.")
    if any(len(row.heads) > 1 for row in report.rows):
        say(
            "* the head that inference uses. A row's verdict stands beside the head that carries "
            "it."
        )
    for line in notes(report):
        say(line)
    for line in warnings(report):
        say(line, style="yellow")


def print_seeds(found: "Sequence[Seeds]") -> None:
    """Print what the runs of retrained rows say together."""
    from ...eval import seeds

    if found:
        print_table(seeds.COLUMNS, [seeds.cells(one) for one in found], right=seeds.COLUMNS[3:7])
    for one in found:
        for sentence in seeds.sentences(one):
            say(sentence)


def _write_all(report: "Report", out: Path) -> None:
    """The report in all its forms, as `out` and beside it."""
    from ...eval.result_formats import to_csv, to_yaml
    from ...viz.report_page import to_html, to_markdown

    out.parent.mkdir(parents=True, exist_ok=True)
    forms = {
        ".json": report.to_json(),
        ".md": to_markdown(report),
        ".html": to_html(report),
        ".csv": to_csv(report),
        ".yaml": to_yaml(report),
    }
    for suffix, text in forms.items():
        write(out.with_suffix(suffix), text)
