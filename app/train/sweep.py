"""`mixzoo train sweep`: a grid of training runs as scripts for this machine and for SLURM."""

import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ...zoo.errors import UsageError
from ..console import print_json, print_table, say
from ..options import FilePath, json_option, manifest_option

if TYPE_CHECKING:
    from ...train.sweep import PlannedRun

T = TypeVar("T")


def _listed(convert: Callable[[str], T], expected: str) -> Callable[..., list[T]]:
    """A click callback that reads `a,b,c`."""

    def read(_: click.Context, option: click.Parameter, text: str) -> list[T]:
        try:
            return [convert(item.strip()) for item in text.split(",")] if text else []
        except ValueError:
            raise UsageError(f"--{option.name} {text}: expected {expected}.") from None

    return read


def _alphas(text: str) -> tuple[float, ...]:
    return tuple(map(float, text.split("+")))


@click.command("sweep")
@click.argument("rows", nargs=-1, required=True, metavar="ROW...")
@click.option("--data", type=FilePath, metavar="DIR", help="The images; mini draws its own.")
@click.option("--out", type=FilePath, required=True, metavar="DIR", help="Scripts and runs.")
@click.option(
    "--methods",
    default="",
    callback=_listed(str, "names separated by commas"),
    help="Such as vanilla,mixup,mixup+cutmix.  [default: the row's]",
)
@click.option(
    "--alphas",
    default="",
    callback=_listed(_alphas, "numbers separated by commas, such as 0.2,1 or 0.8+1 for a mixture"),
    help="Such as 0.2,1; 0.8+1 for a mixture.  [default: the row's]",
)
@click.option(
    "--epochs",
    default="",
    callback=_listed(int, "whole numbers separated by commas"),
    help="Such as 100,300.  [default: the row's]",
)
@click.option(
    "--seeds",
    default="",
    callback=_listed(int, "whole numbers separated by commas"),
    help="Such as 0,1,2.  [default: 0]",
)
@click.option(
    "--set", "settings", multiple=True, metavar="KEY=VALUE", help="Of every run. Repeatable."
)
@click.option("--nodes", type=click.IntRange(1), default=1, show_default=True, help="Per run.")
@click.option(
    "--gpus", type=click.IntRange(0), default=1, show_default=True, help="Per node; 0: none."
)
@click.option(
    "--cpus", type=click.IntRange(1), default=8, show_default=True, help="SLURM: per process."
)
@click.option("--partition", metavar="NAME", help="SLURM's.")
@click.option("--time", metavar="TIME", help="SLURM: limit, such as 1-00:00:00.")
@click.option("--at-once", type=click.IntRange(1), metavar="N", help="SLURM: runs at a time.")
@click.option(
    "--sbatch",
    "more",
    multiple=True,
    metavar="OPTION=VALUE",
    help="SLURM: another option, such as account=me. Repeatable.",
)
@click.option("--dry-run", is_flag=True, help="List the runs and write nothing.")
@manifest_option
@json_option
def command(
    rows: tuple[str, ...],
    data: Path | None,
    out: Path,
    manifests: tuple[Path, ...],
    dry_run: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Write the grid of training runs (methods x alphas x epochs x seeds) over each ROW as scripts.

    A ROW is a row id or a benchmark. `sweep.sh` trains one run after the other on this machine,
    `sweep.sbatch` as an array of SLURM jobs that requeue themselves until each run has ended. Both
    can be started again at any time and go on where they were. Nothing is trained by this command.
    """
    from ...train.sweep import Grid, plan
    from ...train.sweep_scripts import Cluster, write_scripts
    from ...zoo.catalog import open_catalog

    axes = ("methods", "alphas", "epochs", "seeds", "settings")
    grid = Grid(**{name: options.pop(name) for name in axes})
    cluster = Cluster(**options)
    folder = out.absolute()
    runs = plan(
        open_catalog(manifests),
        rows,
        grid,
        data=data and data.absolute(),
        out=folder,
        processes=cluster.processes,
        manifests=[path.absolute() for path in manifests],
    )
    scripts = [] if dry_run else write_scripts(runs, cluster, folder)
    if as_json:
        print_json({"runs": [_facts(run) for run in runs], "scripts": [str(p) for p in scripts]})
        return
    _print(runs)
    for script in scripts:
        say(f"{'sbatch' if script.suffix == '.sbatch' else 'bash'} {shlex.quote(str(script))}")
    if dry_run:
        say("Dry run: nothing was written.")


def _print(runs: Sequence["PlannedRun"]) -> None:
    from ...train.sweep import alphas_of

    print_table(
        ("Run", "Method", "Alpha", "Epochs", "Seed", "Expected"),
        [
            (
                run.name,
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


def _facts(run: "PlannedRun") -> dict[str, Any]:
    return {
        "name": run.name,
        "row": run.row.id,
        "recipe": run.recipe.to_dict(),
        "expected_top1": run.expected,
        "command": list(run.words),
        "out": str(run.out),
    }
