"""Networks before the first step."""

from dataclasses import replace

import pytest
import torch
from mixzoo.train.network import fresh_network, initialise
from mixzoo.train.recipe import Recipe
from mixzoo.zoo.nets import Classifier, MixClassifier, ResNetConfig


@pytest.fixture(scope="module")
def samix(tiny: Recipe) -> MixClassifier:
    """A fresh network of SAMix."""
    network = fresh_network(replace(tiny, mix_mode=("samix",)))
    assert isinstance(network, MixClassifier)
    return network


def test_weights_are_drawn_as_openmixups() -> None:
    """Convolutions with a variance of 2 / fan_out, heads with deviation 0.01 and without bias."""
    model = Classifier(ResNetConfig.from_name("resnet18"), 400)
    initialise(model, torch.Generator().manual_seed(0))

    convolution = model.backbone.layer3[0].conv1.weight  # (256, 128, 3, 3), stride 2
    assert convolution.var().item() == pytest.approx(2 / (256 * 9), rel=0.02)
    assert model.head.fc.weight.std().item() == pytest.approx(0.01, rel=0.02)
    assert not model.head.fc.bias.any()


@pytest.mark.parametrize(("name", "last"), [("resnet18_w4", "bn2"), ("resnet50", "bn3")])
def test_blocks_start_as_their_shortcuts(name: str, last: str) -> None:
    """The last batch norm of each block is at zero, all others at one."""
    model = Classifier(ResNetConfig.from_name(name), 3)

    initialise(model, torch.Generator().manual_seed(0))

    for parameter, value in model.named_parameters():
        if "bn" in parameter and parameter.endswith("weight"):
            expected = 0.0 if parameter.endswith(f"{last}.weight") else 1.0
            assert (value == expected).all(), parameter


def test_mix_block_is_a_small_normal(samix: MixClassifier) -> None:
    """Deviation 0.01 also for its convolutions, biases 0, batch norm at one."""
    block = samix.mix_block

    assert block.query.conv.weight.std().item() == pytest.approx(0.01, rel=0.15)
    assert not block.query.conv.bias.any()
    assert (block.value.conv[0].bn.weight == 1).all()


def test_k_is_a_frozen_copy_of_q(samix: MixClassifier) -> None:
    """Backbone and both heads, and q learns."""
    for part in ("backbone", "head_one", "head_mix"):
        q, k = (samix.get_submodule(f"{part}_{side}") for side in "qk")
        for mine, theirs in zip(q.parameters(), k.parameters(), strict=True):
            assert torch.equal(mine, theirs)
            assert mine.requires_grad
            assert not theirs.requires_grad


def test_weights_come_from_the_recipes_seed_alone(tiny: Recipe) -> None:
    """Whatever torch's global state; another seed gives others."""
    weights = []
    for global_seed, seed in ((1, 0), (2, 0), (2, 1)):
        torch.manual_seed(global_seed)
        weights.append(fresh_network(replace(tiny, seed=seed)).state_dict()["head.fc.weight"])

    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_networks_are_in_training_mode(tiny: Recipe, samix: MixClassifier) -> None:
    """Batch norm takes its statistics from the batch."""
    assert all(module.training for module in (*samix.modules(), *fresh_network(tiny).modules()))
