"""Boxes of the partner against the reference."""

import sys

import numpy as np
import pytest
import torch
from mixzoo.train.mixing import cutmix, resizemix, saliencymix
from mixzoo.train.mixing.cutmix import (
    Box,
    box_around,
    box_weight,
    draw_cutmix,
    draw_resizemix,
    paste_partner,
    saliency_map,
)
from mixzoo.zoo.errors import UsageError


@pytest.mark.parametrize(
    ("row", "col", "size", "box"),
    [
        (5, 5, (10, 10), Box(3, 7, 3, 7)),
        (0, 0, (8, 16), Box(0, 2, 0, 4)),
        (7, 15, (8, 16), Box(5, 8, 11, 16)),
    ],
)
def test_a_box_has_floored_half_sides_and_is_clipped(row, col, size, box):
    """As in CutMix's released code: 5 of 10 pixels become 4; at the border the part inside is kept."""
    assert box_around(row, col, 0.5, *size) == box


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


@pytest.mark.parametrize("name", [f"cutmix_{i}" for i in range(6)])
def test_the_mask_is_the_recorded_box(mixer_case, name):
    """Clipped at the border."""
    case = mixer_case(name)

    draw = draw_cutmix(case.rng, case.x.shape, case.alpha)
    mixed = cutmix(case.x, draw.perm, draw.lam, draw.row, draw.col)

    rows, cols = case.record["box_rows"], case.record["box_cols"]
    pasted = torch.ones(1, 1, *case.x.shape[2:])
    pasted[..., rows[0] : rows[1], cols[0] : cols[1]] = 0
    assert torch.equal(mixed.mask[:1], pasted)


def test_paper_accepts_the_first_permutation(golden, mixer_case):
    """The paper draws partners once, even where a sample meets itself."""
    case = mixer_case("cutmix_0")
    redrawn = [draw for draw in case.rng.draws if draw["fn"] == "torch.randperm"]
    for draw in redrawn[1:]:
        case.rng.draws.remove(draw)

    draw = draw_cutmix(case.rng, case.x.shape, case.alpha, variant="paper")

    assert draw.perm.tolist() == redrawn[0]["value"] == [0, 3, 1, 2]


def test_a_whole_box_shows_the_partner():
    """lam 0 around the centre of an image with even sides replaces all of it."""
    x = torch.randn(3, 2, 6, 8, generator=torch.Generator().manual_seed(0))
    perm = torch.tensor([2, 0, 1])

    mixed = cutmix(x, perm, 0.0, row=3, col=4)

    assert torch.equal(mixed.images, x[perm])
    assert mixed.lam.tolist() == [0, 0, 0]


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


@pytest.fixture
def _opencv():
    pytest.importorskip("cv2.saliency", reason="needs the extra 'saliency'")


needs_opencv = pytest.mark.usefixtures("_opencv")


@needs_opencv
@pytest.mark.parametrize("name", [f"saliencymix_{i}" for i in range(4)])
def test_saliency_equals_the_recorded_map(mixer_case, name):
    """The detector sees the normalised floats, as in the reference."""
    case = mixer_case(name)
    sample = case.record["saliency"]["computed_on_sample"]

    assert np.array_equal(saliency_map(case.x[sample]), case.arrays["saliency_uint8"])


def bright_spots(*centres: tuple[int, int]) -> torch.Tensor:
    """Normalised dark images (N, 3, 64, 96) with one bright square each."""
    x = torch.full((len(centres), 3, 64, 96), -2.0)
    for image, (row, col) in zip(x, centres, strict=True):
        image[:, row - 3 : row + 3, col - 3 : col + 3] = 2.5
    return x


@needs_opencv
def test_paper_cuts_each_box_from_its_own_partner():
    """The bright square of every partner is pasted, wherever it is."""
    x = bright_spots((20, 20), (40, 70), (30, 50))
    perm = torch.tensor([1, 2, 0])

    mixed = saliencymix(x, perm, 0.7, variant="paper")

    inside = mixed.mask[:, 0] == 0
    assert inside[0, 40, 70]
    assert inside[1, 30, 50]
    assert inside[2, 20, 20]
    everywhere = inside[:, None].expand_as(x)
    assert torch.equal(mixed.images[everywhere], x[perm][everywhere])


@needs_opencv
def test_openmixup_cuts_one_box_for_the_batch():
    """All samples share one mask."""
    x = bright_spots((20, 20), (40, 70), (30, 50))

    mixed = saliencymix(x, torch.tensor([1, 2, 0]), 0.9)

    assert torch.equal(mixed.mask, mixed.mask[:1].expand_as(mixed.mask))


def test_names_the_extra_where_opencv_is_absent(monkeypatch):
    """Without OpenCV the error says what to install."""
    monkeypatch.setitem(sys.modules, "cv2", None)

    with pytest.raises(UsageError, match=r"pip install 'mixzoo\[saliency\]'"):
        saliencymix(torch.zeros(2, 3, 16, 16), torch.tensor([1, 0]), 0.5)
