"""Guarded predictions are those of fp32 for real networks, image by image."""

from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from mixzoo.eval.guard import Reach
from mixzoo.eval.pixels import decode_crop
from mixzoo.eval.precision import Arithmetic
from mixzoo.eval.predictions import FAST
from mixzoo.eval.predictor import Predictor
from mixzoo.eval.protocol import normalise
from mixzoo.zoo.checkpoint.load import load, load_file
from mixzoo.zoo.data import find_images
from mixzoo.zoo.manifest import Protocol
from mixzoo.zoo.nets import Classifier, ResNetConfig
from mixzoo.zoo.nets.resnet import BasicBlock

from ..mini_rows import MIXUP, PROTOCOL, VANILLA
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
    return read(mini_images, PROTOCOL, 250)


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

    found = walk(guarded, tiny_val)

    assert_same(found, exact)
    changed = sum(head["changed"] for head in guarded.summary(found)["heads"].values())
    assert (changed > 0) == (arithmetic == "emulated-bf16")


@both
@pytest.mark.parametrize("row", [VANILLA, MIXUP])
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


def planted(images: Images, loud: int) -> tuple[Classifier, Images]:
    """A network with two channels, `loud` and the next, that a single image sets off, and then
    loudly; that image last.

    They differ by a hundredth and one is subtracted from the other, so that the features stay as
    large as ever, while 16 bits round away what was left of them.
    """
    crops, labels, protocol = images[0][::2], images[1][::2], images[2]
    model = load(MIXUP)
    block = model.backbone.layer3[0]
    assert isinstance(block, BasicBlock)
    other = (loud + 1) % block.conv1.out_channels
    heard: list[torch.Tensor] = []
    hook = block.bn1.register_forward_hook(lambda *seen: heard.append(seen[2][:, loud]))
    with torch.inference_mode():
        model(normalise(crops, protocol))
    hook.remove()
    order = heard[0].flatten(1).amax(1).argsort()
    weight, norm, after = block.conv1.weight, block.bn1, block.conv2.weight
    assert norm.running_mean is not None
    assert norm.running_var is not None
    with torch.no_grad():
        norm.bias[loud] -= heard[0][order[-2]].max()
        norm.weight[loud] *= 8e4
        norm.bias[loud] *= 8e4
        for values in (norm.weight, norm.bias, norm.running_mean, norm.running_var):
            values[other] = values[loud]
        noise = torch.randn(weight[loud].shape, generator=torch.Generator().manual_seed(0))
        weight[other] = weight[loud] * (1 + 6e-3 * noise)
        after[:, other] = -after[:, loud]
    return model, (crops[order], labels[order], protocol)


def test_an_activation_beyond_all_seen_is_doubted(
    mini_val: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error of a kind that no image before had flips no prediction; unwatched, it does."""
    options: dict[str, Any] = {"arithmetic": "emulated-bf16", "calibration": 64}

    def flips(model: Classifier, images: Images) -> np.ndarray:
        exact = walk(Predictor(model, images[2], CPU), images)["head0"]
        found = walk(Predictor(model, images[2], CPU, "guarded", **options), images)["head0"]
        return (found.top[:, 0] != exact.top[:, 0]) | (found.correct5 != exact.correct5)

    for loud in range(24):  # one that matters for its image
        one = planted(mini_val, loud)
        with monkeypatch.context() as unwatched:
            unwatched.setattr(
                Reach, "exceeded", lambda self, peaks: np.zeros(len(peaks), dtype=bool)
            )
            if flips(*one).nonzero()[0].tolist() == [len(one[1][0]) - 1]:
                break
    else:
        pytest.fail("no image was flipped while nobody watched")

    assert not flips(*one).any()
