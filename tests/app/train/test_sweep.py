"""`mixzoo train sweep` lists the runs that it writes scripts for, and trains nothing."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from mixzoo.app.train.sweep import command
from mixzoo.zoo.errors import UsageError

ROW = "resnet50.mixup_inat2018"


def sweep(tmp_path: Path, *arguments: str) -> Result:
    places = ["--data", str(tmp_path / "images"), "--out", str(tmp_path / "out")]
    return CliRunner().invoke(command, [ROW, *places, *arguments])


def test_runs_are_listed_and_scripts_named(tmp_path: Path) -> None:
    """One line a run with what the table expects of it; how to start them below."""
    said = sweep(tmp_path, "--set", "alpha=0.2", "--set", "alpha=1", "--set", "seed=1")

    assert said.exit_code == 0
    assert "resnet50.mixup_inat2018-alpha=0.2" in said.output
    assert "62.69" in said.output
    assert "2 runs." in said.output
    assert f"bash {tmp_path}/out/sweep.sh" in said.output
    assert f"sbatch --time=TIME {tmp_path}/out/sweep.sbatch" in said.output
    assert (tmp_path / "out" / "sweep.sh").is_file()


def test_json_has_the_recipes_and_commands(tmp_path: Path) -> None:
    """For other schedulers than SLURM."""
    said = sweep(tmp_path, "--set", "epochs=1", "--json")

    content = json.loads(said.output)
    (run,) = content["runs"]
    assert run["recipe"]["epochs"] == 1
    assert run["command"][:3] == ["mixzoo", "train", ROW]
    assert len(content["scripts"]) == 2


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [(["--gpus", "3"], "batch_size 256"), (["--set", "epoch=3"], "Did you mean 'epochs'")],
)
def test_bad_grids_are_one_line(tmp_path: Path, arguments: list[str], complaint: str) -> None:
    """Named before anything is written."""
    error = sweep(tmp_path, *arguments).exception

    assert isinstance(error, UsageError)
    assert complaint in str(error)
    assert not (tmp_path / "out").exists()
