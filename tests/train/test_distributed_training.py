"""Several processes: the same batches, one log, and nobody waits for the dead."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
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
Trained = Callable[[str, int], Any]


@pytest.fixture(scope="module")
def trained(
    tmp_path_factory: pytest.TempPathFactory,
    command: Callable,
    start: Callable,
    start_ranks: Callable,
    folder: Any,
) -> Trained:
    """The folder of a method's run on some processes, made once."""
    known: dict[tuple[str, int], Any] = {}

    def trained(method: str, size: int) -> Any:
        if (method, size) not in known:
            out = tmp_path_factory.mktemp("size")
            words = command(method, out, **FOUR)
            for job in start_ranks(words, size) if size > 1 else [start(words)]:
                assert job.wait() == 0, job.err
            known[method, size] = folder(out, method)
        return known[method, size]

    return trained


def assert_near(one: Any, other: Any) -> None:
    """Parameters of two runs differ by little: sums have another order. (Statistics of batch norm
    are those of the first process's share.)"""
    ours, theirs = (torch.load(run.path / f"{run.name}.pth")["state_dict"] for run in (one, other))
    assert ours.keys() == theirs.keys()
    for name, value in theirs.items():
        if name.endswith((".weight", ".bias")):
            torch.testing.assert_close(ours[name], value, rtol=0.02, atol=2e-3)


@pytest.mark.parametrize(("method", "size"), [("vanilla", 2), ("vanilla", 4), ("samix", 2)])
def test_the_first_step_is_that_of_one_process(method: str, size: int, trained: Trained) -> None:
    """Same images, crops and draws: losses and accuracies equal but for rounding."""
    ours, alone = (trained(method, n).lines[1] for n in (size, 1))

    names = ours.keys() - {"mode", "time", "data_time"}
    assert {name: ours[name] for name in names} == pytest.approx(
        {name: alone[name] for name in names}, rel=1e-4
    )


@pytest.mark.parametrize(("method", "size"), [("vanilla", 2), ("vanilla", 4), ("samix", 2)])
def test_weights_stay_near_those_of_one_process(method: str, size: int, trained: Trained) -> None:
    """To the end of the run."""
    assert_near(trained(method, size), trained(method, 1))


@pytest.mark.parametrize(("before", "after"), [(1, 2), (2, 1), (4, 2)])
def test_a_run_goes_on_with_another_number_of_processes(
    before: int,
    after: int,
    trained: Trained,
    command: Callable,
    start: Callable,
    start_ranks: Callable,
    folder: Any,
    tmp_path: Path,
) -> None:
    """As a cluster gives them: the batches that are left are the same, whoever computes them."""
    words = command("samix", tmp_path, **FOUR)

    def run(size: int, *more: str) -> set[int]:
        jobs = start_ranks([*words, *more], size) if size > 1 else [start([*words, *more])]
        return {job.wait() for job in jobs}

    assert run(before, "--stop-at", "3") == {75}
    assert run(after) == {0}

    resumed = folder(tmp_path, "samix")
    assert_near(resumed, trained("samix", 1))
    places = [[(line["epoch"], line["iter"]) for line in r.lines[1:] if line["mode"] == "train"] for r in (resumed, trained("samix", 1))]  # fmt: skip
    assert places[0] == places[1]


@pytest.mark.parametrize(
    ("method", "size"), [("vanilla", 1), ("vanilla", 2), ("vanilla", 4), ("samix", 2)]
)
def test_validation_counts_are_those_of_one_process(
    method: str, size: int, trained: Trained, data: Data
) -> None:
    """For the weights that were written, to the image, all heads."""
    run = trained(method, size)

    model = load_file(run.path / f"{run.name}.pth")
    counts = evaluate(model.logits, Work(data.val, data.protocol))

    last, prefix = run.lines[-1], "acc_" if method == "samix" else ""
    assert len(counts) == (4 if method == "samix" else 1)
    for head, count in counts.items():
        assert last[f"{prefix}{head}_top1"] == round(count.top1, 5)
        assert last[f"{prefix}{head}_top5"] == round(count.top5, 5)


def test_a_killed_rank_ends_the_others(
    command: Callable, start_ranks: Callable, folder: Any, tmp_path: Path
) -> None:
    """With exit code 8, and what to do."""
    jobs = start_ranks(command("vanilla", tmp_path, epochs=500), 2)
    folder(tmp_path, "vanilla").wait_for(3, jobs[0])

    jobs[1].signal(signal.SIGKILL)

    assert jobs[0].wait(60) == 8
    assert "another process of this job ended" in jobs[0].err
    assert "Run the same command again" in jobs[0].err
    assert "Traceback" not in jobs[0].err


def test_an_image_that_one_rank_cannot_read_is_named(
    command: Callable, start_ranks: Callable, colours: Path, tmp_path: Path
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
    words = command("vanilla", tmp_path / "out", "--train-list", listed, *val)
    words[words.index("--data") + 1] = str(tmp_path)

    jobs = start_ranks(words, 2)
    codes = sorted(job.wait(60) for job in jobs)

    assert codes == [7, 8], [job.err for job in jobs]
    err = "".join(job.err for job in jobs)
    assert f"p{bad}.png" in err
    assert "Traceback" not in err


def test_a_bad_number_of_processes_is_named_before_data_is_read(
    command: Callable, start_ranks: Callable, tmp_path: Path
) -> None:
    """Three processes, two micro batches."""
    words = command("vanilla", tmp_path / "out")
    words[words.index("--data") + 1] = str(tmp_path / "nowhere")

    jobs = start_ranks(words, 3)

    assert [job.wait() for job in jobs] == [2, 2, 2]
    assert "3 processes can't share evenly" in jobs[0].err
    assert not (tmp_path / "out").exists()


def test_ranks_with_other_images_are_told(
    command: Callable, start: Callable, colours: Path, tmp_path: Path
) -> None:
    """Machines whose lists differ must not train together."""
    few = tmp_path / "few.txt"
    few.write_text("train1.png,1\ntrain2.png,2\n")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    place = {"WORLD_SIZE": 2, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}

    jobs = [
        start(
            command("vanilla", tmp_path / "out", *(("--train-list", few) if rank else ())),
            RANK=rank,
            LOCAL_RANK=rank,
            **place,
        )
        for rank in range(2)
    ]

    assert [job.wait() for job in jobs] == [2, 2], [job.err for job in jobs]
    assert "Rank 1 has another run than rank 0; different: train." in jobs[0].err


def test_torchrun_restarts_a_job_whose_rank_died(
    command: Callable, start_ranks: Callable, folder: Any, tmp_path: Path
) -> None:
    """The job ends well, with the weights of a run that nothing happened to."""
    words = command("samix", tmp_path / "elastic", "--checkpoint-every", 1)
    launcher = ["-m", "torch.distributed.run", "--nproc_per_node", "2", "--max-restarts", "2"]
    run = folder(tmp_path / "elastic", "samix")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]

    torchrun = subprocess.Popen(
        [sys.executable, *launcher, "--master-port", str(port), "-m", "mixzoo", *words],
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
    for job in start_ranks(command("samix", tmp_path / "whole"), 2):
        assert job.wait() == 0, job.err
    assert run.result == folder(tmp_path / "whole", "samix").result
