"""Logits of whole released-size models against those that the reference recorded."""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from mixzoo.zoo.checkpoint.load import build
from mixzoo.zoo.checkpoint.reading import Checkpoint
from mixzoo.zoo.nets import Classifier, MixClassifier


def _recorded(golden: Path, config: str) -> dict[str, np.ndarray]:
    with np.load(golden / "forward" / f"{config}.npz", allow_pickle=False) as arrays:
        return dict(arrays)


@pytest.fixture(scope="module", params=["mixups_r50", "automix_r50", "samix_r50"])
def case(
    request: pytest.FixtureRequest, golden: Path, regenerate: ModuleType, inventory: Callable
) -> tuple[Classifier | MixClassifier, torch.Tensor, dict[str, np.ndarray]]:
    """A model built from regenerated weights under the released names, its input, the recording."""
    recorded = _recorded(golden, request.param)
    seed, seed_mix_block = int(recorded["seed"]), int(recorded["seed_mix_block"])
    arrays = regenerate.state(inventory(request.param).items(), seed, seed_mix_block)
    entries = {name: torch.from_numpy(array) for name, array in arrays.items()}
    model = build(Checkpoint(Path(request.param), entries, {}, "torch-zip"))
    images = regenerate.blocky(seed, "input", (3, 3, 224, 224), 32)
    assert regenerate.sha256(images) == str(recorded["input_sha256"])
    return model, torch.from_numpy(images), recorded


def test_the_logits_of_every_head_equal_the_recorded_ones(case: tuple) -> None:
    """All heads of a model of the released size give the reference's logits."""
    model, images, recorded = case
    names = {head: head if head == "head0" else f"acc_{head}" for head in model.heads}

    with torch.inference_mode():
        logits = model.logits(images)

    for head, name in names.items():
        np.testing.assert_allclose(logits[head], recorded[name], rtol=1e-4, atol=1e-4)


def test_the_default_head_is_the_one_that_the_reference_predicts_with(case: tuple) -> None:
    """`forward` gives the head whose softmax the reference's inference mode returns."""
    model, images, recorded = case

    with torch.inference_mode():
        probabilities = model(images).softmax(dim=1)[:, :64]

    np.testing.assert_allclose(probabilities, recorded["inference_first64"], rtol=1e-3, atol=1e-7)
