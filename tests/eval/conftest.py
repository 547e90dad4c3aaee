"""Small pictures with labels, for evaluations that need no photograph."""

from pathlib import Path

import numpy as np
import pytest
from mixzoo.zoo.data import LabelledImages, find_images
from PIL import Image

CLASSES = 7


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> LabelledImages:
    """299 noisy JPEGs of 7 classes; 299 is divided by neither 2 nor 3 nor by the batch size."""
    root: Path = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(5)
    lines = []
    for index in range(299):
        label = int(rng.integers(CLASSES))
        size = (int(rng.integers(30, 60)), int(rng.integers(30, 60)), 3)
        pixels = np.clip(rng.normal(30 + 30 * label, 60, size), 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(root / f"{index:03}.jpg")
        lines.append(f"{index:03}.jpg,{label}\n")
    (root / "val.txt").write_text("".join(lines))
    return find_images(root)
