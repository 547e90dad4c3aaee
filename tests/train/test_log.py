"""What a run tells: a log as mmcv wrote the published ones, and TensorBoard's files."""

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from mixzoo.eval.evaluator import Counts
from mixzoo.train.data import Data
from mixzoo.train.log import JsonLog
from mixzoo.train.loop import train
from mixzoo.train.recipe import Recipe
from mixzoo.train.run import How
from mixzoo.zoo.errors import DataError, InterruptedRunError, UsageError

GENUINE = "runs/tiny_cutmix_ep8/20261122_154252.log.json"


@pytest.fixture
def log(tmp_path: Path) -> JsonLog:
    """A log without lines."""
    return JsonLog(tmp_path / "run.log.json")


def _lines(log: JsonLog) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.path.read_text().splitlines()]


def test_a_genuine_log_is_written_again_byte_for_byte(golden: Path, log: JsonLog) -> None:
    """Fed with the numbers of a published-style run, the log equals that run's own file."""
    genuine = (golden / GENUINE).read_text()

    for line in map(json.loads, genuine.splitlines()):
        mode = line.pop("mode", "header")
        if mode == "header":
            log.header(**line)
        elif mode == "train":
            means = {k: v for k, v in line.items() if k not in ("epoch", "iter", "lr")}
            log.add(means)
            log.train(epoch=line["epoch"], iteration=line["iter"], lr=line["lr"])
        else:
            top1, top5 = (round(line[f"head0_top{k}"] * 3) for k in (1, 5))
            heads = {"head0": Counts(top1, top5, 300)}
            log.val(epoch=line["epoch"], batches=line["iter"], lr=line["lr"], heads=heads)

    assert log.path.read_text() == genuine


def test_a_train_line_is_the_mean_since_the_last_one(log: JsonLog) -> None:
    """Iterations are averaged, and begin anew after a line."""
    for loss in (1.0, 2.0):
        log.add({"loss": loss})
    log.train(epoch=1, iteration=2, lr=0.1)
    log.add({"loss": 7.123456})
    log.train(epoch=1, iteration=3, lr=0.1)

    assert [line["loss"] for line in _lines(log)] == [1.5, 7.12346]


def test_validation_forgets_iterations_without_a_line(log: JsonLog) -> None:
    """The rest of an epoch after its last train line isn't averaged into the next epoch."""
    log.add({"loss": 100.0})
    log.val(epoch=1, batches=1, lr=0.1, heads={"head0": Counts(1, 2, 4)})
    log.add({"loss": 1.0})
    log.train(epoch=2, iteration=1, lr=0.1)

    assert _lines(log)[-1]["loss"] == 1.0


def test_a_log_goes_on_where_a_checkpoint_left_it(log: JsonLog, tmp_path: Path) -> None:
    """Lines written since are cut off, half a line too; means that were begun go on."""
    log.add({"loss": 1.0})
    log.train(epoch=1, iteration=1, lr=0.1)
    log.add({"loss": 2.0})
    state = json.loads(json.dumps(log.state()))
    log.add({"loss": 100.0})
    log.train(epoch=1, iteration=3, lr=0.1)
    with log.path.open("a") as file:
        file.write('{"mode": "tr')

    again = JsonLog(log.path, state)
    again.add({"loss": 4.0})
    again.train(epoch=1, iteration=3, lr=0.1)

    assert [line["loss"] for line in _lines(log)] == [1.0, 3.0]


def test_a_fresh_log_replaces_what_was_there(log: JsonLog) -> None:
    """A run that was killed before its first checkpoint begins its log anew."""
    log.header(env_info="", config="", seed=0, exp_name="first")

    again = JsonLog(log.path)
    again.header(env_info="", config="", seed=0, exp_name="second")

    assert [line["exp_name"] for line in _lines(log)] == ["second"]


