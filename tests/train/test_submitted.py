"""Training and evaluation as submitted jobs: stopped, killed, and to the same end."""

import json
import os
import re
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from ..mini_rows import MIXUP as ROW

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks into /proc")
Run = Callable[..., tuple[int, str, str]]  # the fixture `mixzoo`


def until(condition: Callable[[], object], seconds: float = 90) -> None:
    """Return when it comes true."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def while_running(job: int, condition: Callable[[], object]) -> None:
    """Return when it comes true; a busy machine may look only after the job's end."""
    until(lambda: condition() or not family(job), seconds=180)
    if not family(job):
        pytest.skip("the job ended before this test looked")


def family(pid: int) -> list[int]:
    """A process and all that it started, as far as they are alive, the oldest first."""
    parents = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            state, parent = status.read_text().rpartition(")")[2].split()[:2]
            if state != "Z":
                parents[int(status.parent.name)] = int(parent)
    found = [pid] if pid in parents else []
    for one in found:
        found += [child for child, parent in parents.items() if parent == one]
    return found


def number_of(printed: str) -> int:
    """The job's number, which is its process's."""
    said = re.search(r"Job: (\d+)", printed)
    assert said, printed
    return int(said[1])


def tell(job: int, *numbers: signal.Signals) -> None:
    """Signals to every process of a job, as SLURM sends them."""
    tasks = family(job)[1:]
    for number in numbers:
        for pid in tasks:
            with suppress(ProcessLookupError):
                os.kill(pid, number)


TIME_LIMIT = (signal.SIGUSR2,)
PREEMPTION = (signal.SIGTERM, signal.SIGCONT, signal.SIGUSR2)


def test_a_training_job_that_was_stopped_and_killed_ends_with_the_same_weights(
    jobs: Any, mixzoo: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a time limit, by a preemption, by SIGKILL of the job; then the same command again."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    run, words = jobs.folder(tmp_path, "mixup"), jobs.words("mixup", tmp_path, epochs=12)
    submit = [*words, "--workers", "0", "--submit", "local"]

    job = number_of(mixzoo(*submit)[1])
    while_running(job, lambda: len(run.lines) > 5)
    tell(job, *TIME_LIMIT)
    while_running(job, lambda: len(run.lines) > 25 and len(family(job)) == 3)  # requeued
    killed = family(job)
    os.kill(job, signal.SIGKILL)
    until(lambda: not any(map(family, killed)))
    stood = len(run.lines)
    job = number_of(mixzoo(*submit)[1])
    until(lambda: not family(job))

    told = "".join(path.read_text() for path in (tmp_path / "jobs").glob("*.err"))
    assert told.count("error: Stopped (SIGTERM) after step") == 2, told
    assert stood < len(run.lines)
    assert run.result == jobs.whole("mixup", epochs=12).result


def test_an_evaluation_job_that_was_preempted_and_killed_makes_the_same_report(
    mixzoo: Run, mini_images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It keeps what it has predicted, is requeued, and goes on; so does the same command again."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    words = ["eval", ROW, "--data", mini_images, "--workers", "0", "--batch-size", "8"]
    crops, report, cache = tmp_path / "crops", tmp_path / "r.json", Path(os.environ["MIXZOO_CACHE"])
    submit = [*words, "--crops", crops, "--out", report, "--submit", "local"]

    job = number_of(mixzoo(*submit)[1])
    decoded = lambda: sum(path.stat().st_blocks for path in crops.glob("*")) * 512  # noqa: E731
    while_running(job, lambda: decoded() > 15e6)  # of 49 MB
    tell(job, *PREEMPTION)
    while_running(job, lambda: [*cache.glob("predictions/*/*.parts/*.safetensors")])
    while_running(job, lambda: len(family(job)) == 3)  # requeued: controller, task, command
    killed = family(job)
    os.kill(job, signal.SIGKILL)
    until(lambda: not any(map(family, killed)))
    before = report.exists()
    job = number_of(mixzoo(*submit)[1])
    until(report.exists)
    until(lambda: not family(job))
    _, whole, _ = mixzoo(*words, "--fresh", "--json")

    assert not before
    assert json.loads(report.read_text())["rows"] == json.loads(whole)["rows"]
