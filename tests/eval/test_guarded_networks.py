"""Guarded predictions are those of fp32 for real networks, image by image."""

from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from mixzoo.eval.pixels import decode_crop
from mixzoo.eval.precision import Arithmetic
from mixzoo.eval.predictions import FAST
from mixzoo.eval.predictor import Predictor
from mixzoo.zoo.checkpoint.load import load, load_file
from mixzoo.zoo.data import find_images
from mixzoo.zoo.manifest import Protocol
from mixzoo.zoo.nets import Classifier, ResNetConfig

from .walking import CPU, Images, assert_same, walk


def read(data: Path, protocol: Protocol, limit: int, **where: Any) -> Images:
    """Crops and labels of every k-th labelled image, about `limit` of them."""
    images = find_images(data, **where)
    at = range(0, len(images), max(1, len(images) // limit))
    crops = np.stack([decode_crop(images.read(i), protocol, images.files[i]) for i in at])
    return torch.from_numpy(crops), torch.tensor([images.labels[i] for i in at]), protocol


@pytest.fixture(scope="module")
def tiny_val(shared: Path) -> Images:
    """The 300 validation images of the reference's own runs."""
    root = shared / "golden/tiny_val"
    protocol = Protocol(resize=110, crop=96)
    return read(root, protocol, 300, labels=root / "val_tiny.txt")


@pytest.fixture(scope="module")
def mini_val(mini_images: Path) -> Images:
    """250 of the drawn images."""
    return read(mini_images, Protocol(resize=146, crop=128), 250)


both = pytest.mark.parametrize("arithmetic", ["emulated-bf16", "fp32"])


@both
@pytest.mark.parametrize("run", ["tiny_cutmix_ep8", "tiny_automix_ep8"])
def test_guarded_is_fp32_for_the_references_checkpoints(
    run: str, arithmetic: Arithmetic, golden: Path, tiny_val: Images
) -> None:
    """Every head of both golden checkpoints, where bf16 alone changes predictions."""
    protocol = tiny_val[2]
    model = load_file(golden / "runs" / run / "epoch_8.pth")
    exact = walk(Predictor(model, protocol, CPU), tiny_val)
    guarded = Predictor(model, protocol, CPU, "guarded", arithmetic=arithmetic, calibration=64)

    assert_same(walk(guarded, tiny_val), exact)

    changed = sum(head["changed"] for head in guarded.summary()["heads"].values())
    assert (changed > 0) == (arithmetic == "emulated-bf16")


@both
@pytest.mark.parametrize("row", ["resnet18_w6.vanilla_mini", "resnet18_w6.mixup_mini"])
def test_guarded_is_fp32_for_the_packaged_rows(
    row: str, arithmetic: Arithmetic, mini_val: Images
) -> None:
    """Most images are believed, so that the guard has something to get wrong."""
    protocol, model = mini_val[2], load(row)
    exact = walk(Predictor(model, protocol, CPU), mini_val)
    guarded = Predictor(model, protocol, CPU, "guarded", arithmetic=arithmetic, calibration=64)

    found = walk(guarded, mini_val)

    assert_same(found, exact)
    assert (found["head0"].state == FAST).mean() > 0.4


def test_guarded_is_fp32_for_random_weights(shared: Path, regenerate: ModuleType) -> None:
    """A ResNet-50 of 8,142 classes that knows nothing, on photographs: margins are tiny."""
    model = Classifier(ResNetConfig.from_name("resnet50"), 8142).eval()
    shapes = [(name, tuple(value.shape)) for name, value in model.state_dict().items()]
    arrays = regenerate.state(shapes, 1001, None)
    model.load_state_dict({name: torch.from_numpy(np.array(a)) for name, a in arrays.items()})
    files = sorted((shared / "golden/images").glob("*.JPEG"))[:12]
    protocol = Protocol(resize=256, crop=224)
    crops = np.stack([decode_crop(file.read_bytes(), protocol, file.name) for file in files])
    images = torch.from_numpy(crops), torch.arange(len(files)), protocol
    exact = walk(Predictor(model, protocol, CPU), images, batch_size=4)

    guarded = Predictor(
        model, protocol, CPU, "guarded", arithmetic="emulated-bf16", calibration=4, batch_size=3
    )

    assert_same(walk(guarded, images, batch_size=4), exact)
