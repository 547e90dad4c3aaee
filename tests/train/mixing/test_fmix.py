"""FMix against the reference and its own promises."""

import numpy as np
import pytest
import torch
from mixzoo.train.mixing import fmix
from mixzoo.train.mixing.fmix import draw_fmix, top_share
from mixzoo.zoo.errors import UsageError


@pytest.mark.parametrize("name", [f"fmix_{i}" for i in range(4)])
def test_replays_the_reference_to_the_bit(mixer_case, check_case, name):
    """Draw order, spectrum, mask, weight and pixels equal the recorded ones."""
    case = mixer_case(name)

    draw = draw_fmix(case.rng, case.x.shape, case.alpha)
    max_soft = case.record["kwargs"]["max_soft"]
    mixed = fmix(case.x, draw.perm, draw.lam, draw.spectrum, draw.round_up, max_soft)

    check_case(case, mixed)
    assert torch.equal(mixed.mask[:1], torch.from_numpy(case.arrays["mask"]).float())


@pytest.mark.parametrize(("round_up", "kept"), [(True, 4), (False, 3)])
def test_keeps_the_brightest_share(round_up, kept):
    """lam of the pixels, rounded as drawn, the brightest first."""
    grey = np.array([[0.1, 0.9, 0.5], [0.8, 0.2, 0.7], [0.3, 0.6, 0.4]])

    mask = top_share(grey, lam=0.35, round_up=round_up, max_soft=0.0)

    assert mask.sum() == kept
    assert grey[mask == 1].min() > grey[mask == 0].max()


def test_a_soft_edge_keeps_the_mean():
    """Blending runs from 1 to 0 on both sides of the edge and leaves the mask's mean at lam."""
    grey = np.random.default_rng(0).random((40, 25))

    mask = top_share(grey, lam=0.4, round_up=False, max_soft=0.1)

    assert mask.mean() == pytest.approx(0.4, abs=1e-9)
    assert ((mask > 0) & (mask < 1)).sum() == 198  # 2 * 100 pixels, of which the ends are 1 and 0


@pytest.mark.parametrize("shape", [(2, 3, 9, 16), (2, 3, 16, 9), (2, 1, 2, 2)])
def test_paper_spreads_noise_over_all_frequencies(shape):
    """The paper's spectrum is the whole half-plane; the released code fills two columns."""
    paper = draw_fmix(np.random.default_rng(0), shape, 1.0, "paper")
    released = draw_fmix(np.random.default_rng(0), shape, 1.0, "openmixup")

    _, _, h, w = shape
    assert paper.spectrum.shape == (h, w // 2 + 1)
    assert released.spectrum.shape == (w // 2 + 1 + w % 2, 2)
    assert np.count_nonzero(paper.spectrum) == paper.spectrum.size


def test_paper_prefers_low_frequencies():
    """Power falls with frequency to the power 6: near zero it dwarfs the rest."""
    power = np.mean(
        [
            np.abs(draw_fmix(np.random.default_rng(s), (1, 1, 32, 32), 1.0, "paper").spectrum) ** 2
            for s in range(200)
        ],
        axis=0,
    )

    assert power[0, 4] / power[0, 8] == pytest.approx(2**6, rel=0.5)


def test_refuses_a_line_of_pixels():
    """One row has no noise to shape."""
    with pytest.raises(UsageError, match="got 1x8"):
        draw_fmix(np.random.default_rng(0), (2, 3, 1, 8), 1.0)
