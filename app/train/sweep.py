"""`mixzoo train sweep`: a grid of training runs as scripts for this machine and for SLURM."""

import shlex
from pathlib import Path

import click

from ..console import print_json, print_table, say
from ..options import FilePath, OutputFolder, complete_names, json_option, manifest_option, option


@click.command("sweep")
@click.argument("rows", nargs=-1, required=True, metavar="ROW...", shell_complete=complete_names)
@option("--data DIR", "The folder with the images of all runs.", FilePath)
@option("--out DIR", "The folder for scripts and runs.", OutputFolder, required=True)
@option(
    "--set KEY=VALUE",
    "Change one value of the recipes. Repeatable; every value of a key is a run of its own.",
    to="settings",
    multiple=True,
)
@option("--gpus", "GPUs of each run; 0 trains on CPUs.", click.IntRange(0), default=1)
@manifest_option
@json_option
def command(
    rows: tuple[str, ...],
    data: Path | None,
    out: Path,
    settings: tuple[str, ...],
    gpus: int,
    manifests: tuple[Path, ...],
    as_json: bool,
) -> None:
    """Write a grid of runs as scripts for bash and SLURM.

    Each ROW, a row id or a benchmark, is trained with every combination of the values: --set seed=0
    --set seed=1 --set lr=0.1 --set lr=0.2 are four runs. `sweep.sh` trains one run after the other
    on this machine, `sweep.sbatch` as an array of SLURM jobs that requeue themselves until each run
    has ended; give it sbatch's own options, such as --time. Both can be started again at any time
    and go on where they were. Nothing is trained by this command.
    """
    from ...train.sweep import plan, write_scripts
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
    scripts = write_scripts(runs, gpus, out.absolute())
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
        print_json({"runs": facts, "scripts": [str(script) for script in scripts]})
        return
    expected = ["-" if run.expected is None else f"{run.expected:g}" for run in runs]
    names = [run.out.name for run in runs]
    print_table(("Run", "Expected"), [*zip(names, expected, strict=True)], right=("Expected",))
    say(f"{len(runs)} {'run' if len(runs) == 1 else 'runs'}.")
    for start, script in zip(("bash", "sbatch --time=TIME"), scripts, strict=True):
        say(f"{start} {shlex.quote(str(script))}")
