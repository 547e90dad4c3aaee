"""AutoMix and SAMix around networks that mixzoo doesn't know train as around its own."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mixzoo
import numpy as np
import pytest
import torch
import torch.distributed as dist
import torchvision
from mixzoo.train.mixing import draw_automix
from mixzoo.train.network import copy_q_to_k, freeze_k, initialise, momentum_update
from mixzoo.train.recipe import Automix
from mixzoo.train.steps import automix_losses
from mixzoo.zoo.errors import UsageError
from mixzoo.zoo.nets import Classifier, MixClassifier, ResNetConfig
from torch import nn

CONFIG = ResNetConfig.from_name("resnet18_w4")
FOREIGN: dict[str, Callable[..., nn.Module]] = {
    "layer3": torchvision.models.resnet18,
    "trunk_output.block3": torchvision.models.regnet_y_400mf,
    "features.8": torchvision.models.mobilenet_v3_small,
    "features.5": torchvision.models.efficientnet_b0,
}
learnt = pytest.mark.parametrize("method", ["automix", "samix"])


class Small(nn.Module):
    """A network of one's own, that shrinks images by 8."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.ReLU())
        self.body = nn.Sequential(nn.Conv2d(8, 16, 3, 2, 1), nn.BatchNorm2d(16), nn.ReLU(True))
        self.last = nn.Sequential(nn.Conv2d(16, 32, 3, 2, 1), nn.ReLU())
        self.fc = nn.Linear(32, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits (N, 2) of images (N, 3, H, W)."""
        return self.fc(self.last(self.body(self.stem(x))).mean((2, 3)))


class Patches(nn.Module):
    """A transformer's shape: squares of pixels, then tokens without places."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.cut, self.fc = nn.Conv2d(3, 8, size, size), nn.Linear(8, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits (N, 2) of images (N, 3, H, W)."""
        return self.fc(self.cut(x).flatten(2).mean(2))


def _batch(seed: int = 0, n: int = 8) -> tuple[torch.Tensor, torch.Tensor]:
    """Reddish and bluish noise."""
    rng = torch.Generator().manual_seed(seed)
    y = torch.arange(n) % 2
    x = torch.randn((n, 3, 32, 32), generator=rng)
    x[:, 0] += 1.5 * (1 - y)[:, None, None]
    x[:, 2] += 1.5 * y[:, None, None]
    return x, y


@learnt
def test_losses_are_those_of_our_own_network(method: Any) -> None:
    """To the bit, with k's step after it: those are held against the recorded ones."""
    ours = MixClassifier(CONFIG, 10, method)
    initialise(ours, torch.Generator().manual_seed(1))
    copy_q_to_k(ours)
    freeze_k(ours)
    network = Classifier(CONFIG, 10)
    network.backbone.load_state_dict(ours.backbone_q.state_dict())
    network.head.load_state_dict(ours.head_one_q.state_dict())
    wrapped = mixzoo.AutoMix(network, method, steps=4, size=64)
    wrapped.head_mix_q.load_state_dict(ours.head_mix_q.fc.state_dict())
    wrapped.head_mix_k.load_state_dict(ours.head_mix_k.fc.state_dict())
    wrapped.mix_block.load_state_dict(ours.mix_block.state_dict())
    x, y = torch.randn((4, 3, 64, 64)), torch.tensor([1, 5, 5, 9])
    rng = np.random.default_rng((0, 0, 0))
    draw = draw_automix(rng, (4, 3, 64, 64), 2.0, ours)

    expected = automix_losses(ours.train(), x, y, draw, 0.1, Automix())
    found = wrapped.train()(x, y)
    for model, losses in ((ours, expected), (wrapped, found)):
        losses["loss"].backward()
        torch.optim.SGD(model.parameters(), 0.1).step()
    momentum_update(ours, 0.999)
    wrapped.follow()

    assert {name: loss.item() for name, loss in found.items()} == {
        name: loss.item() for name, loss in expected.items()
    }
    pairs = zip(wrapped.backbone_k.parameters(), ours.side("k"), strict=False)
    assert all(torch.equal(one, other) for one, other in pairs)
    assert torch.equal(wrapped.eval()(x), ours.eval()(x))
    assert torch.equal(
        wrapped.mix(x, 0.4, torch.tensor([1, 0, 3, 2])).mask,
        ours.mix(x, 0.4, torch.tensor([1, 0, 3, 2])).mask,
    )


@pytest.mark.parametrize(("layer", "make"), FOREIGN.items(), ids=FOREIGN)
def test_foreign_networks_show_their_layers(layer: str, make: Callable[..., nn.Module]) -> None:
    """The deepest stage of stride 16 is found; every parameter that learns gets a gradient."""
    automix = mixzoo.AutoMix(make(num_classes=10), "samix", steps=2)
    x, y = torch.randn((4, 3, 64, 64)), torch.arange(4)

    automix(x, y)["loss"].backward()

    assert (automix.layer, automix.mask_stride) == (layer, 16)
    for name, parameter in automix.named_parameters():
        assert (parameter.grad is not None) == parameter.requires_grad, name


@pytest.mark.parametrize(
    "name", ["resnet50", "regnety_002", "convnext_atto", "efficientnet_b0", "mobilenetv3_small_050"]
)
def test_timms_networks_train(name: str) -> None:
    """Where timm is installed."""
    timm = pytest.importorskip("timm")
    automix = mixzoo.AutoMix(timm.create_model(name, num_classes=4), steps=2)

    losses = automix(torch.randn((4, 3, 64, 64)), torch.arange(4))
    losses["loss"].backward()

    assert all(p.grad is not None for p in automix.parameters() if p.requires_grad)


@learnt
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_small_network_learns(method: Any, dtype: torch.dtype) -> None:
    """In a plain loop of the documentation's eight lines: all four heads, also under autocast."""
    torch.manual_seed(0)
    automix = mixzoo.AutoMix(
        Small(), method, steps=40, size=32, options=Automix(momentum=0.8, momentum_end=0.9)
    )
    optimizer = torch.optim.SGD(automix.parameters(), lr=0.1, momentum=0.9)

    for step in range(40):
        with torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
            loss = automix(*_batch(step, 16))["loss"]
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        automix.follow()

    x, y = _batch(99, 64)
    with torch.no_grad():
        heads = automix.eval().logits(x)
    assert all((logits.argmax(1) == y).float().mean() > 0.9 for logits in heads.values())


def test_goes_on_from_a_state_dict(tmp_path: Path) -> None:
    """A stopped loop draws what an uninterrupted one would have."""
    automix = mixzoo.AutoMix(Small(), steps=4, size=32)
    automix(*_batch())
    automix.follow()
    torch.save(automix.state_dict(), tmp_path / "last.pth")
    again = mixzoo.AutoMix(Small(), steps=4, size=32)

    again.load_state_dict(torch.load(tmp_path / "last.pth", weights_only=True))

    assert again.step == 1
    assert again(*_batch(1))["loss"] == automix(*_batch(1))["loss"]


def _rank(rank: int, folder: str) -> None:
    dist.init_process_group("gloo", f"file://{folder}/meet", rank=rank, world_size=2)
    torch.manual_seed(0)
    automix = mixzoo.AutoMix(Small(), steps=3, size=32)
    shared = nn.parallel.DistributedDataParallel(automix)
    optimizer = torch.optim.SGD(automix.parameters(), 0.1)
    for step in range(2):
        shared(*_batch(2 * step + rank))["loss"].backward()
        optimizer.step()
        optimizer.zero_grad()
        automix.follow()
    torch.save([p.detach() for p in automix.parameters()], f"{folder}/{rank}.pth")
    dist.destroy_process_group()


def test_two_processes_stay_one(tmp_path: Path) -> None:
    """Under DistributedDataParallel q, k and the block are the same on both."""
    torch.multiprocessing.spawn(_rank, (str(tmp_path),), nprocs=2)

    first, second = (torch.load(tmp_path / f"{rank}.pth") for rank in range(2))
    assert all(torch.equal(one, other) for one, other in zip(first, second, strict=True))


@pytest.mark.parametrize(
    ("network", "options", "message"),
    [
        (nn.Sequential(nn.Conv2d(3, 2, 3), nn.Flatten()), {}, "whose last layer is a linear one"),
        (nn.Linear(4, 2), {}, "Linear: expected a network of images .N, 3, 32, 32.: .* size="),
        (nn.Identity(), {}, "whose last layer is a linear one"),
        (Small(), {"layer": "fc"}, "got fc; name one by layer= .of stem, body, last."),
        (Small(), {"method": "mixup"}, "one of automix, samix, got 'mixup'"),
        (Small(), {"steps": 0}, "steps to be a whole number of 1 to"),
        (Small(), {"steps": "x"}, "got 'x'"),
        (Small(), {"size": 8}, "size to be a whole number of 28 to 8,192, got 8"),
        (Small(), {"alpha": -1}, "alpha to be a number of 0"),
        (Small(), {"alpha": 0}, "alpha > 0"),
        (Small(), {"seed": -1}, "seed to be a whole number of 0"),
        (Small(), {"options": {}}, "options to be a recipe.Automix, got a dict"),
        (None, {}, "network to be of torch's class Module, got none"),
        ("resnet18", {}, "network to be of torch's class Module, got 'resnet18'"),
        (torchvision.models.resnet18, {}, "got a function"),
        (
            nn.Sequential(nn.Flatten(), nn.Linear(3072, 2)),
            {},
            "places of 16 px, to .* got no maps, at 32 px",
        ),
        (
            torchvision.models.resnet18(),
            {"size": 100},
            "got maps of 2, 4, 25 px, at 100 px. .* size=. .* multiples of 32",
        ),
        *(
            (
                Patches(size),
                {"size": 64},
                f"16 px, to .* got one map alone, of {size} px, .* Choose",
            )
            for size in (4, 16, 32)
        ),
    ],
)
def test_what_does_not_fit_is_refused(network: Any, options: Any, message: str) -> None:
    """In a line, with what is expected, and how to say it."""
    with pytest.raises(UsageError, match=message) as refused:
        mixzoo.AutoMix(network, **{"steps": 1, "size": 32} | options)

    assert "\n" not in str(refused.value)


def test_logits_leave_no_trace() -> None:
    """In training mode, with dropout and batch norm; labels belong to training alone."""
    automix = mixzoo.AutoMix(
        nn.Sequential(Small(), nn.Dropout(), nn.Linear(2, 2)), steps=1, size=32
    )
    automix.backbone_q[1].eval()
    x, y = _batch()
    before = {name: value.clone() for name, value in automix.state_dict().items()}

    logits = automix(x)

    assert torch.equal(logits, automix(x))
    assert (automix.training, automix.backbone_q[1].training) == (True, False)
    assert torch.equal(logits, automix.eval()(x))
    assert all(torch.equal(before[name], one) for name, one in automix.state_dict().items())
    with pytest.raises(UsageError, match=r"call train\(\) first"):
        automix(x, y)


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (_batch()[0].numpy(), None, "a numpy.ndarray of shape"),
        (_batch()[0], torch.eye(8, 2), "one whole number as label for each of 8"),
        (_batch()[0], torch.arange(8), "labels of 0 to 1, got 0 to 7"),
    ],
)
def test_no_batch_is_refused(x: Any, y: Any, message: str) -> None:
    """As by a Mixer."""
    with pytest.raises(UsageError, match=message):
        mixzoo.AutoMix(Small(), steps=1, size=32)(x, y)


@pytest.mark.parametrize("head", ["one_k", "mix_q"])
def test_the_network_alone_is_the_chosen_head(head: str) -> None:
    """A copy in its own type, with the head's logits; features, and a head for other classes."""
    automix = mixzoo.AutoMix(Small(), steps=1, size=32).eval()
    automix.head_name = head
    x = torch.randn(2, 3, 32, 32)

    alone = automix.single()

    assert type(alone) is Small
    assert torch.equal(alone(x), automix(x))
    assert all(p.requires_grad for p in alone.parameters())
    pooled = automix.features(x)
    torch.testing.assert_close(alone.fc(pooled), automix(x))
    assert automix.features(x, maps=True).ndim == 4
    assert automix.with_head(7)(x).shape == (2, 7)


def test_network_keeps_its_mode_and_hooks() -> None:
    """Looking into it changes nothing."""
    network = Small().train()
    before = copy.deepcopy(network.state_dict())

    mixzoo.AutoMix(network, steps=1, size=32)

    assert network.training
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())
    assert not any(module._forward_hooks for module in network.modules())
