"""The released pictures' three rows: A, B, mixed."""

from collections.abc import Callable

import numpy as np
import torch
from mixzoo.viz.mix import mix_pair, reference_figure, three_rows
from torchvision.utils import make_grid


def test_rows_and_padding_are_those_of_the_reference(picture: Callable) -> None:
    """OpenMixup calls torchvision's make_grid on A, B and mixes, four in a row, two pixels apart."""
    pairs = [(picture(i), picture(i + 4)) for i in range(4)]
    mixes = [mix_pair(a, b, "cutmix", [0.5])[0] for a, b in pairs]
    stack = [*(a for a, _ in pairs), *(b for _, b in pairs), *(one.image for one in mixes)]
    tensor = torch.from_numpy(np.stack(stack)).permute(0, 3, 1, 2)
    grid = make_grid(tensor, nrow=4, pad_value=1).permute(1, 2, 0).numpy()

    sheet = three_rows(pairs, mixes)

    padding = (grid == 1).all(axis=2)
    assert sheet.shape == grid.shape
    assert (sheet[padding] == (124, 116, 104)).all()  # a normalised 0
    assert np.array_equal(sheet[~padding], grid[~padding])


def test_a_released_picture_stands_beside_ours(picture: Callable) -> None:
    """As high as ours, without its white margins, each under its own title."""
    pairs = [(picture(0), picture(1))]
    mixes = [mix_pair(*pairs[0], "mixup", [0.5])[0]]
    other = np.full((90, 100, 3), 255, np.uint8)
    other[20:60, 30:80] = 7

    figure = reference_figure(pairs, mixes, title="ours", beside=(other, "theirs"))

    ours, theirs = figure.axes[0].images
    assert np.array_equal(ours.get_array(), three_rows(pairs, mixes))
    assert theirs.get_array().shape == (40, 50, 3)
    assert ours.get_extent()[2:] == theirs.get_extent()[2:]
    words = [text.get_text() for text in figure.axes[0].texts]
    assert words == ["A", "B", "mixed", "ours", "theirs"]


def test_an_even_picture_is_not_trimmed_away(picture: Callable) -> None:
    """All margin is no margin."""
    pairs = [(picture(0), picture(1))]
    blank = np.zeros((8, 8, 3), np.uint8)

    figure = reference_figure(pairs, [mix_pair(*pairs[0], "mixup", [0.5])[0]], beside=(blank, ""))

    assert figure.axes[0].images[1].get_array().shape == (8, 8, 3)
