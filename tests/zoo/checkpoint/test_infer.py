"""Reading the classifier off names and shapes."""

from collections.abc import Callable

import pytest
import torch
from mixzoo.zoo.checkpoint.infer import infer
from mixzoo.zoo.checkpoint.names import canonical
from mixzoo.zoo.errors import CheckpointError
from mixzoo.zoo.nets import Classifier, MixClassifier, ResNetConfig

CONFIGS = {"mixups_r50": "plain", "automix_r50": "automix", "samix_r50": "samix"}
NAMES = ["resnet18", "resnet34_cifar", "resnet50_w4", "resnext101_32x4d", "resnext50_16x2d_w32"]


@pytest.mark.parametrize("config", CONFIGS)
def test_the_released_inventories_are_recognised(config: str, inventory: Callable) -> None:
    """The real configurations' entries, aliases folded, are exactly one 8142-class ResNet-50."""
    with torch.device("meta"):
        stored = {name: torch.empty(shape) for name, shape in inventory(config).items()}
    folded = {
        name: value
        for name, value in stored.items()
        if config == "mixups_r50" or not name.startswith(("backbone.", "head."))
    }

    model = infer(folded)

    assert (model.architecture, model.num_classes) == ("resnet50", 8142)
    assert model.method == CONFIGS[config]
    assert set(model.state_dict()) == set(folded)


@pytest.mark.parametrize("method", ["plain", "automix", "samix"])
@pytest.mark.parametrize("name", NAMES)
def test_every_architecture_is_recognised_by_its_shapes(name: str, method: str) -> None:
    """Depth, groups, widths, stem, method and classes all come back from shapes alone."""
    config = ResNetConfig.from_name(name)
    with torch.device("meta"):
        source = Classifier(config, 7) if method == "plain" else MixClassifier(config, 7, method)

    model = infer(source.state_dict())

    assert (model.architecture, model.method, model.num_classes) == (name, method, 7)
    assert {value.device.type for value in model.state_dict().values()} == {"meta"}


def _without(*starts: str) -> Callable:
    return lambda entries: {k: v for k, v in entries.items() if not k.startswith(starts)}


def _with(**shapes: tuple[int, ...]) -> Callable:
    return lambda entries: (
        entries | {name.replace("__", "."): torch.zeros(shape) for name, shape in shapes.items()}
    )


def _third_block(entries: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    copies = {k.replace("layer1.0", "layer1.2"): v for k, v in entries.items() if "layer1.0" in k}
    return entries | copies


LOST, NECKS = "backbone.layer2.0.bn1.running_var", {f"neck__{i}__weight": (1,) for i in range(4)}
STRANGE = {"patch_embed.proj.weight": torch.zeros(1), "cls_token": torch.zeros(1)}
FAULTS = {
    "lost entry": ("plain", _without(LOST), f"needs 1 entry: {LOST}"),
    "no head": (
        "plain",
        _without("head"),
        "no entry 'head.fc.weight' among 120 entries: .* 117 more;",
    ),
    "no place": ("plain", _with(**NECKS), "4 entries: neck.0.weight, .* neck.2.weight and 1 more"),
    "other shape": (
        "plain",
        _with(head__fc__bias=(5,)),
        r"'head.fc.bias' of shape \(3,\), got \(5,\)",
    ),
    "heads that disagree": (
        "automix",
        _with(head_mix_q__fc__weight=(9, 32)),
        r"'head_mix_q.fc.weight' of shape \(3, 32\), got \(9, 32\)",
    ),
    "a block too many": ("plain", _third_block, r"\(3, 2, 2, 2\) basic blocks per stage"),
    "another network": (
        "plain",
        lambda _: STRANGE,
        "2 entries: patch_embed.proj.weight, cls_token; exp",
    ),
}


@pytest.mark.parametrize(("method", "change", "message"), FAULTS.values(), ids=FAULTS)
def test_what_does_not_fit_is_named(
    method: str, change: Callable, message: str, tiny: Callable
) -> None:
    """Entries that are missing, left over or of another shape, the first three by name."""
    entries = change(canonical(tiny(method)))

    with pytest.raises(CheckpointError, match=message):
        infer(entries)


@pytest.mark.parametrize("name", ["resnet18_w4", "resnext50_4x2d_w4"])
@pytest.mark.parametrize(
    "key",
    [
        "backbone.conv1.weight",
        "backbone.layer1.0.conv2.weight",
        "backbone.layer4.1.bn2.bias",
        "head.fc.weight",
    ],
)
@pytest.mark.parametrize(
    "change",
    [
        lambda _: (),
        lambda _: (0,),
        lambda shape: [2 * side for side in shape],
        lambda shape: [shape[0], *(9 * side for side in shape[1:]), 1][: max(2, len(shape))],
    ],
    ids=["none", "empty", "doubled", "deeper"],
)
def test_a_damaged_shape_is_never_taken_for_another_network(
    name: str, key: str, change: Callable
) -> None:
    """Also where an architecture is read off an entry, damage to it is a CheckpointError."""
    with torch.device("meta"):
        entries = Classifier(ResNetConfig.from_name(name), 3).state_dict()
        entries[key] = torch.empty(change(entries[key].shape))

    with pytest.raises(CheckpointError):
        infer(entries)
