"""Grids of training runs, and the two scripts that train them: here, or as an array of SLURM jobs.

Both scripts hold every command in full, so what was submitted doesn't change when they are written
again. A run that ends with exit code 75 has saved where it stands and goes on with the same command
(`zoo.errors.InterruptedRunError`).
"""

import re
import shlex
from collections.abc import Sequence
from itertools import product
from pathlib import Path

from ..zoo.catalog import Catalog
from ..zoo.errors import InterruptedRunError, UsageError
from ..zoo.files import write
from .recipe import overridden
from .rows import RowRun, recipe_of

SCRIPTS = ("sweep.sh", "sweep.sbatch")
CPUS = 8  # per process: the released configs have 8 loader processes per GPU
WARNING_SECONDS = 120  # before the time limit; a checkpoint takes seconds


def plan(
    catalog: Catalog,
    rows: Sequence[str],
    settings: Sequence[str],
    *,
    data: Path | None,
    out: Path,
    processes: int = 1,
    manifests: Sequence[Path] = (),
) -> list[RowRun]:
    """The runs of a grid, each in a folder of its own below `out`, sorted.

    rows: row ids, or benchmarks for all of their rows. settings: `key=value` (see `overridden`); a
    key that is set several times is trained with each of its values, in all combinations. data,
    out: absolute; data may be None where the package draws the images. processes: of each run; the
    batch must come out even. manifests: that the commands name. Raises UsageError for a recipe that
    can't be trained, naming its run.
    """
    axes: dict[str, list[str]] = {}
    for setting in dict.fromkeys(settings):
        axes.setdefault(_key(setting), []).append(setting)
    runs: dict[str, RowRun] = {}
    for (benchmark, row), combination in product(catalog.select(rows), product(*axes.values())):
        if data is None and not benchmark.manifest.dataset.drawn_by_package:
            raise UsageError(
                f"{row.id}: expected --data DIR, the folder of its images, got none. Give it."
            )
        unused = "alpha" if row.method == "vanilla" else None  # which draws none
        chosen = [setting for setting in combination if _key(setting) != unused]
        varied = [re.sub(r"[^\w.,+=-]", "", one) for one in chosen if len(axes[_key(one)]) > 1]
        name = "-".join([row.id, *varied])
        try:
            recipe = overridden(recipe_of(benchmark.manifest, row), chosen)
            recipe.accumulation(processes)
        except UsageError as error:
            raise UsageError(f"{name}: {error}") from None
        runs[name] = RowRun(benchmark.manifest, row, recipe, data, out / name, tuple(manifests))
    return [runs[name] for name in sorted(runs)]


def _key(setting: str) -> str:
    return setting.partition("=")[0].strip()


def write_scripts(runs: Sequence[RowRun], gpus: int, out: Path) -> list[Path]:
    """Write both scripts into `out`; the same sweep gives the same bytes. Returns their paths.

    gpus: of each run, a process for each; 0 is one process without. Raises UsageError for a folder
    that can't stand in a directive of SLURM's.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    if "\n" in str(out) or "\r" in str(out):  # would begin a line of its own
        raise UsageError(
            f"--out {str(out)!r}: expected a folder without line breaks in its name. Choose another."
        )
    templates = Environment(
        loader=PackageLoader("mixzoo.train", ""),
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
