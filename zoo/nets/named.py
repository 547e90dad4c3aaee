"""The network of a name: ours, such as `resnet50`, and timm's, such as `timm/resnet10t`."""

import difflib
import logging
from types import ModuleType
from typing import Any

import torch

from ..errors import SourceError, UsageError, wall
from .classifiers import Classifier, MixClassifier
from .foreign import SIZE, ForeignClassifier, ForeignMixClassifier
from .resnet import ResNetConfig

TIMM = "timm/"
GRAIN = 32  # pixels: most networks shrink images by as much, so that sides divide well


def check_name(architecture: str) -> None:
    """Raise UsageError unless `make` can make the network of this name."""
    if not architecture.startswith(TIMM):
        ResNetConfig.from_name(architecture)
        return
    timm, name = _timm(architecture), architecture.removeprefix(TIMM)
    bare = name.partition(".")[0]
    if not timm.is_model(bare):
        near = difflib.get_close_matches(bare, timm.list_models(), n=1)
        meant = f" Did you mean {TIMM}{near[0]}?" if near else ""
        raise UsageError(f"{architecture}: timm {timm.__version__} has no network {bare!r}.{meant}")
    if bare != name:
        raise UsageError(
            f"{architecture}: what follows the dot names pretrained weights, not a network. Say "
            f"architecture {TIMM}{bare}, and to begin with those weights --init {architecture}"
        )


def make(
    architecture: str, num_classes: int, method: str = "plain", seed: int = 0
) -> Classifier | MixClassifier:
    """The classifier of a network, in training mode.

    architecture: ours, or `timm/NAME`, which takes the package timm. method: "plain", "automix" or
    "samix". seed: of a foreign network's first weights, which are timm's own; ours has whatever
    torch draws. Raises UsageError for another name, or what can't be such a classifier.
    """
    check_name(architecture)
    if not architecture.startswith(TIMM):
        config = ResNetConfig.from_name(architecture)
        plain = method == "plain"
        return (
            Classifier(config, num_classes) if plain else MixClassifier(config, num_classes, method)
        )
    cfg = pretrained_cfg(architecture)
    size = (cfg.get("input_size") or (3, SIZE, SIZE))[-1]
    size = size if cfg.get("fixed_input_size") else size // GRAIN * GRAIN
    # Not on `meta`: a network may have tables of its own that no state dict holds.
    with torch.device("cpu"), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = _timm(architecture).create_model(
            architecture.removeprefix(TIMM), num_classes=num_classes
        )
    if method == "plain":
        return ForeignClassifier(network, architecture, classifier_of(architecture), size)
    rng = torch.Generator().manual_seed(seed)
    return ForeignMixClassifier(network, architecture, method, rng, size=size)


def pretrained_cfg(architecture: str) -> dict[str, Any]:
    """What timm says of its network `timm/NAME`: names of its ends, the size of its images."""
    check_name(architecture)
    found = _timm(architecture).models.get_pretrained_cfg(architecture.removeprefix(TIMM))
    return found.to_dict() if found else {}


def classifier_of(architecture: str) -> str:
    """The name of a timm network's last layer. Raises UsageError where it has several."""
    name = pretrained_cfg(architecture).get("classifier")
    if not isinstance(name, str):
        raise UsageError(f"{architecture}: expected a network with one classifier, it has {name}")
    return name


def pretrained(name: str) -> Any:
    """timm's network of `timm/NAME` or `timm/NAME.TAG` with timm's pretrained weights, which it
    fetches where they aren't here. Raises SourceError where they can't be had."""
    timm = _timm(name)
    check_name(name.partition(".")[0])
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)  # of each try a line
    to_do = "Check its name and the network, or give a file of them: --init FILE."
    with wall(SourceError, f"{name}: its pretrained weights can't be had", to_do):
        return timm.create_model(name.removeprefix(TIMM), pretrained=True)


def _timm(name: str) -> ModuleType:
    try:
        import timm
    except ImportError:
        raise UsageError(
            f"{name}: the package timm isn't installed, which makes this network. Run: pip install "
            "'mixzoo[timm]'"
        ) from None
    return timm
