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


@pytest.fixture(scope="module", params=["mixups_r50", "automix_r50", "samix_r50"])
def case(
    request: pytest.FixtureRequest, golden: Path, regenerate: ModuleType, inventory: Callable
) -> tuple[Classifier | MixClassifier, torch.Tensor, dict[str, np.ndarray]]:
    """A model built from regenerated weights under the released names, its input, the recording."""
    with np.load(golden / "forward" / f"{request.param}.npz", allow_pickle=False) as arrays:
        recorded = dict(arrays)
    seed, seed_mix_block = int(recorded["seed"]), int(recorded["seed_mix_block"])
    arrays = regenerate.state(inventory(request.param).items(), seed, seed_mix_block)
    entries = {name: torch.from_numpy(array) for name, array in arrays.items()}
    model = build(Checkpoint(Path(request.param), entries, {}, "torch-zip"))
    images = regenerate.blocky(seed, "input", (3, 3, 224, 224), 32)
    assert regenerate.sha256(images) == str(recorded["input_sha256"])
    return model, torch.from_numpy(images), recorded


def test_the_logits_of_every_head_equal_the_recorded_ones(case: tuple) -> None:
    """All heads of a model of the released size; `forward` is the one that inference answers with."""
    model, images, recorded = case
    names = {head: head if head == "head0" else f"acc_{head}" for head in model.heads}

    with torch.inference_mode():
        logits, answer = model.logits(images), model(images)

    for head, name in names.items():
        np.testing.assert_allclose(logits[head], recorded[name], rtol=1e-4, atol=1e-4)
    probabilities = answer.softmax(dim=1)[:, :64]
    np.testing.assert_allclose(probabilities, recorded["inference_first64"], rtol=1e-3, atol=1e-7)
