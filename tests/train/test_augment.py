"""Training crops against torchvision's."""

import numpy as np
import pytest
import torch
from mixzoo.train.augment import random_box, random_crop
from PIL import Image
from scipy.stats import ks_2samp
from torchvision.transforms import InterpolationMode, RandomResizedCrop
from torchvision.transforms.functional import resized_crop


@pytest.mark.parametrize("size", [(200, 150), (33, 180), (1, 1), (400, 9)])
def test_random_boxes_lie_inside_and_have_the_asked_area_and_ratio(size: tuple[int, int]) -> None:
    """Boxes are never empty; where the image isn't too narrow, area and ratio are in range."""
    rng = np.random.default_rng(0)
    width, height = size

    for _ in range(300):
        left, top, right, bottom = random_box(width, height, rng)
        assert 0 <= left < right <= width
        assert 0 <= top < bottom <= height
        if size == (200, 150):
            w, h = right - left, bottom - top
            assert 0.079 < w * h / (width * height) <= 1
            assert 0.73 < w / h < 1.36


@pytest.mark.parametrize(
    ("size", "box"), [((400, 9), (194, 0, 206, 9)), ((9, 400), (0, 194, 9, 206))]
)
def test_images_without_room_get_the_largest_central_box(
    size: tuple[int, int], box: tuple[int, ...]
) -> None:
    """As in torchvision, where ten tries find none."""

    class Large(np.random.Generator):
        """Asks for all of the area, each time."""

        def uniform(self, low: float, high: float) -> float:  # type: ignore[override]
            return high

    assert random_box(*size, Large(np.random.PCG64(0))) == box


@pytest.mark.parametrize("size", [(900, 900), (500, 375)])
def test_boxes_are_distributed_as_torchvisions(size: tuple[int, int]) -> None:
    """Areas, ratios and corners, by the Kolmogorov-Smirnov test on fixed seeds."""
    width, height = size
    rng = np.random.default_rng(0)
    image = torch.empty(3, height, width)
    torch.manual_seed(0)

    ours = np.array([random_box(width, height, rng) for _ in range(1500)])
    theirs = np.array(
        [RandomResizedCrop.get_params(image, [0.08, 1.0], [3 / 4, 4 / 3]) for _ in range(1500)]
    )  # top, left, height, width

    w, h = ours[:, 2] - ours[:, 0], ours[:, 3] - ours[:, 1]
    pairs = [
        (w * h, theirs[:, 2] * theirs[:, 3]),
        (w / h, theirs[:, 3] / theirs[:, 2]),
        (ours[:, 0], theirs[:, 1]),
        (ours[:, 1], theirs[:, 0]),
    ]
    assert all(ks_2samp(*pair).pvalue > 0.01 for pair in pairs)


def test_a_random_crop_has_torchvisions_pixels() -> None:
    """The crop equals torchvision's resized_crop of the same box, mirrored or not."""
    pixels = np.random.default_rng(1).integers(0, 256, (60, 80, 3), dtype=np.uint8)
    mirrored = set()

    for seed in range(8):
        left, top, right, bottom = random_box(80, 60, np.random.default_rng(seed))
        crop = random_crop(pixels, 32, np.random.default_rng(seed))
        expected = np.asarray(
            resized_crop(
                Image.fromarray(pixels),
                top,
                left,
                bottom - top,
                right - left,
                [32, 32],
                InterpolationMode.BICUBIC,
            )
        )
        flipped = not np.array_equal(crop, expected)
        assert np.array_equal(crop, expected[:, ::-1] if flipped else expected)
        mirrored.add(flipped)

    assert mirrored == {False, True}
