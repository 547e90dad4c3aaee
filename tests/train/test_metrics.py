"""Accuracies against the reference."""

import json

import numpy as np
import pytest
import torch
from mixzoo.train.metrics import acc, acc_mix

WEIGHTS = ["0.0", "0.2", "0.5", "0.73", "1.0", "per_sample"]


@pytest.fixture
def heads(golden):
    """Recorded logits, labels and weights, and what the reference's heads made of them."""
    stored = np.load(golden / "heads/arrays.npz", allow_pickle=False)
    arrays = {key: torch.from_numpy(stored[key]) for key in stored.files}
    return arrays, json.loads((golden / "heads/cases.json").read_text())


@pytest.mark.parametrize("name", WEIGHTS)
@pytest.mark.parametrize("head", ["ClsHead", "ClsMixupHead_hard", "ClsMixupHead_soft"])
def test_equal_the_reference(heads, head, name):
    """`acc` looks at the own label only, `acc_mix` at both; per-sample weights count by their mean."""
    arrays, cases = heads
    case = cases[f"{head}|lam={name}"]
    per_sample = name == "per_sample"
    lam = arrays["lam_per_sample"] if per_sample else torch.full((24,), float(name))

    own = acc(arrays["logits"], arrays["y_a"])
    both = acc_mix(arrays["logits"], arrays["y_a"], arrays["y_b"], lam)

    assert own.item() == (case["acc"]["mean"] if per_sample else case["acc"][0])
    recorded = case["acc_mix"]["mean"] if per_sample else case["acc_mix"][0]
    assert both.item() == pytest.approx(recorded, rel=1e-5)


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
