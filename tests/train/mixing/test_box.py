"""Rectangles cut out of images."""

import pytest
import torch
from mixzoo.train.mixing.box import Box, box_around, box_weight, paste_partner


def test_an_odd_side_loses_a_pixel():
    """Half sides are floored, as in CutMix's released code: 5 of 10 pixels become 4."""
    box = box_around(row=5, col=5, scale=0.5, height=10, width=10)

    assert box == Box(3, 7, 3, 7)


@pytest.mark.parametrize(
    ("row", "col", "box"), [(0, 0, Box(0, 2, 0, 4)), (7, 15, Box(5, 8, 11, 16))]
)
def test_is_clipped_at_the_border(row, col, box):
    """A centre near the border keeps only the part inside the image."""
    assert box_around(row, col, 0.5, height=8, width=16) == box


def test_one_box_each_mixes_each_sample_by_its_own():
    """With a box per sample, pixels and weights differ between samples."""
    x = torch.stack([torch.zeros(1, 4, 4), torch.ones(1, 4, 4)])
    boxes = [Box(0, 1, 0, 1), Box(0, 2, 0, 4)]

    mixed = paste_partner(x, torch.tensor([1, 0]), boxes)

    assert mixed.images.sum((1, 2, 3)).tolist() == [1, 8]
    assert mixed.lam.tolist() == [1 - 1 / 16, 0.5]


def test_an_empty_box_leaves_the_whole_weight():
    """No area, no partner."""
    x = torch.zeros(2, 1, 4, 4)

    assert box_weight(x, [Box(2, 2, 0, 4)]).tolist() == [1, 1]
