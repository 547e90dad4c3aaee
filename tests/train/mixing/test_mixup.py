"""MixUp against the reference and its own promises."""

import numpy as np
import pytest
import torch
from mixzoo.train.mixing import draw_mixup, mixup
from mixzoo.zoo.errors import UsageError


@pytest.mark.parametrize("name", ["mixup_0", "mixup_1", "mixup_2"])
def test_replays_the_reference_to_the_bit(mixer_case, check_case, name):
    """Draw order, partners, label weight and pixels equal the recorded ones."""
    case = mixer_case(name)

    draw = draw_mixup(case.rng, len(case.x), case.alpha)
    mixed = mixup(case.x, draw.perm, draw.lam)

    check_case(case, mixed)


def test_mask_is_the_weight_everywhere():
    """The mask explains the picture: lam at every pixel."""
    mixed = mixup(torch.zeros(2, 3, 4, 6), torch.tensor([1, 0]), 0.25)

    assert torch.equal(mixed.mask, torch.full((2, 1, 4, 6), 0.25))


def test_gradients_flow_into_both_images():
    """MixUp is differentiable, which ManifoldMix relies on."""
    x = torch.ones(2, 1, 2, 2, requires_grad=True)

    mixup(x, torch.tensor([1, 1]), 0.25).images.sum().backward()

    assert x.grad is not None
    assert x.grad[:, 0, 0, 0].tolist() == [0.25, 1.75]


@pytest.mark.parametrize(
    ("x", "perm", "lam", "expected"),
    [
        (torch.zeros(3, 4, 4), torch.arange(3), 0.5, r"batch \(N, C, H, W\)"),
        (torch.zeros(2, 3, 4, 4, dtype=torch.uint8), torch.arange(2), 0.5, "floats"),
        (torch.zeros(2, 3, 4, 4), torch.arange(3), 0.5, r"permutation \(2,\)"),
        (torch.zeros(2, 3, 4, 4), torch.arange(2.0), 0.5, "int64"),
        (torch.zeros(2, 3, 4, 4), torch.arange(2), 1.5, r"lam in \[0, 1\], got 1.5"),
        (torch.zeros(2, 3, 4, 4), torch.arange(2), float("nan"), r"lam in \[0, 1\], got nan"),
    ],
)
def test_refuses_what_does_not_fit(x, perm, lam, expected):
    """A wrong shape, dtype or weight is named in the error."""
    with pytest.raises(UsageError, match=expected):
        mixup(x, perm, lam)


@pytest.mark.parametrize("alpha", [0, -1, float("nan")])
def test_refuses_an_alpha_without_a_distribution(alpha):
    """Beta(alpha, alpha) needs alpha > 0; the error names the way to train without mixing."""
    with pytest.raises(UsageError, match="vanilla"):
        draw_mixup(np.random.default_rng(0), 4, alpha)
