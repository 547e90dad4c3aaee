"""Losses against the reference."""

import json

import numpy as np
import pytest
import torch
from mixzoo.train.losses import mix_cross_entropy, soft_cross_entropy, soft_labels

WEIGHTS = ["0.0", "0.2", "0.5", "0.73", "1.0", "per_sample"]


@pytest.fixture
def heads(golden):
    """Recorded logits, labels and weights, and what the reference's heads made of them."""
    stored = np.load(golden / "heads/arrays.npz", allow_pickle=False)
    arrays = {key: torch.from_numpy(stored[key]) for key in stored.files}
    return arrays, json.loads((golden / "heads/cases.json").read_text())


def weight_of(arrays, name: str) -> torch.Tensor:
    return arrays["lam_per_sample"] if name == "per_sample" else torch.full((24,), float(name))


def recorded_loss(case) -> float:
    return case["loss"]["mean"] if isinstance(case["loss"], dict) else case["loss"][0]


@pytest.mark.parametrize("name", WEIGHTS)
@pytest.mark.parametrize("head", ["ClsHead", "ClsMixupHead_hard"])
def test_hard_loss_equals_the_reference(heads, head, name):
    """Weights of the batch, and weights per sample, which the reference averages."""
    arrays, cases = heads
    lam = weight_of(arrays, name)

    loss = mix_cross_entropy(arrays["logits"], arrays["y_a"], arrays["y_b"], lam)

    assert loss.item() == pytest.approx(recorded_loss(cases[f"{head}|lam={name}"]), rel=1e-5)


@pytest.mark.parametrize("head", ["ClsHead", "ClsMixupHead_hard"])
def test_unmixed_labels_have_the_plain_cross_entropy(heads, head):
    """A weight of one is the loss of a batch that wasn't mixed."""
    arrays, cases = heads

    loss = mix_cross_entropy(arrays["logits"], arrays["y_a"], arrays["y_b"], torch.ones(24))

    assert loss.item() == pytest.approx(cases[f"{head}|onehot"]["loss"][0], rel=1e-5)


@pytest.mark.parametrize("name", WEIGHTS)
def test_soft_loss_equals_the_reference(heads, name):
    """The soft head weighs each sample by its own weight."""
    arrays, cases = heads
    lam = weight_of(arrays, name)

    target = soft_labels(arrays["y_a"], arrays["y_b"], lam, 12)
    loss = soft_cross_entropy(arrays["logits"], target)

    case = cases[f"ClsMixupHead_soft|lam={name}"]
    assert loss.item() == pytest.approx(recorded_loss(case), rel=1e-5)


@pytest.mark.parametrize("name", WEIGHTS)
def test_paper_weighs_each_sample(heads, name):
    """The paper's hard loss is the soft loss: cross entropy is linear in the label."""
    arrays, cases = heads
    lam = weight_of(arrays, name)

    loss = mix_cross_entropy(arrays["logits"], arrays["y_a"], arrays["y_b"], lam, "paper")

    case = cases[f"ClsMixupHead_soft|lam={name}"]
    assert loss.item() == pytest.approx(recorded_loss(case), rel=1e-5)


def test_soft_labels_sum_to_one():
    """Also where both labels are the same class."""
    labels = soft_labels(torch.tensor([0, 1]), torch.tensor([2, 1]), torch.tensor([0.25, 0.6]), 3)

    assert labels[0].tolist() == [0.25, 0, 0.75]
    assert labels.sum(1).tolist() == [1, 1]
