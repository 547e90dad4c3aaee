"""A grid becomes runs that are named apart; their scripts run in a real bash, with stand-ins on PATH."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

import pytest
from mixzoo.train.recipe import overridden
from mixzoo.train.rows import RowRun, recipe_of
from mixzoo.train.sweep import SCRIPTS, plan, write_scripts
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
    """What stands in the script trains what stands in the table."""
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


ROW = "resnet18_w6.mixup_mini"
HOSTILE = """a b'c"d$(touch pwned)`touch pwned`;&*%"""  # a folder that somebody may have
SHELLCHECK = shutil.which("shellcheck") or shutil.which(
    "shellcheck", path=str(Path(sys.executable).parent)
)


def runs_in(out: Path, *settings: str) -> list[RowRun]:
    settings = settings or tuple(f"epochs={epochs}" for epochs in (1, 2, 3))
    return plan(CATALOG, [ROW], settings, data=out.parent / "images", out=out)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / HOSTILE


@pytest.fixture
def bash(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs a script with programs that note their arguments and end as they are told."""
    programs = tmp_path / "programs"
    programs.mkdir()

    def run(script: Path, environment: dict[str, str] | None = None, **bodies: str):
        for name, body in bodies.items():
            program = programs / name
            program.write_text(
                f'#!/bin/bash\nprintf \'%s\\n\' "{name}" "$@" >> "$NOTES/{name}"\n{body}\n'
            )
            program.chmod(0o755)
        path = f"{programs}{os.pathsep}{os.environ['PATH']}"
        return subprocess.run(
            ["bash", str(script)],
            env={"PATH": path, "NOTES": str(tmp_path)} | (environment or {}),
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )

    return run


def noted(tmp_path: Path, program: str) -> list[list[str]]:
    """The arguments of each call of a program."""
    calls: list[list[str]] = []
    path = tmp_path / program
    for line in path.read_text().splitlines() if path.exists() else []:
        if line == program:
            calls.append([])
        else:
            calls[-1].append(line)
    return calls


def test_every_run_gets_its_exact_words(out: Path, tmp_path: Path, bash: Callable) -> None:
    """Whatever characters a path has, and nothing of it is carried out."""
    runs = runs_in(out)
    script, _ = write_scripts(runs, 1, out)

    done = bash(script, mixzoo="exit 0")

    assert (done.returncode, done.stderr) == (0, "")
    assert noted(tmp_path, "mixzoo") == [list(run.words[1:]) for run in runs]
    assert not list(tmp_path.rglob("pwned"))


def test_a_failing_run_does_not_stop_the_others(out: Path, tmp_path: Path, bash: Callable) -> None:
    """All are tried; the failed one is named and the script says so with 1."""
    runs = runs_in(out)
    script, _ = write_scripts(runs, 1, out)

    done = bash(script, mixzoo='[[ "$*" == *epochs=2* ]] && exit 9 || exit 0')

    assert done.returncode == 1
    assert len(noted(tmp_path, "mixzoo")) == 3
    assert f"{runs[1].out.name} failed with exit code 9." in done.stderr
    assert done.stderr.endswith(f"1 failed: {runs[1].out.name}\n")


def test_a_saved_run_stops_the_script_to_be_started_again(
    out: Path, tmp_path: Path, bash: Callable
) -> None:
    """75 passes through, so that whatever started the script starts it again."""
    script, _ = write_scripts(runs_in(out), 1, out)

    done = bash(script, mixzoo="exit 75")

    assert done.returncode == 75
    assert len(noted(tmp_path, "mixzoo")) == 1


@pytest.mark.parametrize("said", ["TERM", "INT"])
def test_a_signal_to_the_script_reaches_the_run(
    out: Path, tmp_path: Path, bash: Callable, said: str
) -> None:
    """A scheduler tells the script alone; the run saves first, and no further one begins."""
    script, _ = write_scripts(runs_in(out), 1, out)
    saving = "sleep 0.2; echo saved > $NOTES/saved; exit 75"

    done = bash(
        script,
        mixzoo=f"trap '{saving}' TERM; kill -{said} $PPID; for i in {{1..100}}; do sleep 0.05; done",
    )

    assert done.returncode == 75
    assert (tmp_path / "saved").exists()
    assert len(noted(tmp_path, "mixzoo")) == 1
    assert "start this script again to go on" in done.stderr


def test_several_gpus_are_torchruns_processes(out: Path, tmp_path: Path, bash: Callable) -> None:
    """On one machine; the trainer is started as a module."""
    runs = runs_in(out, "epochs=1")
    script, _ = write_scripts(runs, 4, out)

    bash(script, torchrun="exit 0")

    launcher = ["--standalone", "--nproc_per_node", "4", "-m"]
    assert noted(tmp_path, "torchrun") == [[*launcher, *runs[0].words]]


def slurm(index: int) -> dict[str, str]:
    return {
        "SLURM_ARRAY_TASK_ID": str(index),
        "SLURM_ARRAY_JOB_ID": "77",
        "SLURM_CPUS_PER_TASK": "8",
    }


@pytest.mark.parametrize(
    ("index", "of_srun", "of_scontrol", "code", "requeued"),
    [
        (0, 0, 0, 0, []),
        (2, 75, 0, 0, [["requeue", "77_2"]]),
        (1, 75, 1, 75, [["requeue", "77_1"]]),
        (1, 1, 0, 1, []),
        (1, 137, 0, 137, []),
    ],
)
def test_each_task_of_the_array_is_one_run_and_requeued_if_it_is_saved(
    out: Path,
    tmp_path: Path,
    bash: Callable,
    index: int,
    of_srun: int,
    of_scontrol: int,
    code: int,
    requeued: list[list[str]],
) -> None:
    """srun starts its processes with the run's exact words. Only its own task is requeued; if that
    fails the job doesn't look finished."""
    runs = runs_in(out)
    _, script = write_scripts(runs, 1, out)

    done = bash(script, slurm(index), srun=f"exit {of_srun}", scontrol=f"exit {of_scontrol}")

    (call,) = noted(tmp_path, "srun")
    assert done.returncode == code
    assert call[-len(runs[index].words) :] == list(runs[index].words)
    assert noted(tmp_path, "scontrol") == requeued


def test_a_task_beyond_the_runs_is_refused(out: Path, tmp_path: Path, bash: Callable) -> None:
    """`sbatch --array=0-9` over three runs must not train anything twice."""
    _, script = write_scripts(runs_in(out), 1, out)

    done = bash(script, slurm(9), srun="exit 0")

    assert (done.returncode, noted(tmp_path, "srun")) == (2, [])


def test_directives_ask_for_what_a_run_needs(tmp_path: Path) -> None:
    """GPUs and processors; a warning before the time is up; logs beside the runs."""
    out = tmp_path / "50%j"  # SLURM would replace it

    _, script = write_scripts(runs_in(out), 4, out)

    lines = script.read_text().splitlines()
    assert [line.removeprefix("#SBATCH --") for line in lines if line.startswith("#SBATCH")] == [
        "job-name=50_j",
        "array=0-2",
        "nodes=1",
        "ntasks-per-node=4",
        "gpus-per-node=4",
        "cpus-per-task=8",
        "requeue",
        "open-mode=append",
        "signal=USR1@120",
        f"output={tmp_path}/50%%j/slurm-%A_%a.out",
    ]


def test_a_machine_without_gpus_asks_for_none(tmp_path: Path) -> None:
    """One process per node, no GPU directive."""
    write_scripts(runs_in(tmp_path), 0, tmp_path)

    text = (tmp_path / SCRIPTS[1]).read_text()
    assert "gpus-per-node" not in text
    assert "ntasks-per-node=1" in text
    assert "torchrun" not in (tmp_path / SCRIPTS[0]).read_text()


def test_a_folder_with_a_line_break_is_refused(tmp_path: Path) -> None:
    """It would end the directive that names the logs."""
    out = tmp_path / "a\n#SBATCH --wrap=x"

    with pytest.raises(UsageError, match="without line breaks"):
        write_scripts(runs_in(out), 1, out)


def test_the_same_sweep_gives_the_same_bytes(out: Path) -> None:
    """Written again, nothing changes, and no other file is left."""
    before = [path.read_bytes() for path in write_scripts(runs_in(out), 1, out)]
    after = [path.read_bytes() for path in write_scripts(runs_in(out), 1, out)]

    assert before == after
    assert sorted(path.name for path in out.iterdir()) == sorted(SCRIPTS)


@pytest.mark.skipif(SHELLCHECK is None, reason="shellcheck isn't installed")
@pytest.mark.parametrize("gpus", [1, 4])
def test_scripts_have_no_finding_of_shellcheck(tmp_path: Path, gpus: int) -> None:
    """The usual traps of bash are none of theirs, mixtures and odd paths included."""
    out = tmp_path / "it's here"
    runs = runs_in(out, "mix_mode=mixup,cutmix", "alpha=1,1", "alpha=0.5,1")
    for script in write_scripts(runs, gpus, out):
        found = subprocess.run(
            [str(SHELLCHECK), "--shell=bash", str(script)],
            capture_output=True,
            text=True,
            check=False,
        )

        assert found.stdout == ""
