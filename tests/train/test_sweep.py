"""A grid becomes runs that are named apart, sorted, and each trained by one command."""

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
from mixzoo.train.overrides import overridden
from mixzoo.train.recipes import recipe_of
from mixzoo.train.sweep import Grid, PlannedRun, plan
from mixzoo.zoo.catalog import open_catalog
from mixzoo.zoo.errors import UsageError

CATALOG = open_catalog()
MIXUP = "resnet50.mixup_inat2018"


def planned(*rows: str, processes: int = 1, **axes: object) -> list[PlannedRun]:
    grid = Grid(**axes)  # type: ignore[arg-type]
    return plan(CATALOG, rows, grid, data=Path("/d"), out=Path("/o"), processes=processes)


def test_a_grid_is_every_combination() -> None:
    """Methods, alphas, epochs and seeds multiply; names are unique, sorted, and tell them apart."""
    runs = planned(
        MIXUP, methods=["mixup", "cutmix"], alphas=[(0.2,), (1.0,)], epochs=[100, 300], seeds=[0, 1]
    )

    names = [run.name for run in runs]
    combinations = {(r.recipe.method, r.recipe.alpha, r.recipe.epochs, r.recipe.seed) for r in runs}
    assert len(set(names)) == len(combinations) == 16
    assert names == sorted(names)
    assert names[0] == "resnet50.cutmix_inat2018-a0.2-ep100-s0"


def test_a_row_alone_is_its_own_recipe() -> None:
    """An axis that isn't given keeps the row's value."""
    (run,) = planned(MIXUP)

    assert run.recipe == recipe_of(run.manifest, run.row)
    assert run.words == ("mixzoo", "train", MIXUP, "--data", "/d", "--out", f"/o/{run.name}")
    assert run.expected == 62.69


def test_a_method_is_trained_as_its_own_row() -> None:
    """So that its alpha and expected number are those of the table, whatever the seed."""
    run, other = planned(MIXUP, methods=["automix"], seeds=[0, 4])

    assert run.row.id == "resnet50.automix_inat2018"
    assert (run.recipe.alpha, run.expected, other.expected) == ((2.0,), 64.73, 64.73)


def test_another_recipe_expects_no_number() -> None:
    """The table says nothing about 300 epochs."""
    assert [run.expected for run in planned(MIXUP, epochs=[100, 300])] == [62.69, None]


def test_vanilla_is_trained_once_for_all_alphas() -> None:
    """It draws none."""
    (run,) = planned(MIXUP, methods=["vanilla"], alphas=[(0.2,), (1.0,)])

    assert run.name == "resnet50.vanilla_inat2018-ep100-s0"


def test_mixtures_have_one_alpha_or_one_for_each() -> None:
    """Without any each method has its row's."""
    runs = planned(MIXUP, methods=["mixup+cutmix"], alphas=[(0.5,), (0.8, 1.0)])
    (own,) = planned(MIXUP, methods=["mixup+cutmix"])

    assert [run.recipe.alpha for run in runs] == [(0.5, 0.5), (0.8, 1.0)]
    assert runs[1].name == "resnet50.mixup+cutmix_inat2018-a0.8+1-ep100-s0"
    assert own.recipe.alpha == (0.2, 1.0)


def test_every_command_gives_its_recipe() -> None:
    """What stands in the script trains what stands in the table."""
    runs = planned(
        MIXUP,
        methods=["vanilla", "mixup+resizemix", "samix"],
        alphas=[(0.7,)],
        epochs=[30],
        settings=["lr=0.05"],
    )

    for run in runs:
        settings = [w for name, w in pairwise(run.words) if name == "--set"]
        assert overridden(recipe_of(run.manifest, run.row), settings) == run.recipe
        assert run.recipe.lr == 0.05


def test_a_benchmark_is_all_its_rows() -> None:
    """Named by both a row and its benchmark, a run is still one."""
    rows = CATALOG.benchmark("inat2018").manifest.rows

    assert len(planned("inat2018", MIXUP)) == len(rows)


@pytest.mark.parametrize(
    ("axes", "complaint"),
    [
        ({"methods": ["mixip"]}, f"mixip as {MIXUP}: no mixing method"),
        ({"methods": ["automix+mixup"]}, "can't be part of a mixture"),
        ({"alphas": [(0.8, 1.0)]}, "expected one alpha, or 1 for mixup"),
        ({"epochs": [0]}, "epochs"),
        ({"settings": ["epoch=3"]}, "Did you mean 'epochs'"),
        ({"processes": 3}, "resnet50.mixup_inat2018-a0.2-ep100-s0: batch_size 256"),
    ],
)
def test_runs_that_cannot_be_trained_are_named(axes: dict[str, object], complaint: str) -> None:
    """Before anything is written: a job that fails after hours in a queue is a lost day."""
    with pytest.raises(UsageError, match=complaint.replace("+", r"\+")):
        planned(MIXUP, **axes)  # type: ignore[arg-type]


def test_methods_without_a_row_have_the_tables_alphas(write_benchmark: Callable[..., Path]) -> None:
    """A benchmark of one's own with a single row can be swept over all methods."""
    catalog = open_catalog([write_benchmark("")])
    grid = Grid(methods=["automix", "mixup", "cutmix"])

    runs = plan(catalog, ["own"], grid, data=Path("/d"), out=Path("/o"))

    assert {run.recipe.method: run.recipe.alpha for run in runs} == {
        "automix": (2.0,),
        "mixup": (0.2,),
        "cutmix": (1.0,),
    }
    assert {run.row.id for run in runs} == {"resnet18_w4.vanilla_own"}


def test_images_that_the_package_draws_need_no_folder() -> None:
    """The command then has no --data; for all others it is asked for."""
    runs = plan(CATALOG, ["mini"], Grid(), data=None, out=Path("/o"))

    assert not any("--data" in run.words for run in runs)
    with pytest.raises(UsageError, match="expected --data DIR"):
        plan(CATALOG, [MIXUP], Grid(), data=None, out=Path("/o"))
