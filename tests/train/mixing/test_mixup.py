"""Convex combinations against the reference."""

import json

import numpy as np
import pytest
import torch
from mixzoo.train.mixing import manifoldmix, mix_cross_entropy, mixup, vanilla
from mixzoo.train.mixing.mixup import draw_manifoldmix, draw_mixup
from mixzoo.train.steps import acc, acc_mix
from mixzoo.zoo.errors import UsageError
from mixzoo.zoo.nets.classifiers import Classifier
from mixzoo.zoo.nets.resnet import ResNetConfig


def test_leaves_everything_as_it_is():
    """Images, partners, weights and mask say that nothing was mixed."""
    x = torch.randn(3, 2, 4, 5, generator=torch.Generator().manual_seed(0))

    mixed = vanilla(x)

    assert mixed.images is x
    assert mixed.perm.tolist() == [0, 1, 2]
    assert mixed.lam.tolist() == [1, 1, 1]
    assert torch.equal(mixed.mask, torch.ones(3, 1, 4, 5))


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


@pytest.fixture(scope="module")
def reference_model(regenerate, golden):
    """ResNet-50 with the recordings' weights, in eval mode."""
    inventory = json.loads((golden / "state_dict/mixups_r50.json").read_text())["state_dict"]
    arrays = regenerate.state(((name, shape) for name, shape, _ in inventory), 1001, None)
    model = Classifier(ResNetConfig(depth=50), num_classes=8142).eval()
    model.load_state_dict({name: torch.from_numpy(array) for name, array in arrays.items()})
    return model


@pytest.mark.parametrize("layer", [0, 1, 2])
def test_replays_the_reference(golden, shared, regenerate, reference_model, layer):
    """Draws, hidden mask, logits, loss and accuracies equal the recorded ones."""
    case = json.loads((golden / "manifoldmix/cases.json").read_text())[f"layer{layer}"]
    stored = np.load(golden / "manifoldmix/arrays.npz", allow_pickle=False)
    values = {draw["fn"]: draw["value"] for draw in case["draws"]}
    perm = torch.tensor(values["torch.randperm"])
    lam = values["np.random.beta"]
    x = torch.from_numpy(regenerate.photos(shared / "golden/images/crops", case["images"]))
    y = torch.tensor(case["y"])

    with torch.no_grad():
        mixed, logits = manifoldmix(reference_model, x, perm, lam, layer)

    assert list(mixed.mask.shape) == case["mask_shape"]
    recorded = torch.from_numpy(stored[f"layer{layer}_logits512"])
    torch.testing.assert_close(logits[:, :512], recorded, rtol=1e-4, atol=1e-4)
    loss = mix_cross_entropy(logits, y, y[perm], mixed.lam)
    assert loss.item() == pytest.approx(case["loss"], rel=1e-5)
    assert acc(logits, y).item() == case["acc"]
    assert acc_mix(logits, y, y[perm], mixed.lam).item() == case["acc_mix"]


@pytest.mark.parametrize("layer", [0, 1, 2])
def test_draws_in_the_order_of_the_reference(golden, replay, layer):
    """Weight, permutation, layer: replayed from the recording."""
    case = json.loads((golden / "manifoldmix/cases.json").read_text())[f"layer{layer}"]
    rng = replay(case["draws"])

    draw = draw_manifoldmix(rng, 4, case["draws"][0]["args"][0])

    assert draw.layer == layer
    assert draw.lam == case["lam"]
    assert draw.perm.tolist() == case["permutation"]


def test_gradients_reach_the_stages_before_the_mixing():
    """Both parts of the network learn from a mixed hidden state."""
    model = Classifier(ResNetConfig(depth=18, base_width=4, stem="cifar"), 3)
    x = torch.randn(4, 3, 16, 16, generator=torch.Generator().manual_seed(0))

    _, logits = manifoldmix(model, x, torch.tensor([1, 2, 3, 0]), 0.3, layer=2)
    logits.square().sum().backward()

    assert model.backbone.conv1.weight.grad is not None
    assert model.backbone.conv1.weight.grad.abs().sum() > 0


def test_all_layers_are_drawn_and_no_other():
    """Input, stage 1 and stage 2 are equally likely; stage 3 is never mixed."""
    rng = np.random.default_rng(0)

    layers = [draw_manifoldmix(rng, 4, 1.0).layer for _ in range(300)]

    assert set(layers) == {0, 1, 2}
    assert min(layers.count(layer) for layer in (0, 1, 2)) > 70


def test_refuses_a_later_layer():
    """Layer 3 isn't one of the method's layers."""
    model = Classifier(ResNetConfig(depth=18, base_width=4), 3)

    with pytest.raises(UsageError, match="got 3"):
        manifoldmix(model, torch.zeros(1, 3, 32, 32), torch.tensor([0]), 0.5, layer=3)
