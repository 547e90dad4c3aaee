"""What tests of loading share: regenerated weights and small state dicts."""

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
import torch
from mixzoo.zoo.nets import Classifier, MixClassifier, ResNetConfig

Entries = dict[str, torch.Tensor]


@pytest.fixture(scope="session")
def entries_of(regenerate: ModuleType) -> Callable[..., Entries]:
    """Regenerated tensors for all entries of a model, which may be on the meta device."""

    def entries_of(model: torch.nn.Module, seed: int = 1, seed_mix_block: int = 2) -> Entries:
        shapes = [(name, tuple(value.shape)) for name, value in model.state_dict().items()]
        arrays = regenerate.state(shapes, seed, seed_mix_block)
        return {name: torch.from_numpy(array) for name, array in arrays.items()}

    return entries_of


@pytest.fixture
def tiny(entries_of: Callable[..., Entries]) -> Callable[..., Entries]:
    """Entries of a small classifier, as OpenMixup writes them (the k side twice)."""

    def tiny(method: str = "plain", name: str = "resnet18_w4", num_classes: int = 3) -> Entries:
        config = ResNetConfig.from_name(name)
        with torch.device("meta"):
            if method == "plain":
                return entries_of(Classifier(config, num_classes))
            entries = entries_of(MixClassifier(config, num_classes, method))
        aliases = {"backbone_k.": "backbone.", "head_one_k.": "head."}
        for full, alias in aliases.items():
            for key in [key for key in entries if key.startswith(full)]:
                entries[alias + key.removeprefix(full)] = entries[key]
        return entries

    return tiny


@pytest.fixture(scope="session")
def inventory(golden: Path) -> Callable[[str], dict[str, tuple[int, ...]]]:
    """Names and shapes of a real configuration's state dict (8142 classes)."""

    def inventory(config: str) -> dict[str, tuple[int, ...]]:
        recorded = json.loads((golden / "state_dict" / f"{config}.json").read_text())
        return {name: tuple(shape) for name, shape, _ in recorded["state_dict"]}

    return inventory
