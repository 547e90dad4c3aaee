"""Two pictures go in, and the library's own mix of them comes out, to the grey level."""

from collections.abc import Callable
from math import nan

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from mixzoo.eval.protocol import normalise
from mixzoo.train.mixing import LEARNT_METHODS, PICTURED, mix_by_name
from mixzoo.viz.mix import IMAGENET, enlarged, heat_over, mix_pair, stretched, to_pixels
from mixzoo.zoo.errors import UsageError
from mixzoo.zoo.manifest import Protocol
from mixzoo.zoo.nets import Classifier

SWAP = torch.tensor([1, 0])


def served(method: str, plain: Classifier, learnt: Callable) -> torch.nn.Module:
    """A model with which the method can mix."""
    return learnt(method) if method in LEARNT_METHODS else plain


@pytest.mark.parametrize("method", PICTURED)
def test_pixels_are_those_of_the_library(
    method: str, picture: Callable, plain: Classifier, learnt: Callable
) -> None:
    """Image, mask and label weight equal `mix_by_name` with the generator that is documented."""
    model = served(method, plain, learnt)
    x = normalise(torch.from_numpy(np.stack([picture(0), picture(1)])), IMAGENET)
    rng = np.random.default_rng([3, *method.encode()])

    mixed = mix_pair(picture(0), picture(1), method, [0.3], seed=3, model=model)[0]

    expected = mix_by_name(method, x, SWAP, [0.3], rng, model)[0]
    assert np.array_equal(mixed.image, to_pixels(expected.images, IMAGENET)[0])
    assert np.array_equal(mixed.mask, expected.mask[0, 0].numpy())
    assert mixed.share == float(expected.lam[0])
    assert (mixed.lam, mixed.method) == (0.3, method)


@pytest.mark.parametrize("method", ["mixup", "fmix", "automix", "samix"])
def test_weight_one_shows_a_and_weight_zero_shows_b(
    method: str, picture: Callable, plain: Classifier, learnt: Callable
) -> None:
    """At both ends nothing of the other picture is left, not a grey level."""
    a, b = picture(0), picture(1)

    one, zero = mix_pair(a, b, method, [1.0, 0.0], model=served(method, plain, learnt))

    assert np.array_equal(one.image, a)
    assert np.array_equal(zero.image, b)
    assert (one.share, zero.share) == (1.0, 0.0)


@pytest.mark.parametrize("method", PICTURED)
def test_a_sweep_changes_nothing_but_lam(
    method: str, picture: Callable, plain: Classifier, learnt: Callable
) -> None:
    """One lam of a sweep is what that lam alone gives: the same place, spectrum or grid."""
    model = served(method, plain, learnt)

    swept = mix_pair(picture(0), picture(1), method, [0.2, 0.5, 0.8], seed=1, model=model)
    alone = mix_pair(picture(0), picture(1), method, [0.5], seed=1, model=model)[0]

    np.testing.assert_allclose(swept[1].mask, alone.mask, atol=1e-6)
    assert np.abs(swept[1].image.astype(int) - alone.image).max() <= 1
    assert swept[1].share == alone.share


@pytest.mark.parametrize("method", ["cutmix", "fmix", "resizemix"])
def test_another_seed_draws_another_place(method: str, picture: Callable) -> None:
    """And the same seed the same one."""
    masks = [
        mix_pair(picture(0), picture(1), method, [0.6], seed=seed)[0].mask for seed in (0, 1, 0)
    ]

    assert not np.array_equal(masks[0], masks[1])
    assert np.array_equal(masks[0], masks[2])


def test_the_draw_of_a_method_is_its_own(picture: Callable) -> None:
    """CutMix and ResizeMix don't share their centre, though they have one seed."""
    pair = picture(0), picture(1)
    places = []
    for method in ("cutmix", "resizemix"):
        mask = mix_pair(*pair, method, [0.9], seed=5)[0].mask
        places.append(np.argwhere(mask == 0).mean(axis=0).tolist())

    assert places[0] != places[1]


@given(
    mean=st.tuples(*[st.floats(0.1, 0.9)] * 3),
    std=st.tuples(*[st.floats(0.05, 0.5)] * 3),
    seed=st.integers(0, 99),
)
def test_pixels_survive_any_normalisation(
    mean: tuple[float, float, float], std: tuple[float, float, float], seed: int
) -> None:
    """There and back by a benchmark's own statistics, every grey level is met again."""
    protocol = Protocol(resize=8, crop=8, mean=mean, std=std)
    pixels = np.random.default_rng(seed).integers(0, 256, (2, 8, 8, 3), dtype=np.uint8)

    back = to_pixels(normalise(torch.from_numpy(pixels), protocol), protocol)

    assert np.array_equal(back, pixels)


def test_pixels_are_mixed_by_the_benchmarks_own_statistics(picture: Callable) -> None:
    """A mean of two pictures is their mean, whatever they are normalised with."""
    protocol = Protocol(resize=64, crop=64, mean=(0.1, 0.2, 0.3), std=(0.3, 0.2, 0.1))
    a, b = picture(0), picture(1)

    mixed = mix_pair(a, b, "mixup", [0.5], protocol=protocol)[0]

    assert np.abs(mixed.image - (a.astype(float) + b) / 2).max() <= 0.51


def test_heat_is_yellow_for_a_and_blue_for_b() -> None:
    """The two ends differ in hue and in lightness, and the picture shines through."""
    grey = np.full((1, 2, 3), 100, np.uint8)
    dark = np.zeros((1, 2, 3), np.uint8)

    heat = heat_over(grey, np.array([[0.0, 1.0]])).astype(int)[0]

    assert heat[0, 2] > heat[0, 0] + 50  # blue
    assert min(heat[1, 0], heat[1, 1]) > heat[1, 2] + 50  # yellow
    assert heat[1].sum() > heat[0].sum() + 150
    assert (heat > heat_over(dark, np.array([[0.0, 1.0]]))[0]).all()


def test_coarse_maps_are_enlarged_without_moving() -> None:
    """A cell's middle keeps its value."""
    heat = np.array([[0.0, 1.0], [0.5, 0.25]], np.float32)

    large = enlarged(heat, (6, 6))

    assert large.shape == (6, 6)
    np.testing.assert_allclose(large[1::3, 1::3], heat, atol=1e-6)


def test_an_even_map_is_neither_low_nor_high() -> None:
    """Nothing is divided by zero."""
    assert (stretched(np.full((2, 2), 7.0)) == 0.5).all()
    assert stretched(np.array([-1.0, 0.0, 3.0])).tolist() == [0, 0.25, 1]


@pytest.mark.parametrize(("method", "lam"), [("mixup", -0.1), ("resizemix", 1.1), ("samix", nan)])
def test_a_weight_outside_is_refused(
    method: str, lam: float, picture: Callable, plain: Classifier, learnt: Callable
) -> None:
    """By every method, with the same words."""
    with pytest.raises(UsageError, match=r"expected lam in \[0, 1\]"):
        mix_pair(picture(0), picture(1), method, [lam], model=served(method, plain, learnt))
