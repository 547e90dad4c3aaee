"""Grids of training runs."""

import re
from collections.abc import Sequence
from itertools import product
from pathlib import Path

from ..zoo.catalog import Catalog
from ..zoo.errors import UsageError
from .recipe import overridden
from .rows import RowRun, recipe_of


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
