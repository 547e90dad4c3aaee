"""Our networks as timm and torchvision know them: names of weights, and timm's `config.json`.

Both list the entries of a ResNet or ResNeXt under the same names, and compute the same logits from
them, to the bit (measured with timm 1.0.31 and torchvision 0.29).
"""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from torch import Tensor

from ..errors import UsageError
from ..manifest import Protocol
from ..nets import Classifier, ForeignMixClassifier, MixClassifier, ResNetConfig
from ..nets.named import TIMM, pretrained_cfg

Names = Literal["mixzoo", "timm", "torchvision", "onnx"]
IN_TIMM = {"resnext50_32x4d", "resnext101_32x4d", "resnext101_32x8d", "resnext101_64x4d"}


def has_peer(architecture: str) -> bool:
    """Whether timm has this network; of ours torchvision has it too, under the same name where it
    is no ResNeXt."""
    if architecture.startswith(TIMM):
        return True
    config = ResNetConfig.from_name(architecture)
    plain = config.groups == 1 and config.base_width == 64 and config.stem == "imagenet"
    return plain or architecture in IN_TIMM


def peer_entries(
    model: Classifier | MixClassifier, entries: Mapping[str, Tensor], head: str | None = None
) -> dict[str, Tensor]:
    """The classifier of one head under the names of timm and torchvision; same tensors.

    entries: of `model` by our names. head: None takes the one that inference uses.
    Raises UsageError for another head, or where they have no such network.
    """
    head = head or model.head_name
    if head not in model.heads:
        raise UsageError(f"--head {head}: expected one of {', '.join(model.heads)}. Name one.")
    if not has_peer(model.architecture):
        raise UsageError(
            f"{model.architecture}: timm and torchvision have no network of this shape, so there "
            "are no names of theirs for it. Export it with --names mixzoo."
        )
    learnt = isinstance(model, MixClassifier)
    parts = (f"backbone_{head[-1]}.", f"head_{head}.") if learnt else ("backbone.", "head.")
    if isinstance(model, ForeignMixClassifier):  # whose own head is the one for unmixed images
        entries = {n: v for n, v in entries.items() if n.startswith(parts)} | {
            f"{parts[0]}{model.classifier}.{name.removeprefix(parts[1])}": value
            for name, value in entries.items()
            if name.startswith(parts[1])
        }
        parts = parts[:1]
    return {
        name.removeprefix(part): value
        for name, value in entries.items()
        for part in parts
        if name.startswith(part)
    }


def timm_config(architecture: str, num_classes: int, protocol: Protocol) -> str:
    """The text of the `config.json` by which timm makes the network and the pixels it takes.

    It stands beside `model.safetensors`, in a folder or a repository of the hub. Raises UsageError
    for pixels that timm's transforms don't make.
    """
    if protocol.channels != "RGB":
        raise UsageError(
            f"timm makes RGB pixels, and the protocol wants {protocol.channels}. Export the "
            "weights with --names torchvision or mixzoo."
        )
    own = pretrained_cfg(architecture) if architecture.startswith(TIMM) else {}
    features = {} if own else {"num_features": ResNetConfig.from_name(architecture).channels(4)}
    config = {
        "architecture": architecture.removeprefix(TIMM),
        "num_classes": num_classes,
        **features,
        **({} if own else {"global_pool": "avg"}),
        "pretrained_cfg": {
            "custom_load": False,
            "input_size": [3, protocol.crop, protocol.crop],
            "fixed_input_size": False,
            "interpolation": protocol.interpolation,
            "crop_pct": _crop_share(protocol),
            "crop_mode": "center",
            "mean": protocol.mean,
            "std": protocol.std,
            "num_classes": num_classes,
            "first_conv": own.get("first_conv", "conv1"),
            "classifier": own.get("classifier", "fc"),
        },
    }
    return json.dumps(config, indent=2) + "\n"


def how_to_load(names: Names, architecture: str, num_classes: int, path: Path) -> str:
    """The line of Python by which timm or torchvision take an export as it is."""
    classes, file = f"num_classes={num_classes}", repr(str(path))
    if names == "timm":
        name = architecture.removeprefix(TIMM)
        return f'model = timm.create_model("{name}", {classes}, checkpoint_path={file})'
    network = f"torchvision.models.{architecture}({classes})"
    if architecture == "resnext101_32x4d":  # torchvision has its parts, but no name for it
        network = (
            "torchvision.models.resnet.ResNet(torchvision.models.resnet.Bottleneck, [3, 4, 23, 3], "
            f"groups=32, width_per_group=4, {classes})"
        )
    return f"model = {network}; model.load_state_dict(safetensors.torch.load_file({file}))"


def _crop_share(protocol: Protocol) -> float:
    """The share of the shorter side by which timm comes to the protocol's size: it rounds down."""
    share = protocol.crop / protocol.resize
    while math.floor(protocol.crop / share) < protocol.resize:
        share = math.nextafter(share, 0)
    return share
