"""Losses and accuracies against the reference."""

import json

import numpy as np
import pytest
import torch
from mixzoo.train.mixing import mix_cross_entropy
from mixzoo.train.steps import acc, acc_mix

WEIGHTS = ["0.0", "0.2", "0.5", "0.73", "1.0", "per_sample"]
each_weight = pytest.mark.parametrize("name", WEIGHTS)


@pytest.fixture
def heads(golden):
    """Recorded logits, labels and weights, and what the reference's heads made of them."""
    stored = np.load(golden / "heads/arrays.npz", allow_pickle=False)
    arrays = {key: torch.from_numpy(stored[key]) for key in stored.files}
    return arrays, json.loads((golden / "heads/cases.json").read_text())


def weight_of(arrays, name: str) -> torch.Tensor:
    return arrays["lam_per_sample"] if name == "per_sample" else torch.full((24,), float(name))


def recorded(values) -> float:
    return values["mean"] if isinstance(values, dict) else values[0]


@each_weight
@pytest.mark.parametrize(
    ("head", "variant"),
    [
        ("ClsHead", "openmixup"),
        ("ClsMixupHead_hard", "openmixup"),
        ("ClsMixupHead_soft", "paper"),
    ],
)
def test_loss_equals_the_reference(heads, head, variant, name):
    """Hard labels are weighed by the batch's mean weight; the paper weighs each sample by its own, as
    the reference's soft labels do: cross entropy is linear in the label."""
    arrays, cases = heads
    lam = weight_of(arrays, name)

    loss = mix_cross_entropy(arrays["logits"], arrays["y_a"], arrays["y_b"], lam, variant)

    assert loss.item() == pytest.approx(recorded(cases[f"{head}|lam={name}"]["loss"]), rel=1e-5)


@pytest.mark.parametrize("head", ["ClsHead", "ClsMixupHead_hard"])
def test_unmixed_labels_have_the_plain_cross_entropy(heads, head):
    """A weight of one is the loss of a batch that wasn't mixed."""
    arrays, cases = heads

    loss = mix_cross_entropy(arrays["logits"], arrays["y_a"], arrays["y_b"], torch.ones(24))

    assert loss.item() == pytest.approx(cases[f"{head}|onehot"]["loss"][0], rel=1e-5)


@each_weight
@pytest.mark.parametrize("head", ["ClsHead", "ClsMixupHead_hard", "ClsMixupHead_soft"])
def test_accuracies_equal_the_reference(heads, head, name):
    """`acc` looks at the own label only, `acc_mix` at both; per-sample weights count by their mean."""
    arrays, cases = heads
    case = cases[f"{head}|lam={name}"]

    own = acc(arrays["logits"], arrays["y_a"])
    both = acc_mix(arrays["logits"], arrays["y_a"], arrays["y_b"], weight_of(arrays, name))

    assert own.item() == recorded(case["acc"])
    assert both.item() == pytest.approx(recorded(case["acc_mix"]), rel=1e-5)


@pytest.mark.parametrize("k", [1, 5])
def test_top_k_equals_the_reference(heads, k):
    """The data set's own top-1 and top-5."""
    arrays, cases = heads

    assert acc(arrays["logits"], arrays["y_a"], k).item() == pytest.approx(
        cases["evaluate"][f"head0_top{k}"], rel=1e-6
    )


def test_each_label_counts_in_its_own_rank():
    """The weightier label must come first and the other exactly second."""
    logits = torch.tensor([[3.0, 2.0, 1.0]] * 4)
    y = torch.tensor([0, 0, 1, 2])
    partner = torch.tensor([1, 2, 0, 1])

    leading = acc_mix(logits, y, partner, torch.full((4,), 0.75))

    assert leading.item() == pytest.approx(75 * 2 / 4 + 25 * 2 / 4)


def test_at_one_half_the_partner_leads():
    """As in the reference, whose comparison is strict."""
    logits = torch.tensor([[3.0, 2.0, 1.0]])

    hit = acc_mix(logits, torch.tensor([1]), torch.tensor([0]), torch.tensor([0.5]))

    assert hit.item() == 100
