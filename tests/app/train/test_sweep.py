"""`mixzoo train sweep` lists its runs, and trains nothing unless they are submitted."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

ROW = "resnet50.mixup_inat2018"
Sweep = Callable[..., tuple[int, str, str]]


@pytest.fixture
def sweep(mixzoo: Callable, tmp_path: Path) -> Sweep:
    """Sweeps over a row into the folder `out`."""
    places = ("--data", tmp_path / "images", "--out", tmp_path / "out")
    return lambda *words: mixzoo("train", "sweep", ROW, *places, *words)


def test_runs_are_listed(sweep: Sweep, tmp_path: Path) -> None:
    """One line a run with what the table expects of it; how to train them below."""
    code, out, _ = sweep("--set", "alpha=0.2", "--set", "alpha=1", "--set", "seed=1")

    assert code == 0
    assert "resnet50.mixup_inat2018-alpha=0.2" in out
    assert "62.69" in out
    assert "2 runs." in out
    assert "--submit slurm" in out
    assert not (tmp_path / "out").exists()


def test_json_has_the_recipes_and_commands(sweep: Sweep) -> None:
    """For other schedulers than SLURM."""
    _, out, _ = sweep("--set", "epochs=1", "--json")

    content = json.loads(out)
    (run,) = content["runs"]
    assert run["recipe"]["epochs"] == 1
    assert run["command"][:3] == ["mixzoo", "train", ROW]
    assert content["jobs"] == []


@pytest.mark.parametrize(
    ("words", "complaint"),
    [(["--gpus", "3"], "batch_size 256"), (["--set", "epoch=3"], "Did you mean 'epochs'")],
)
def test_bad_grids_are_one_line(
    words: list[str], complaint: str, sweep: Sweep, tmp_path: Path
) -> None:
    """Named before anything is written."""
    code, out, err = sweep(*words)

    assert (code, out) == (2, "")
    assert complaint in err
    assert err.count("\n") == 1
    assert not (tmp_path / "out").exists()
