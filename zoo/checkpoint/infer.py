"""Which classifier a checkpoint holds, read from the names and shapes of its entries alone."""

import re
from collections.abc import Mapping

import torch
from torch import Tensor

from ..errors import CheckpointError, several
from ..nets import Classifier, MixClassifier, ResNetConfig, make
from ..nets.named import TIMM, classifier_of
from ..nets.resnet import BLOCKS
from .names import canonical, unwrapped
from .reading import Checkpoint

Shape = tuple[int, ...]
COUNT = ".num_batches_tracked"  # PyTorch before 0.4.1 wrote none; evaluation doesn't ask for it


def network_of(
    checkpoint: Checkpoint, architecture: str = ""
) -> tuple[Classifier | MixClassifier, dict[str, Tensor]]:
    """The classifier that a file's entries fill exactly, still empty; and they, by its names.

    architecture: of a file whose notes don't name its network: one of timm is made if they or this
    do, ours are told by their shapes. Raises CheckpointError, naming the key, where an entry is
    missing, left over, or has another shape than the rest implies (batch norms may lack their
    COUNT); UsageError where timm is wanted and isn't here.
    """
    named = checkpoint.network or architecture
    if not named.startswith(TIMM):
        entries = canonical(checkpoint.state_dict)
        return infer(entries), entries
    entries = {unwrapped(name): value for name, value in checkpoint.state_dict.items()}
    if not any(name.startswith("backbone") for name in entries):  # timm's own file
        entries = {f"backbone.{name}": value for name, value in entries.items()}
    shapes = {name: tuple(value.shape) for name, value in entries.items()}
    side = "" if (method := _method(shapes)) == "plain" else "_k"
    head = _shape(shapes, f"backbone{side}.{classifier_of(named)}.weight", expected=f"a {named}")
    model = make(named, head[0], method)
    _compare(shapes, model)
    return model, entries


def infer(entries: Mapping[str, Tensor]) -> Classifier | MixClassifier:
    """The classifier of ours that these entries fill, still empty: on the `meta` device.

    entries: by their canonical names (`names.canonical`). For errors see `network_of`.
    """
    shapes = {name: tuple(value.shape) for name, value in entries.items()}
    method = _method(shapes)
    side = "" if method == "plain" else "_k"
    config = _config(shapes, f"backbone{side}.")
    head = "head.fc.weight" if method == "plain" else "head_one_k.fc.weight"
    num_classes = _shape(shapes, head, ndim=2)[0]
    with torch.device("meta"):
        model = make(config.name, num_classes, method)
    _compare(shapes, model)
    return model


def _method(shapes: Mapping[str, Shape]) -> str:
    if not any(name.startswith("backbone_q.") for name in shapes):
        return "plain"
    return "samix" if "mix_block.key.conv.weight" in shapes else "automix"


def _config(shapes: Mapping[str, Shape], prefix: str) -> ResNetConfig:
    width, _, kernel, _ = _shape(shapes, f"{prefix}conv1.weight", ndim=4)
    grouped, per_group, _, _ = _shape(shapes, f"{prefix}layer1.0.conv2.weight", ndim=4)
    bottleneck = f"{prefix}layer1.0.conv3.weight" in shapes
    groups = max(1, grouped // per_group) if bottleneck else 1
    return ResNetConfig(
        depth=_depth(shapes, prefix, bottleneck),
        groups=groups,
        width_per_group=64 if groups == 1 else per_group,
        base_width=width,
        stem="imagenet" if kernel == 7 else "cifar",
    )


def _depth(shapes: Mapping[str, Shape], prefix: str, bottleneck: bool) -> int:
    found = set()
    for name in shapes:
        if match := re.match(rf"{re.escape(prefix)}layer(\d)\.(\d+)\.", name):
            found.add(match.groups())
    stages = [stage for stage, _ in found]
    blocks = tuple(stages.count(stage) for stage in sorted(set(stages)))
    for depth, known in BLOCKS.items():
        if blocks == known and (depth >= 50) == bottleneck:
            return depth
    kind = "bottleneck" if bottleneck else "basic"
    raise CheckpointError(
        f"{prefix}layer*: {blocks} {kind} blocks per stage fit no ResNet of depth "
        f"{', '.join(map(str, BLOCKS))}; entries are missing, or it is another network. Get "
        "another copy.",
        cause="keys-left-out",
    )


def _shape(
    shapes: Mapping[str, Shape],
    name: str,
    ndim: int = 0,
    expected: str = "a ResNet classifier with OpenMixup's, torchvision's or timm's names",
) -> Shape:
    if name not in shapes:
        raise CheckpointError(
            f"no entry '{name}' among {_some(list(shapes))}; expected {expected}. "
            "Get another copy, or export it with such names.",
            cause="keys-left-out",
        )
    shape = shapes[name]
    if len(shape) != (ndim or len(shape)) or not shape or 0 in shape:
        raise CheckpointError(
            f"'{name}' has shape {shape}, expected {ndim} sizes above 0. Get another copy."
        )
    return shape


def _compare(shapes: Mapping[str, Shape], model: Classifier | MixClassifier) -> None:
    expected = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    what = f"a {model.architecture} with {model.num_classes} classes ({model.method})"
    missing = [n for n in expected if n not in shapes and not n.endswith(COUNT)]
    foreign = [name for name in shapes if name not in expected]
    if missing:
        statistics = all(name.endswith((".running_mean", ".running_var")) for name in missing)
        raise CheckpointError(
            f"{what} also needs {_some(missing)}. Get another copy.",
            cause="batch-norm-missing" if statistics else "keys-left-out",
        )
    if foreign:
        raise CheckpointError(f"{what} has no place for {_some(foreign)}. Save the network alone.")
    for name, got in shapes.items():
        if got != expected[name]:
            raise CheckpointError(
                f"{what} needs '{name}' of shape {expected[name]}, got {got}. Get another copy."
            )


def _some(names: list[str]) -> str:
    """'2 entries: a, b'."""
    noun = "entry" if len(names) == 1 else "entries"
    return f"{len(names)} {noun}: {several(names)}"
