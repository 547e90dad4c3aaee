"""A grid becomes runs that are named apart."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import pytest
from mixzoo.train.recipe import overridden
from mixzoo.train.rows import RowRun, recipe_of
from mixzoo.train.sweep import plan
from mixzoo.zoo.catalog import open_catalog
from mixzoo.zoo.errors import UsageError

CATALOG = open_catalog()
MIXUP = "resnet50.mixup_inat2018"


def planned(*rows: str, settings: Sequence[str] = (), processes: int = 1) -> list[RowRun]:
    return plan(CATALOG, rows, settings, data=Path("/d"), out=Path("/o"), processes=processes)


def test_a_grid_is_every_combination_of_values() -> None:
    """Those of a key that is set several times; names are unique, sorted, and tell them apart."""
    settings = ["seed=0", "lr=0.05", "seed=1", "alpha=0.2", "alpha=1", "epochs=100", "epochs=300"]

    runs = planned(MIXUP, "resnet50.cutmix_inat2018", settings=settings)

    names = [run.out.name for run in runs]
    combinations = {(r.row.id, r.recipe.alpha, r.recipe.epochs, r.recipe.seed) for r in runs}
    assert len(set(names)) == len(combinations) == 16
    assert names == sorted(names)
    assert names[0] == "resnet50.cutmix_inat2018-seed=0-alpha=0.2-epochs=100"
    assert {run.recipe.lr for run in runs} == {0.05}


def test_a_row_alone_is_its_own_recipe() -> None:
    """What isn't set keeps the row's value."""
    (run,) = planned(MIXUP)

    assert run.recipe == recipe_of(run.manifest, run.row)
    assert run.words == ["mixzoo", "train", MIXUP, "--data", "/d", "--out", f"/o/{MIXUP}"]


def test_only_the_rows_recipe_expects_its_number() -> None:
    """The table says nothing about 300 epochs; a seed is no other recipe."""
    runs = planned(MIXUP, settings=["epochs=100", "epochs=300", "seed=4"])

    assert [run.expected for run in runs] == [62.69, None]


def test_vanilla_is_trained_once_for_all_alphas() -> None:
    """It draws none."""
    runs = planned("resnet50.vanilla_inat2018", settings=["alpha=0.2", "alpha=1"])

    assert [run.out.name for run in runs] == ["resnet50.vanilla_inat2018"]


def test_mixtures_are_settings_too() -> None:
    """Each of them with its alphas; their names can be a folder's."""
    runs = planned(MIXUP, settings=["mix_mode=mixup,cutmix", "alpha=(0.5, 0.5)", "alpha=0.8,1"])

    assert [run.recipe.alpha for run in runs] == [(0.5, 0.5), (0.8, 1.0)]
    assert [run.out.name for run in runs] == [f"{MIXUP}-alpha={a}" for a in ("0.5,0.5", "0.8,1")]


def test_every_command_gives_its_recipe() -> None:
    """What is submitted trains what stands in the table."""
    runs = planned("inat2018", settings=["seed=1", "seed=2", "lr=0.05"])

    for run in runs:
        settings = [w for name, w in pairwise(run.words) if name == "--set"]
        assert overridden(recipe_of(run.manifest, run.row), settings) == run.recipe


def test_a_benchmark_is_all_its_rows() -> None:
    """Named by both a row and its benchmark, a run is still one."""
    rows = CATALOG.benchmark("inat2018").manifest.rows

    assert len(planned("inat2018", MIXUP)) == len(rows)


@pytest.mark.parametrize(
    ("settings", "processes", "complaint"),
    [
        (["mix_mode=mixip"], 1, f"{MIXUP}: no mixing method"),
        (["alpha=0.8,1"], 1, "expected one alpha for each of 1"),
        (["epochs=0", "epochs=1"], 1, f"{MIXUP}-epochs=0: expected epochs"),
        (["epoch=3"], 1, "Did you mean 'epochs'"),
        (["epochs"], 1, "expected key=value"),
        ([], 3, f"{MIXUP}: batch_size 256"),
    ],
)
def test_runs_that_cannot_be_trained_are_named(
    settings: list[str], processes: int, complaint: str
) -> None:
    """Before anything is written: a job that fails after hours in a queue is a lost day."""
    with pytest.raises(UsageError, match=complaint):
        planned(MIXUP, settings=settings, processes=processes)


def test_images_that_the_package_draws_need_no_folder() -> None:
    """The command then has no --data; for all others it is asked for."""
    runs = plan(CATALOG, ["mini"], (), data=None, out=Path("/o"))

    assert not any("--data" in run.words for run in runs)
    with pytest.raises(UsageError, match="expected --data DIR"):
        plan(CATALOG, [MIXUP], (), data=None, out=Path("/o"))
