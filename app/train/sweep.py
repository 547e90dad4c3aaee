"""`mixzoo train sweep`: a grid of training runs as scripts for this machine and for SLURM."""

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from ...zoo.errors import UsageError
from ..console import print_json, print_table, say
from ..options import FilePath, json_option, manifest_option


def _axis(name: str, convert: Callable[[str], Any], expected: str, said: str) -> Any:
    """An option that reads `a,b,c`."""

    def read(_: click.Context, __: click.Parameter, text: str) -> list[Any]:
        try:
            return [convert(item.strip()) for item in text.split(",")] if text else []
        except ValueError:
            raise UsageError(f"--{name} {text}: expected {expected} separated by commas.") from None

    return click.option(f"--{name}", default="", metavar="LIST", callback=read, help=said)


@click.command("sweep")
@click.argument("rows", nargs=-1, required=True, metavar="ROW...")
@click.option("--data", type=FilePath, metavar="DIR", help="Folder with the images of all runs.")
@click.option(
    "--out", type=FilePath, required=True, metavar="DIR", help="Folder for scripts and runs."
)
@_axis("methods", str, "names", "Methods, such as vanilla,mixup,mixup+cutmix.  [the row's]")
@_axis(
    "alphas",
    lambda text: tuple(map(float, text.split("+"))),
    "numbers, or some joined by + for a mixture,",
    "Alphas of Beta, such as 0.2,1 or 0.8+1 for a mixture.  [the row's]",
)
@_axis("epochs", int, "whole numbers", "Lengths, such as 100,300.  [the row's]")
@_axis("seeds", int, "whole numbers", "Seeds, such as 0,1,2.  [0]")
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="KEY=VALUE",
    help="Change one value of every run's recipe, such as lr=0.05. Repeatable.",
)
@click.option(
    "--gpus", type=click.IntRange(0), default=1, help="GPUs of each run; 0 trains on CPUs.  [1]"
)
@manifest_option
@json_option
def command(
    rows: tuple[str, ...],
    data: Path | None,
    out: Path,
    gpus: int,
    manifests: tuple[Path, ...],
    as_json: bool,
    **axes: Any,
) -> None:
    """Write a grid of runs as scripts for bash and SLURM.

    A run is trained for every combination of methods, alphas, epochs and seeds over each ROW, a row
    id or a benchmark. `sweep.sh` trains one run after the other on this machine, `sweep.sbatch` as an
    array of SLURM jobs that requeue themselves until each run has ended; give it sbatch's own options,
    such as --time. Both can be started again at any time and go on where they were. Nothing is
    trained by this command.
    """
    from ...train.sweep import Grid, alphas_of, plan, write_scripts
    from ...zoo.catalog import open_catalog

    runs = plan(
        open_catalog(manifests),
        rows,
        Grid(**axes),
        data=data and data.absolute(),
        out=out.absolute(),
        processes=max(1, gpus),
        manifests=[path.absolute() for path in manifests],
    )
    shell, slurm = write_scripts(runs, gpus, out.absolute())
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
        print_json({"runs": facts, "scripts": [str(shell), str(slurm)]})
        return
    print_table(
        ("Run", "Method", "Alpha", "Epochs", "Seed", "Expected"),
        [
            (
                run.out.name,
                run.recipe.method,
                alphas_of(run.recipe) or "-",
                str(run.recipe.epochs),
                str(run.recipe.seed),
                "-" if run.expected is None else f"{run.expected:g}",
            )
            for run in runs
        ],
        right=("Epochs", "Seed", "Expected"),
        optional=("Method", "Alpha", "Epochs", "Seed"),
    )
    say(f"{len(runs)} {'run' if len(runs) == 1 else 'runs'}.")
    say(f"bash {shlex.quote(str(shell))}")
    say(f"sbatch --time=TIME {shlex.quote(str(slurm))}")
