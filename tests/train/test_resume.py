"""A run that is killed, stopped or damaged ends with the weights of an uninterrupted one."""

import os
import random
import signal
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mixzoo.train.data import Data
from mixzoo.train.loop import train
from mixzoo.train.recipe import Recipe
from mixzoo.train.run import How
from mixzoo.zoo.data import FolderStore
from mixzoo.zoo.errors import CheckpointError, InterruptedRunError
from PIL import Image


@pytest.mark.parametrize(
    ("method", "size", "kills"), [("samix", 1, 10), ("puzzlemix", 1, 2), ("samix", 2, 10)]
)
def test_killed_runs_end_with_the_same_weights(
    method: str, size: int, kills: int, jobs: Any, tmp_path: Path
) -> None:
    """SIGKILL at random moments: weights to the byte, and the log."""
    rng = random.Random(f"{method} {size}")
    run, killed = jobs.folder(tmp_path, method), 0

    while True:
        every = rng.randint(1, 3)  # checkpoints in mid-epoch, and steps that are lost
        ranks = jobs.ranks(jobs.words(method, tmp_path, "--checkpoint-every", every), size)
        if killed == kills:
            break
        run.wait_for(rng.randint(2, 9), ranks[0])  # at once where the last session got further
        time.sleep(rng.random() * 0.3)
        for job in ranks:
            job.signal(signal.SIGKILL)
        assert {job.wait() for job in ranks} <= {0, -signal.SIGKILL}, [job.err for job in ranks]
        killed += 1
    for job in ranks:
        assert job.wait() == 0, job.err

    assert run.result == jobs.whole(method, size).result


def test_three_processes_add_gradients_alike_after_an_interruption(
    jobs: Any, tmp_path: Path
) -> None:
    """A sum of three depends on its order, so on how gradients share buckets: see `network.parallel`."""

    def run(out: str, *more: object) -> set[int]:
        recipe = {"batch_size": 12, "micro_batch": 4, "epochs": 3}
        ranks = jobs.ranks(jobs.words("vanilla", tmp_path / out, *more, **recipe), 3)
        return {job.wait() for job in ranks}

    assert run("whole") == {0}
    assert run("parts", "--stop-at", 4) == {75}
    assert run("parts") == {0}

    whole, parts = (jobs.folder(tmp_path / out, "vanilla").result for out in ("whole", "parts"))
    assert parts == whole


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1])
def test_a_signal_saves_and_asks_to_be_run_again(
    number: signal.Signals, jobs: Any, tmp_path: Path
) -> None:
    """Exit code 75 and one line; the same command then goes on to the same end."""
    run = jobs.folder(tmp_path, "samix")
    job = jobs.start(jobs.words("samix", tmp_path))
    run.wait_for(3, job)

    job.signal(number)

    assert job.wait() == 75
    assert f"error: Stopped ({number.name}) after step" in job.err
    assert "The same command goes on from there." in job.err
    assert "Traceback" not in job.err
    jobs.finish(jobs.words("samix", tmp_path))
    assert run.result == jobs.whole("samix").result


@pytest.mark.parametrize(("number", "group"), [(signal.SIGTERM, True), (signal.SIGKILL, False)])
def test_decoding_processes_are_no_hindrance(
    number: signal.Signals, group: bool, jobs: Any, tmp_path: Path
) -> None:
    """They live through signals to the whole group; when the run is killed, their hold on its
    folder ends soon enough for a restart at once."""
    run = jobs.folder(tmp_path, "samix")
    words = jobs.words("samix", tmp_path, "--workers", 2, "--checkpoint-every", 2)
    job = jobs.start(words)
    run.wait_for(4, job)

    job.signal(number, group)
    again_at_once = job.wait()
    again = jobs.start(words)

    assert again_at_once == (75 if group else -signal.SIGKILL), job.err
    assert again.wait() == 0, again.err
    assert run.result == jobs.whole("samix").result


