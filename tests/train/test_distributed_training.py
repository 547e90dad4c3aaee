"""Several processes: the same batches, one log, and nobody waits for the dead."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mixzoo.eval.crops import Work
from mixzoo.eval.evaluator import evaluate
from mixzoo.train.data import Data
from mixzoo.zoo.checkpoint.load import load_file

FOUR = {"batch_size": 16, "micro_batch": 4, "epochs": 2, "lr": 0.01}  # micro batches a step


def assert_near(one: Any, other: Any) -> None:
    """Parameters of two runs differ by little: sums have another order. (Statistics of batch norm
    are those of the first process's share.)"""
    ours, theirs = (torch.load(run.path / f"{run.name}.pth")["state_dict"] for run in (one, other))
    assert ours.keys() == theirs.keys()
    for name, value in theirs.items():
        if name.endswith((".weight", ".bias")):
            torch.testing.assert_close(ours[name], value, rtol=0.02, atol=2e-3)


@pytest.mark.parametrize(("method", "size"), [("vanilla", 2), ("vanilla", 4), ("samix", 2)])
def test_processes_learn_what_one_learns(method: str, size: int, jobs: Any) -> None:
    """Same images, crops and draws: the first step is equal but for rounding, and the weights stay
    near to the end of the run."""
    ours, alone = (jobs.whole(method, n, **FOUR) for n in (size, 1))

    mine, theirs = ours.lines[1], alone.lines[1]
    names = mine.keys() - {"mode", "time", "data_time"}
    assert {name: mine[name] for name in names} == pytest.approx(
        {name: theirs[name] for name in names}, rel=1e-4
    )
    assert_near(ours, alone)


@pytest.mark.parametrize(("before", "after"), [(1, 2), (2, 1), (4, 2)])
def test_a_run_goes_on_with_another_number_of_processes(
    before: int, after: int, jobs: Any, tmp_path: Path
) -> None:
    """As a cluster gives them: the batches that are left are the same, whoever computes them."""
    words = jobs.words("samix", tmp_path, **FOUR)

    def run(size: int, *more: str) -> set[int]:
        return {job.wait() for job in jobs.ranks([*words, *more], size)}

    assert run(before, "--stop-at", "3") == {75}
    assert run(after) == {0}

    resumed, alone = jobs.folder(tmp_path, "samix"), jobs.whole("samix", 1, **FOUR)
    assert_near(resumed, alone)
    places = [
        [(line["epoch"], line["iter"]) for line in run.lines if line.get("mode") == "train"]
        for run in (resumed, alone)
    ]
    assert places[0] == places[1]


@pytest.mark.parametrize(
    ("method", "size"), [("vanilla", 1), ("vanilla", 2), ("vanilla", 4), ("samix", 2)]
)
def test_validation_counts_are_those_of_one_process(
    method: str, size: int, data: Data, jobs: Any
) -> None:
    """For the weights that were written, to the image, all heads."""
    run = jobs.whole(method, size, **FOUR)

    model = load_file(run.path / f"{run.name}.pth")
    counts = evaluate(model.logits, Work(data.val, data.protocol))

    last, prefix = run.lines[-1], "acc_" if method == "samix" else ""
    assert len(counts) == (4 if method == "samix" else 1)
    for head, count in counts.items():
        assert last[f"{prefix}{head}_top1"] == round(count.top1, 5)
        assert last[f"{prefix}{head}_top5"] == round(count.top5, 5)


def test_a_killed_rank_ends_the_others(jobs: Any, tmp_path: Path) -> None:
    """With exit code 8, and what to do."""
    ranks = jobs.ranks(jobs.words("vanilla", tmp_path, epochs=500), 2)
    jobs.folder(tmp_path, "vanilla").wait_for(3, ranks[0])

    ranks[1].signal(signal.SIGKILL)

    assert ranks[0].wait(60) == 8
    assert "another process of this job ended" in ranks[0].err
    assert "Run the same command again" in ranks[0].err
    assert "Traceback" not in ranks[0].err


def test_an_image_that_one_rank_cannot_read_is_named(
    colours: Path, tmp_path: Path, jobs: Any
) -> None:
    """By the rank that met it; the other ends too."""
    sampled = set(np.linspace(0, 39, num=32, dtype=int).tolist())
    bad = next(i for i in range(40) if i not in sampled)  # the check before the run misses it
    for i in range(40):
        content = (colours / f"train{i % 29}.png").read_bytes()
        (tmp_path / f"p{i}.png").write_bytes(content if i != bad else content[:60])
    listed = tmp_path / "list.txt"
    listed.write_text("".join(f"p{i}.png,{i % 6}\n" for i in range(40)))
    val = ("--val-list", tmp_path / "val.txt")
    (tmp_path / "val.txt").write_text("p0.png,0\np1.png,1\n")
    words = jobs.words("vanilla", tmp_path / "out", "--train-list", listed, *val)
    words[words.index("--data") + 1] = str(tmp_path)

    ranks = jobs.ranks(words, 2)
    codes = sorted(job.wait(60) for job in ranks)

    assert codes == [7, 8], [job.err for job in ranks]
    err = "".join(job.err for job in ranks)
    assert f"p{bad}.png" in err
    assert "Traceback" not in err


def test_a_bad_number_of_processes_is_named_before_data_is_read(tmp_path: Path, jobs: Any) -> None:
    """Three processes, two micro batches."""
    words = jobs.words("vanilla", tmp_path / "out")
    words[words.index("--data") + 1] = str(tmp_path / "nowhere")

    ranks = jobs.ranks(words, 3)

    assert [job.wait() for job in ranks] == [2, 2, 2]
    assert "3 processes can't share evenly" in ranks[0].err
    assert not (tmp_path / "out").exists()


def test_ranks_with_other_images_are_told(colours: Path, tmp_path: Path, jobs: Any) -> None:
    """Machines whose lists differ must not train together."""
    few = tmp_path / "few.txt"
    few.write_text("train1.png,1\ntrain2.png,2\n")

    ranks = jobs.ranks(jobs.words("vanilla", tmp_path / "out"), 2, ["--train-list", str(few)])

    assert [job.wait() for job in ranks] == [2, 2], [job.err for job in ranks]
    assert "Rank 1 has another run than rank 0; different: train." in ranks[0].err


def test_torchrun_restarts_a_job_whose_rank_died(jobs: Any, tmp_path: Path) -> None:
    """The job ends well, with the weights of a run that nothing happened to."""
    words = jobs.words("samix", tmp_path / "elastic", "--checkpoint-every", 1)
    launcher = ["-m", "torch.distributed.run", "--nproc_per_node", "2", "--max-restarts", "2"]
    run = jobs.folder(tmp_path / "elastic", "samix")

    torchrun = subprocess.Popen(
        [sys.executable, *launcher, "--master-port", str(jobs.port()), "-m", "mixzoo", *words],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )
    try:
        while len(run.lines) < 3 and torchrun.poll() is None:
            time.sleep(0.01)
        ranks = Path(f"/proc/{torchrun.pid}/task/{torchrun.pid}/children").read_text().split()
        os.kill(int(ranks[-1]), signal.SIGKILL)
        _, err = torchrun.communicate(timeout=200)
    finally:
        torchrun.kill()
        torchrun.communicate()

    assert torchrun.returncode == 0, err
    assert run.result == jobs.whole("samix", 2).result
