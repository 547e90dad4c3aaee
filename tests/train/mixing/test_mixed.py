"""What all mixing methods draw."""

import numpy as np
import pytest
from mixzoo.train.mixing.mixed import draw_partners


def share_with_fixed_points(variant: str, n: int) -> float:
    rng = np.random.default_rng(0)
    perms = [draw_partners(rng, n, variant).numpy() for _ in range(500)]
    return float(np.mean([(perm == np.arange(n)).any() for perm in perms]))


def test_openmixup_redraws_while_a_sample_stays_in_place():
    """With up to 10 redraws hardly any fixed point survives: 0.63**11 of all draws."""
    assert share_with_fixed_points("openmixup", 8) < 0.03


def test_paper_draws_once():
    """A single permutation has a fixed point with probability 1 - 1/e."""
    assert share_with_fixed_points("paper", 8) == pytest.approx(1 - np.exp(-1), abs=0.06)


def test_gives_up_after_ten_redraws():
    """A batch of one has no other partner: eleven permutations are drawn, then it is accepted."""

    class Counting:
        drawn = 0

        def permutation(self, n: int) -> np.ndarray:
            self.drawn += 1
            return np.arange(n)

    rng = Counting()
    perm = draw_partners(rng, 1, "openmixup")

    assert perm.tolist() == [0]
    assert rng.drawn == 11
