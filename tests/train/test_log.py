"""Logs are written as mmcv wrote the published ones."""

import json
from pathlib import Path
from typing import Any

import pytest
from mixzoo.eval.evaluator import Counts
from mixzoo.train.log import JsonLog

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