@pytest.fixture(scope="module")
def long_validation(colours: Path) -> list[str]:
    """Options that validate on 400 pictures which take long to decode."""
    pixels = np.random.default_rng(0).integers(0, 255, (700, 700, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(colours / "large.png", compress_level=1)
    for i in range(400):
        (colours / f"large{i}.png").hardlink_to(colours / "large.png")
    listed = colours / "large.txt"
    listed.write_text("".join(f"large{i}.png,{i % 6}\n" for i in range(400)))
    return ["--val-list", str(listed), "--workers", "2"]


@pytest.mark.parametrize(("number", "group"), [(signal.SIGTERM, False), (signal.SIGUSR1, True)])
def test_a_signal_in_validation_stops_its_decoding_processes(
    number: signal.Signals, group: bool, long_validation: list[str], jobs: Any, tmp_path: Path
) -> None:
    """Soon, and with 75: they leave signals to their parent, who must not wait for them for ever."""
    job = jobs.start([*jobs.words("vanilla", tmp_path), *long_validation])
    jobs.folder(tmp_path, "vanilla").wait_for(5, job)  # the epoch's steps are done
    time.sleep(0.5)

    job.signal(number, group)

    assert job.wait(15) == 75, job.err
    assert "before its epoch's validation" in job.err
    assert "Traceback" not in job.err


def test_a_signal_to_one_rank_stops_all(jobs: Any, tmp_path: Path) -> None:
    """After the same step, each with exit code 75."""
    run = jobs.folder(tmp_path, "samix")
    ranks = jobs.ranks(jobs.words("samix", tmp_path), 2)
    run.wait_for(3, ranks[0])

    ranks[1].signal(signal.SIGTERM)

    assert [job.wait() for job in ranks] == [75, 75], [job.err for job in ranks]
    assert "error: Stopped (as asked) after step" in ranks[0].err
    jobs.finish(jobs.words("samix", tmp_path), 2)
    assert run.result == jobs.whole("samix", 2).result


class SignallingStore(FolderStore):
    """Images whose reading ends a job's time."""

    def read(self, file: str) -> bytes:
        """The bytes, after a signal to this process."""
        os.kill(os.getpid(), signal.SIGTERM)
        return super().read(file)


@pytest.fixture(scope="module")
def whole(tiny: Recipe, data: Data, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The weights of an uninterrupted run in this process."""
    return train(tiny, data, tmp_path_factory.mktemp("whole"), "run").read_bytes()


def test_a_signal_ends_a_validation(
    whole: bytes, tiny: Recipe, data: Data, colours: Path, tmp_path: Path
) -> None:
    """What was trained is saved by then; the validation begins anew, and is logged once."""
    slow = replace(data, val=replace(data.val, store=SignallingStore(colours)))

    with pytest.raises(InterruptedRunError, match="after step 4 of 8, before its epoch's valid"):
        train(tiny, slow, tmp_path, "run", How(workers=0))
    path = train(tiny, data, tmp_path, "run")

    assert path.read_bytes() == whole
    log = (tmp_path / "run.log.json").read_text()
    assert log.count('"mode": "val"') == tiny.epochs


def test_a_damaged_last_checkpoint_costs_steps_not_weights(
    whole: bytes, tiny: Recipe, data: Data, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The run goes on from the one before it, with a warning, to the same end."""
    with pytest.raises(InterruptedRunError):
        train(tiny, data, tmp_path, "run", How(checkpoint_every=1, stop_at=6))
    last = tmp_path / "last.pth"
    content = bytearray(last.read_bytes())
    content[len(content) // 2] ^= 1
    last.write_bytes(content)

    path = train(tiny, data, tmp_path, "run")

    assert "Going on from previous.pth" in caplog.text
    assert path.read_bytes() == whole


def test_no_whole_checkpoint_ends_the_run(tiny: Recipe, data: Data, tmp_path: Path) -> None:
    """It doesn't begin anew over what may still be of use."""
    with pytest.raises(InterruptedRunError):
        train(tiny, data, tmp_path, "run", How(checkpoint_every=1, stop_at=3))
    for name in ("last.pth", "previous.pth"):
        (tmp_path / name).write_bytes(b"")
    before = (tmp_path / "run.log.json").read_bytes()

    with pytest.raises(CheckpointError, match="No whole checkpoint is left"):
        train(tiny, data, tmp_path, "run")
    assert (tmp_path / "run.log.json").read_bytes() == before


def test_a_mixture_with_repeats_goes_on_in_the_middle_of_an_epoch(
    tiny: Recipe, data: Data, tmp_path: Path
) -> None:
    """Chosen methods and partners are those that would have been drawn."""
    recipe = replace(
        tiny, mix_mode=("cutmix", "manifoldmix", "vanilla"), alpha=(1.0, 0.2, 1.0), epochs=1
    )
    expected = train(recipe, data, tmp_path / "whole", "run").read_bytes()

    with pytest.raises(InterruptedRunError):
        train(recipe, data, tmp_path / "cut", "run", How(stop_at=2))
    path = train(recipe, data, tmp_path / "cut", "run")

    assert path.read_bytes() == expected
