"""Inputs of the figures: a report, logs, made-up predictions; two pictures and small models."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mixzoo.eval.logs import Claim, LogAudit, audit_files
from mixzoo.eval.predictions import Predictions
from mixzoo.zoo.nets import Classifier, MixClassifier, ResNetConfig
from mixzoo.zoo.report import Report, parse_report

from ..report_example import example_report


@pytest.fixture
def content() -> dict[str, Any]:
    """A report's plain data: five checkpoints, two of them with four heads."""
    return example_report()


@pytest.fixture
def report(content: dict[str, Any]) -> Report:
    return parse_report(content, "example")


@pytest.fixture
def cutmix_log(golden: Path) -> Path:
    """The genuine log of a run of 8 epochs, one head."""
    return golden / "runs/tiny_cutmix_ep8/20261122_154252.log.json"


@pytest.fixture
def automix_log(golden: Path) -> Path:
    """The genuine log of a run of 8 epochs, four heads."""
    return golden / "runs/tiny_automix_ep8/20261122_154353.log.json"


@pytest.fixture
def synthetic(golden: Path) -> Path:
    """Folder of invented logs of epochs 90 to 100, 24,426 images."""
    return golden / "runs/synthetic_logs"


@pytest.fixture
def resumed_log(cutmix_log: Path, tmp_path: Path) -> Path:
    """The same run, killed after epoch 5 and resumed from epoch 3, with one point and loss more."""
    lines = [json.loads(line) for line in cutmix_log.read_text().splitlines()]
    header, rest = lines[0], lines[1:]
    again = [dict(line) for line in rest if line["epoch"] >= 4]
    for line in again:
        for name in {"loss", "head0_top1"} & line.keys():
            line[name] += 1
    path = tmp_path / "resumed.log.json"
    whole = [header, *(line for line in rest if line["epoch"] <= 5), header, *again]
    path.write_text("".join(json.dumps(line) + "\n" for line in whole))
    return path


@pytest.fixture
def audit() -> Callable[..., LogAudit]:
    """Audits a log file; keywords are those of a claim."""
    return lambda path, **claim: audit_files([path], Claim(**claim))


@pytest.fixture
def made_up() -> Callable[..., Predictions]:
    """Predictions on 300 images of 7 classes: the first `wrong` from `start` on are wrong."""

    def make(wrong: int, start: int = 0) -> Predictions:
        labels = np.arange(300) % 7
        predictions = Predictions.empty(labels)
        places = np.arange(300)
        missed = (places >= start) & (places < start + wrong)
        predictions.top[:, 0] = np.where(missed, 9, labels)
        predictions.state[:] = 2
        return predictions

    return make


@pytest.fixture(scope="session")
def picture() -> Callable[..., np.ndarray]:
    """Seeded square pictures, (64, 64, 3) uint8, with some structure."""

    def picture(seed: int, side: int = 64) -> np.ndarray:
        rng = np.random.default_rng(seed)
        cells = rng.integers(0, 256, (8, 8, 3)).repeat(side // 8, 0).repeat(side // 8, 1)
        return np.clip(cells + rng.integers(-20, 21, cells.shape), 0, 255).astype(np.uint8)

    return picture


@pytest.fixture(scope="session")
def plain() -> Classifier:
    """A small classifier of 5 classes with seeded weights, in eval mode."""
    torch.manual_seed(0)
    return Classifier(ResNetConfig.from_name("resnet18_w4"), 5).eval()


@pytest.fixture(scope="session")
def learnt() -> Callable[[str], MixClassifier]:
    """A small AutoMix or SAMix with seeded weights whose masks aren't even; in eval mode."""

    def learnt(method: str) -> MixClassifier:
        torch.manual_seed(0)
        model = MixClassifier(ResNetConfig.from_name("resnet18_w4"), 5, method).eval()
        with torch.no_grad():
            for parameter in model.mix_block.parameters():
                parameter.mul_(8)
        return model

    return learnt