def test_a_shortened_log_is_an_error(log: JsonLog) -> None:
    """Lost lines would never come back."""
    log.header(env_info="", config="", seed=0, exp_name="run")
    state = log.state()
    log.path.write_bytes(log.path.read_bytes()[:-1])

    with pytest.raises(DataError, match=r"run\.log\.json: expected \d+ bytes or more.*got \d+"):
        JsonLog(log.path, state)


def test_what_a_checkpoint_counts_on_is_on_the_disk(
    log: JsonLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine that loses its power must not lose lines that a checkpoint remembers."""
    log.header(env_info="", config="", seed=0, exp_name="run")
    synced = []
    monkeypatch.setattr(os, "fsync", lambda file: synced.append(os.fstat(file).st_size))

    state = log.state()

    assert synced == [state["bytes"]] == [log.path.stat().st_size]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_is_one_line(tmp_path: Path) -> None:
    """ENOSPC says what to do."""
    log = JsonLog(tmp_path / "run.log.json")
    log.path.unlink()
    log.path.symlink_to("/dev/full")

    with pytest.raises(DataError, match=r"can't be written: No space left.*Make room"):
        log.header(env_info="", config="", seed=0, exp_name="run")


def test_processes_that_do_not_lead_write_nothing(tmp_path: Path) -> None:
    """Their log goes nowhere, and has a state all the same."""
    log = JsonLog(None)
    log.add({"loss": 1.0})

    means = log.train(epoch=1, iteration=1, lr=0.1)

    assert means == {"loss": 1.0}
    assert log.state()["bytes"] == 0
    assert not list(tmp_path.iterdir())


STOP = 5


@pytest.fixture(scope="module")
def board(tiny: Recipe, data: Data, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    """What TensorBoard reads of a SAMix run that was interrupted once, and the run's folder."""
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    out = tmp_path_factory.mktemp("run")
    recipe = replace(tiny, mix_mode=("samix",))
    how = How(tensorboard=out / "board", checkpoint_every=2, stop_at=STOP)
    with pytest.raises(InterruptedRunError):
        train(recipe, data, out, "run", how)
    (out / "last.pth").unlink()  # as if it had been killed: goes on from the step before
    train(recipe, data, out, "run", replace(how, stop_at=None))
    read = accumulator.EventAccumulator(str(out / "board"))
    return read.Reload(), out


def test_curves_are_those_of_the_log(board: tuple[Any, Path]) -> None:
    """Each step once, also those around the interruption; each validation."""
    read, out = board
    lines = [json.loads(line) for line in (out / "run.log.json").read_text().splitlines()[1:]]
    train_lines = [line for line in lines if line["mode"] == "train"]
    val_lines = [line for line in lines if line["mode"] == "val"]

    for name in ("loss", "acc_mix_q", "lr"):
        events = read.Scalars(f"train/{name}")
        assert [event.step for event in events] == list(range(1, 9))
        values = [line[name] for line in train_lines]
        assert [event.value for event in events] == pytest.approx(values, abs=1e-4)
    for name in ("acc_one_k_top1", "acc_mix_q_top5"):
        events = read.Scalars(f"val/{name}")
        assert [event.step for event in events] == [4, 8]
        values = [line[name] for line in val_lines]
        assert [event.value for event in events] == pytest.approx(values, abs=1e-4)


def test_a_missing_tensorboard_is_one_line(
    tiny: Recipe, data: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says what to install."""
    monkeypatch.setitem(__import__("sys").modules, "torch.utils.tensorboard", None)

    with pytest.raises(UsageError, match=r"pip install 'mixzoo\[tensorboard\]'"):
        train(tiny, data, tmp_path, "run", How(tensorboard=tmp_path / "board"))


def test_without_it_nothing_is_written(tiny: Recipe, data: Data, tmp_path: Path) -> None:
    """The run's folder holds its own files only."""
    train(replace(tiny, epochs=1), data, tmp_path, "run")

    assert sorted(path.name for path in tmp_path.iterdir()) == [
        *("best.pth", "last.pth", "previous.pth"),
        *("run.log.json", "run.pth", "run.safetensors"),
    ]
