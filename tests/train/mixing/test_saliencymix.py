"""SaliencyMix against the reference and its own promises."""

import sys

import numpy as np
import pytest
import torch
from mixzoo.train.mixing import draw_saliencymix, saliencymix
from mixzoo.train.mixing.saliencymix import saliency_map
from mixzoo.zoo.errors import UsageError

NAMES = [f"saliencymix_{i}" for i in range(4)]


@pytest.fixture
def _opencv():
    pytest.importorskip("cv2.saliency", reason="needs the extra 'saliency'")


needs_opencv = pytest.mark.usefixtures("_opencv")


@needs_opencv
@pytest.mark.parametrize("name", NAMES)
def test_replays_the_reference_to_the_bit(mixer_case, check_case, name):
    """One box for the batch around sample perm[0]'s peak: weight and pixels as recorded."""
    case = mixer_case(name)

    draw = draw_saliencymix(case.rng, len(case.x), case.alpha)
    mixed = saliencymix(case.x, draw.perm, draw.lam)

    check_case(case, mixed)


@needs_opencv
@pytest.mark.parametrize("name", NAMES)
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
