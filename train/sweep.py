"""Grids of training runs: which recipes, under which names, by which commands."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path

from ..zoo.catalog import Benchmark, Catalog
from ..zoo.errors import UsageError
from ..zoo.manifest import Manifest, Row
from .recipe import Recipe, differences, overridden
from .rows import ALPHAS, command, recipe_of


@dataclass(frozen=True)
class Grid:
    """Every combination of these is a run; an empty axis keeps what the row's recipe has.

    methods: names, several of a mixture joined by `+`. alphas: one for all of a run's methods, or
    as many as a mixture has. settings: `key=value` for all runs, see `overrides`.
    """

    methods: Sequence[str] = ()
    alphas: Sequence[tuple[float, ...]] = ()
    epochs: Sequence[int] = ()
    seeds: Sequence[int] = ()
    settings: Sequence[str] = ()


@dataclass(frozen=True)
class PlannedRun:
    """One run of a sweep. out: its own folder, which it also goes on from."""

    name: str
    row: Row
    manifest: Manifest
    recipe: Recipe
    words: tuple[str, ...] = field(repr=False)
    out: Path

    @property
    def expected(self) -> float | None:
        """The table's number in percent, where this is the row's recipe, whatever the seed."""
        other = differences(recipe_of(self.manifest, self.row), self.recipe)
        as_published = all(setting.startswith("seed=") for setting in other)
        return self.row.reported_top1 if as_published else None


def plan(
    catalog: Catalog,
    rows: Sequence[str],
    grid: Grid,
    *,
    data: Path | None,
    out: Path,
    processes: int = 1,
    manifests: Sequence[Path] = (),
) -> list[PlannedRun]:
    """The runs of a grid over each row, each once, sorted by name.

    rows: row ids or benchmarks, whose architectures and data are trained; with `grid.methods`, a
    method is trained as its own row of that architecture where there is one. data, out: absolute;
    data may be None where the package draws the images.
    processes: of each run; the batch must come out even. manifests: that the commands name.
    Raises UsageError for a recipe that can't be trained, naming it.
    """
    planned: dict[str, PlannedRun] = {}
    for benchmark, row in catalog.select(rows):
        if data is None and not benchmark.manifest.dataset.drawn_by_package:
            raise UsageError(f"{row.id}: expected --data DIR, the folder of its images, got none.")
        for own, recipe in _recipes(benchmark, row, grid):
            name = run_name(benchmark.manifest, own, recipe)
            with _naming(name):
                recipe.accumulation(processes)
            words = command(
                benchmark.manifest, own, recipe, data=data, out=out / name, manifests=manifests
            )
            run = PlannedRun(name, own, benchmark.manifest, recipe, tuple(words), out / name)
            planned.setdefault(name, run)
    return [planned[name] for name in sorted(planned)]


def run_name(manifest: Manifest, row: Row, recipe: Recipe) -> str:
    """`resnet50.mixup_inat2018-a0.2-ep100-s0`: what a grid varies, so that no two runs share one."""
    parts = [f"{recipe.architecture}.{recipe.method}_{manifest.name}"]
    if alphas := alphas_of(recipe):
        parts.append(f"a{alphas}")
    return "-".join([*parts, f"ep{recipe.epochs}", f"s{recipe.seed}"])


def alphas_of(recipe: Recipe) -> str:
    """`0.2`, or `0.8+1` of a mixture; empty for vanilla, which draws none."""
    return "" if recipe.mix_mode == ("vanilla",) else "+".join(f"{a:g}" for a in recipe.alpha)


def _recipes(benchmark: Benchmark, row: Row, grid: Grid) -> Iterator[tuple[Row, Recipe]]:
    axes = (
        grid.methods or (None,),
        grid.alphas or (None,),
        grid.epochs or (None,),
        grid.seeds or (None,),
    )
    for method, alphas, epochs, seed in product(*axes):
        with _naming(f"{method or row.method} as {row.id}"):
            own, recipe = _start(benchmark, row, method)
            if alphas is not None and recipe.mix_mode != ("vanilla",):
                recipe = replace(recipe, alpha=_broadcast(alphas, recipe))
            recipe = overridden(recipe, grid.settings)
            numbers = {"epochs": epochs, "seed": seed}
            recipe = replace(recipe, **{k: v for k, v in numbers.items() if v is not None})
        yield own, recipe


def _start(benchmark: Benchmark, row: Row, method: str | None) -> tuple[Row, Recipe]:
    """The row to train as, and its recipe before the grid's own values."""
    manifest = benchmark.manifest
    if method is None or method == row.method:
        return row, recipe_of(manifest, row)
    same = {r.method: r for r in manifest.rows if r.architecture == row.architecture}
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
