"""Several methods in one run."""

import numpy as np
import pytest
from mixzoo.train.mixing import CutmixDraw, Mixture, MixupDraw, VanillaDraw, mixture
from mixzoo.zoo.errors import UsageError

SHAPE = (4, 3, 16, 16)


def test_reads_the_example_of_the_source_document():
    """MixUp and CutMix with their own alphas and switching probabilities."""
    both = mixture(alpha=[0.8, 1], mix_mode=["mixup", "cutmix"], mix_prob=[0.4, 0.6], mix_repeat=1)

    assert both == Mixture(("mixup", "cutmix"), (0.8, 1), (0.4, 0.6), 1)


def test_reads_a_single_method():
    """One name and one number need no lists."""
    assert mixture("fmix", 1) == Mixture(("fmix",), (1,))


@pytest.mark.parametrize(("mix_prob", "share"), [([0.2, 0.8], 0.2), (None, 0.5)])
def test_chooses_by_probability(mix_prob, share):
    """Over many steps each method has its share; without probabilities they are equal."""
    rng = np.random.default_rng(0)
    both = mixture(["mixup", "cutmix"], [1, 1], mix_prob)

    kinds = [type(both.draw(rng, SHAPE)[0]) for _ in range(1000)]

    assert set(kinds) == {MixupDraw, CutmixDraw}
    assert kinds.count(MixupDraw) / 1000 == pytest.approx(share, abs=0.05)


def test_each_method_has_its_own_alpha():
    """A tiny alpha gives weights near 0 or 1, a huge one weights near one half."""
    rng = np.random.default_rng(0)
    both = mixture(["mixup", "cutmix"], [1e3, 1e-2])

    draws = [both.draw(rng, SHAPE)[0] for _ in range(200)]

    mixups = [draw.lam for draw in draws if isinstance(draw, MixupDraw)]
    cutmixes = [min(draw.lam, 1 - draw.lam) for draw in draws if isinstance(draw, CutmixDraw)]
    assert np.abs(np.array(mixups) - 0.5).max() < 0.1
    assert np.median(cutmixes) < 1e-3


def test_repeats_draw_anew():
    """Two copies of a batch are mixed with different weights."""
    first, second = mixture("mixup", 1, mix_repeat=2).draw(np.random.default_rng(0), SHAPE)

    assert isinstance(first, MixupDraw)
    assert isinstance(second, MixupDraw)
    assert first.lam != second.lam


def test_vanilla_comes_once_a_step():
    """After the clean batch, the repeats mix."""
    rng = np.random.default_rng(0)
    some = mixture(["vanilla", "mixup"], [1, 1], mix_repeat=3)

    steps = [[type(draw) for draw in some.draw(rng, SHAPE)] for _ in range(50)]

    assert max(kinds.count(VanillaDraw) for kinds in steps) == 1


def test_one_seed_repeats_the_run():
    """The same generator draws the same methods, weights and partners."""
    both = mixture(["mixup", "cutmix"], [1, 1], mix_repeat=2)

    runs = [[both.draw(rng, SHAPE) for _ in range(5)] for rng in map(np.random.default_rng, (7, 7))]

    assert str(runs[0]) == str(runs[1])


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"mix_mode": "cutmx"}, "no mixing method 'cutmx'; choose one of vanilla, mixup"),
        ({"mix_mode": ["mixup", "automix"], "alpha": [1, 1]}, "'automix' learns its mask"),
        ({"mix_mode": ["mixup", "cutmix"], "alpha": 1}, "one alpha for each of 2 mix_mode, got 1"),
        ({"mix_mode": ["mixup", "cutmix"], "alpha": [1, 0]}, "alpha > 0"),
        ({"mix_mode": [], "alpha": []}, "at least 1 mix_mode"),
        ({"mix_mode": "mixup", "mix_prob": [0.4, 0.6]}, "mix_prob of 1"),
        (
            {"mix_mode": ["mixup", "cutmix"], "alpha": [1, 1], "mix_prob": [0.4, 0.4]},
            "with sum 0.8",
        ),
        (
            {"mix_mode": ["mixup", "cutmix"], "alpha": [1, 1], "mix_prob": [-0.5, 1.5]},
            r"got \[-0.5, 1.5\]",
        ),
        ({"mix_mode": "mixup", "variant": "papers"}, "openmixup, paper, got 'papers'"),
        ({"mix_mode": "mixup", "mix_repeat": 0}, "mix_repeat of 1 or more, got 0"),
        ({"mix_mode": "vanilla", "mix_repeat": 2}, "vanilla is used once a step"),
        (
            {
                "mix_mode": ["vanilla", "mixup"],
                "alpha": [1, 1],
                "mix_prob": [0.5, 0.5],
                "mix_repeat": 2,
            },
            "drop 'vanilla' or mix_prob",
        ),
    ],
)
def test_refuses_what_does_not_fit_together(arguments, expected):
    """Every bad combination has an error that says what to change."""
    with pytest.raises(UsageError, match=expected):
        mixture(**arguments)
