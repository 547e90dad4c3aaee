"""All predictions of a predictor, as the evaluator makes them, and how two sets are compared."""

from typing import Any

import numpy as np
import torch
from mixzoo.eval.predictions import Predictions
from mixzoo.eval.predictor import Predictor
from mixzoo.zoo.manifest import Protocol

CPU = torch.device("cpu")
Images = tuple[torch.Tensor, torch.Tensor, Protocol]  # crops (N, H, W, 3), labels (N,)


def walk(predictor: Predictor, images: Images, batch_size: int = 64) -> dict[str, Predictions]:
    """All predictions, as the evaluator makes them: batches, what waits, what went stale."""
    crops, labels, _ = images
    known: dict[str, Predictions] = {}

    def put(found: dict[str, Any]) -> None:
        for head, rows in found.items():
            if head not in known:
                known[head] = Predictions.empty(labels.numpy())
            known[head].put(rows)

    for at in torch.arange(len(labels)).split(batch_size):
        put(predictor.predict(at, crops[at], labels[at]))
    put(predictor.flush())
    while stale := {h: at for h, k in known.items() if len(at := predictor.stale(h, k))}:
        at = torch.from_numpy(np.unique(np.concatenate([*stale.values()])))
        put(predictor.recompute(at, crops[at], labels[at], stale))
    return known


def assert_same(found: dict[str, Predictions], expected: dict[str, Predictions]) -> None:
    """Every image's best class and top-5 hit, for every head."""
    assert list(found) == list(expected)
    for head, known in found.items():
        assert known.complete
        np.testing.assert_array_equal(known.top[:, 0], expected[head].top[:, 0])
        np.testing.assert_array_equal(known.correct5, expected[head].correct5)
