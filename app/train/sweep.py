"""`mixzoo train sweep`: a grid of training runs as jobs."""

from pathlib import Path

import click

from ...zoo.looks import counted
from ...zoo.submit import Cluster
from ..console import print_json, print_table, say, say_submitted
from ..options import (
    FilePath,
    OutputFolder,
    complete_names,
    json_option,
    manifest_option,
    option,
    submit_options,
)


@click.command("sweep")
@click.argument("rows", nargs=-1, required=True, metavar="ROW...", shell_complete=complete_names)
@option("--data DIR", "The folder with the images of all runs.", FilePath)
@option("--out DIR", "The folder for the runs.", OutputFolder, required=True)
@option(
    "--set KEY=VALUE",
    "Change one value of the recipes. Repeatable; every value of a key is a run of its own.",
    to="settings",
    multiple=True,
)
@option("--gpus", "GPUs of each run; 0 trains on CPUs.", click.IntRange(0, 64), default=1)
@submit_options
@manifest_option
@json_option
def command(
    rows: tuple[str, ...],
    data: Path | None,
    out: Path,
    settings: tuple[str, ...],
    gpus: int,
    submit: Cluster | None,
    job_settings: tuple[str, ...],
    manifests: tuple[Path, ...],
    as_json: bool,
) -> None:
    """Train a grid of runs as jobs.

    Each ROW, a row id or a benchmark, is trained with every combination of the values: --set seed=0
    --set seed=1 --set lr=0.1 --set lr=0.2 are four runs. --submit slurm trains them as an array of
    jobs that requeue themselves until each run has ended, --submit local one after the other in one
    job; both can be submitted again at any time and go on where they were. Without --submit the
    runs are listed, and nothing is trained.
    """
    from ...train.sweep import plan
    from ...zoo import submit as jobs
    from ...zoo.catalog import open_catalog

    runs = plan(
        open_catalog(manifests),
        rows,
        settings,
        data=data and data.absolute(),
        out=out.absolute(),
        processes=max(1, gpus),
        manifests=[path.absolute() for path in manifests],
    )
    numbers: list[str] = []
    if submit:
        words = [run.words[1:] for run in runs]
        groups = [[one] for one in words] if submit == "slurm" else [words]
        numbers = jobs.submit(
            submit,
            out.absolute() / "jobs",
            [jobs.Commands(group) for group in groups],
            job_settings,
            {"name": out.name, **jobs.of_processes(gpus)},
        )
    if as_json:
        facts = [
            {
                "name": run.out.name,
                "row": run.row.id,
                "recipe": run.recipe.to_dict(),
                "expected_top1": run.expected,
                "command": run.words,
                "out": str(run.out),
            }
            for run in runs
        ]
        print_json({"runs": facts, "jobs": numbers})
        return
    expected = ["-" if run.expected is None else f"{run.expected:g}" for run in runs]
    names = [run.out.name for run in runs]
    print_table(("Run", "Expected"), [*zip(names, expected, strict=True)], right=("Expected",))
    say(f"{counted(len(runs), 'run')}.")
    say_submitted(numbers, out / "jobs") if submit else say(
        "Train them by --submit slurm, or --submit local."
    )
