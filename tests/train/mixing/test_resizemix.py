"""ResizeMix against the reference and its own promises."""

import numpy as np
import pytest
import torch
from mixzoo.train.mixing import draw_resizemix, resizemix
from mixzoo.train.mixing.box import box_around
from mixzoo.zoo.errors import UsageError


@pytest.mark.parametrize("name", [f"resizemix_{i}" for i in range(5)])
def test_replays_the_reference_to_the_bit(mixer_case, check_case, name):
    """Draw order with the replaced scale, box, weight and pixels equal the recorded ones."""
    case = mixer_case(name)

    draw = draw_resizemix(case.rng, case.x.shape, case.alpha)
    mixed = resizemix(case.x, draw.perm, draw.scale, draw.row, draw.col)

    check_case(case, mixed)


def test_mask_lies_where_the_patch_lies(mixer_case):
    """The recorded mask is transposed against the picture; ours is not."""
    case = mixer_case("resizemix_1")
    draw = draw_resizemix(case.rng, case.x.shape, case.alpha)

    mixed = resizemix(case.x, draw.perm, draw.scale, draw.row, draw.col)

    ones_in_box = torch.from_numpy(case.arrays["mask"])
    assert torch.equal(1 - mixed.mask[:1], ones_in_box.mT)


def test_patch_is_the_whole_partner():
    """Inside the box stands the partner, every second pixel of it at scale one half."""
    x = torch.arange(128.0).view(2, 1, 8, 8)

    mixed = resizemix(x, torch.tensor([1, 0]), 0.5, row=4, col=4)

    assert torch.equal(mixed.images[:, :, 2:6, 2:6], x[[1, 0]][:, :, ::2, ::2])
    assert mixed.lam.tolist() == [0.75, 0.75]


def test_a_patch_without_pixels_leaves_the_images():
    """A scale below two pixels leaves an empty box, not an error."""
    x = torch.randn(2, 3, 7, 9, generator=torch.Generator().manual_seed(0))

    mixed = resizemix(x, torch.tensor([1, 0]), 0.1, row=3, col=3)

    assert torch.equal(mixed.images, x)
    assert mixed.lam.tolist() == [1, 1]


@pytest.mark.parametrize("variant", ["openmixup", "paper"])
def test_scale_stays_in_scope(variant):
    """A Beta draw outside [0.1, 0.8] is replaced; alpha 0.1 makes that the common case."""
    rng = np.random.default_rng(0)

    scales = [draw_resizemix(rng, (4, 3, 32, 48), 0.1, variant).scale for _ in range(200)]

    assert 0.1 <= min(scales) < 0.2
    assert 0.7 < max(scales) <= 0.8


def test_paper_keeps_the_patch_inside_the_image():
    """The paper's patch is never clipped, so its shape is the image's, and it reaches every border."""
    rng = np.random.default_rng(0)
    h, w = 32, 48

    draws = [draw_resizemix(rng, (4, 3, h, w), 1.0, "paper") for _ in range(500)]
    boxes = [box_around(draw.row, draw.col, draw.scale, h, w) for draw in draws]

    for draw, box in zip(draws, boxes, strict=True):
        assert box.bottom - box.top == int(h * draw.scale) // 2 * 2
        assert box.right - box.left == int(w * draw.scale) // 2 * 2
    assert (min(box.top for box in boxes), max(box.bottom for box in boxes)) == (0, h)
    assert (min(box.left for box in boxes), max(box.right for box in boxes)) == (0, w)


def test_refuses_a_scale_beyond_the_image():
    """A patch larger than the image is an error."""
    with pytest.raises(UsageError, match=r"scale in \[0, 1\], got 1.1"):
        resizemix(torch.zeros(1, 3, 4, 4), torch.tensor([0]), 1.1, 2, 2)
