"""Grids of training runs, and the two scripts that train them: here, or as an array of SLURM jobs.

Both scripts hold every command in full, so what was submitted doesn't change when they are written
again. A run that ends with exit code 75 has saved where it stands and goes on with the same command
(`zoo.errors.InterruptedRunError`).
"""

import re
import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

from ..zoo.catalog import Benchmark, Catalog
from ..zoo.errors import InterruptedRunError, UsageError
from ..zoo.files import write
from ..zoo.manifest import Row
from .recipe import Recipe, overridden
from .rows import ALPHAS, RowRun, recipe_of

SCRIPTS = ("sweep.sh", "sweep.sbatch")
CPUS = 8  # per process: the released configs have 8 loader processes per GPU
WARNING_SECONDS = 120  # before the time limit; a checkpoint takes seconds


@dataclass(frozen=True)
class Grid:
    """Every combination of these is a run; an empty axis keeps what the row's recipe has.

    methods: names, several of a mixture joined by `+`. alphas: one for all of a run's methods, or
    as many as a mixture has. settings: `key=value` for all runs, see `recipe.overridden`.
    """

    methods: Sequence[str] = ()
    alphas: Sequence[tuple[float, ...]] = ()
    epochs: Sequence[int] = ()
    seeds: Sequence[int] = ()
    settings: Sequence[str] = ()


def plan(
    catalog: Catalog,
    rows: Sequence[str],
    grid: Grid,
    *,
    data: Path | None,
    out: Path,
    processes: int = 1,
    manifests: Sequence[Path] = (),
) -> list[RowRun]:
    """The runs of a grid over each row, each once, in folders of their own below `out`, sorted.

    rows: row ids or benchmarks, whose architectures and data are trained; with `grid.methods`, a
    method is trained as its own row of that architecture where there is one. data, out: absolute;
    data may be None where the package draws the images.
    processes: of each run; the batch must come out even. manifests: that the commands name.
    Raises UsageError for a recipe that can't be trained, naming it.
    """
    planned: dict[Path, RowRun] = {}
    for benchmark, row in catalog.select(rows):
        if data is None and not benchmark.manifest.dataset.drawn_by_package:
            raise UsageError(f"{row.id}: expected --data DIR, the folder of its images, got none.")
        for own, recipe in _recipes(benchmark, row, grid):
            name = run_name(benchmark.name, recipe)
            with _naming(name):
                recipe.accumulation(processes)
            run = RowRun(benchmark.manifest, own, recipe, data, out / name, tuple(manifests))
            planned.setdefault(run.out, run)
    return [planned[folder] for folder in sorted(planned)]


def run_name(benchmark: str, recipe: Recipe) -> str:
    """`resnet50.mixup_inat2018-a0.2-ep100-s0`: what a grid varies, so that no two runs share one."""
    alphas = f"-a{spelled}" if (spelled := alphas_of(recipe)) else ""
    row = f"{recipe.architecture}.{recipe.method}_{benchmark}"
    return f"{row}{alphas}-ep{recipe.epochs}-s{recipe.seed}"


def alphas_of(recipe: Recipe) -> str:
    """`0.2`, or `0.8+1` of a mixture; empty for vanilla, which draws none."""
    return "" if recipe.mix_mode == ("vanilla",) else "+".join(f"{a:g}" for a in recipe.alpha)


def _recipes(benchmark: Benchmark, row: Row, grid: Grid) -> Iterator[tuple[Row, Recipe]]:
    axes = (grid.methods, grid.alphas, grid.epochs, grid.seeds)
    for method, alphas, epochs, seed in product(*(axis or (None,) for axis in axes)):
        with _naming(f"{method or row.method} as {row.id}"):
            own, recipe = _start(benchmark, row, method or row.method)
            if alphas is not None and recipe.mix_mode != ("vanilla",):
                recipe = replace(recipe, alpha=_broadcast(alphas, recipe))
            recipe = overridden(recipe, grid.settings)
            numbers = {"epochs": epochs, "seed": seed}
            recipe = replace(recipe, **{k: v for k, v in numbers.items() if v is not None})
        yield own, recipe


def _start(benchmark: Benchmark, row: Row, method: str) -> tuple[Row, Recipe]:
    """The row to train as, and its recipe before the grid's own values."""
    manifest = benchmark.manifest
    same = {r.method: r for r in manifest.rows if r.architecture == row.architecture}
    same[row.method] = row
    if method in same:
        return same[method], recipe_of(manifest, same[method])
    names = tuple(method.split("+"))
    alphas = [same[name].alpha if name in same else ALPHAS.get(name) for name in names]
    recipe = recipe_of(manifest, row)
    return row, replace(recipe, mix_mode=names, alpha=tuple(alpha or 1.0 for alpha in alphas))


@contextmanager
def _naming(run: str) -> Iterator[None]:
    """Say which run an error is about."""
    try:
        yield
    except UsageError as error:
        raise UsageError(f"{run}: {error}") from None


def _broadcast(alphas: tuple[float, ...], recipe: Recipe) -> tuple[float, ...]:
    if len(alphas) == 1:
        return alphas * len(recipe.mix_mode)
    if len(alphas) != len(recipe.mix_mode):
        raise UsageError(
            f"--alphas {'+'.join(f'{a:g}' for a in alphas)}: expected one alpha, or "
            f"{len(recipe.mix_mode)} for {recipe.method}."
        )
    return alphas


def write_scripts(runs: Sequence[RowRun], gpus: int, out: Path) -> list[Path]:
    """Write both scripts into `out`; the same sweep gives the same bytes. Returns their paths.

    gpus: of each run, a process for each; 0 is one process without. Raises UsageError for a folder
    that can't stand in a directive of SLURM's.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    if "\n" in str(out) or "\r" in str(out):  # would begin a line of its own
        raise UsageError(f"--out {str(out)!r}: expected a folder without line breaks in its name.")
    templates = Environment(
        loader=PackageLoader(__package__, ""),
        undefined=StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
        comment_start_string="<!--",  # bash's ${#array[@]} is none
        comment_end_string="-->",
    )
    templates.filters["quoted"] = shlex.join
    launcher = ["torchrun", "--standalone", "--nproc_per_node", str(gpus), "-m"] if gpus > 1 else []
    facts = {
        "runs": runs,
        "count": "1 run" if len(runs) == 1 else f"{len(runs)} runs",
        "name": re.sub("[^A-Za-z0-9_.-]", "_", out.name),
        "logs": str(out).replace("%", "%%") + "/slurm-%A_%a.out",
        "launcher": launcher,
        "gpus": gpus,
        "cpus": CPUS,
        "again": InterruptedRunError.exit_code,
        "warning": WARNING_SECONDS,
    }
    out.mkdir(parents=True, exist_ok=True)
    for name in SCRIPTS:
        write(out / name, templates.get_template(f"{name}.j2").render(facts))
        (out / name).chmod(0o755)
    return [out / name for name in SCRIPTS]
