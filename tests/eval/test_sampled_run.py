"""A sequential audit of a checkpoint stops by its own table's slack, and tells what it may tell."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from mixzoo.eval.crops import Work
from mixzoo.eval.jobs import Job
from mixzoo.eval.predictions import EXACT, Predictions
from mixzoo.eval.sample import Estimate, estimate
from mixzoo.eval.sampled_run import Sampled, Sampling, evaluate_sample
from mixzoo.eval.stopping import Audit
from mixzoo.eval.world import ALONE
from mixzoo.zoo.data import FolderStore, LabelledImages
from mixzoo.zoo.manifest import Metric, Protocol

N = 3000
IMAGES = LabelledImages(FolderStore(Path()), tuple(map(str, range(N))), (0,) * N, "here")
SAMPLING = Sampling(until=4.0, seed=1)
WEIGHTS = {"file": "w.pth", "sha256": "a" * 64, "architecture": "resnet18", "method": "plain"}


def predicted(share: float) -> Predictions:
    """Every image was predicted; this share of them rightly."""
    known = Predictions.empty(IMAGES.labels)
    known.top[:, 0] = np.random.default_rng(0).random(N) >= share
    known.state[:] = EXACT
    return known


def sampled(reported: float, metric: Metric) -> Sampled:
    """What an audit of kept predictions tells, 60% and 50% right by head."""
    manifest = SimpleNamespace(metric=metric)
    checkpoint: Any = SimpleNamespace(
        name="a",
        row=SimpleNamespace(reported_top1=reported),
        benchmark=SimpleNamespace(manifest=manifest),
    )
    heads = {"one_k": predicted(0.6), "mix_k": predicted(0.5)}
    about = {"weights": WEIGHTS | {"num_classes": 2, "heads": list(heads)}}
    key: Any = None
    job = Job(checkpoint, key, IMAGES, heads, about)
    return evaluate_sample([job], {}, Work(IMAGES, Protocol(resize=36, crop=32)), ALONE, SAMPLING)


def looks() -> list[Estimate]:
    """What the audit of the first head knows after each batch."""
    drawn = SAMPLING.plan(IMAGES)
    audit, flags = Audit(drawn, width=4.0, batch=64), predicted(0.6).correct[drawn.order]
    return [audit.update(flags[at : at + 64]) for at in range(0, audit.target, 64)]


@pytest.mark.parametrize(
    ("metric", "stops_early"),
    [
        (Metric(statistic="median_of_last_epochs", epochs=5), False),
        (Metric(statistic="last_epoch"), True),
    ],
)
def test_an_audit_stops_beyond_its_tables_slack(metric: Metric, stops_early: bool) -> None:
    """0.2 points below what is possible before the last look: out of a last epoch's reach only."""
    known = looks()
    reported = known[-2].low - 0.2

    found = sampled(reported, metric)

    assert (len(found.order) < known[-1].seen) == stops_early


def test_the_audited_head_has_the_interval_of_an_audit() -> None:
    """It was looked at again and again; the other heads were looked at once."""
    found = sampled(95.0, Metric(statistic="last_epoch"))

    seen = len(found.order)
    estimates = found.estimates["a"]
    drawn = SAMPLING.plan(IMAGES)
    assert seen < looks()[-1].seen
    assert estimates["one_k"] == next(look for look in looks() if look.seen == seen)
    assert estimates["mix_k"] == estimate(drawn, predicted(0.5).correct[drawn.order[:seen]])
