"""CutMix against the reference and its own promises."""

import pytest
import torch
from mixzoo.train.mixing import cutmix, draw_cutmix


@pytest.mark.parametrize("name", [f"cutmix_{i}" for i in range(6)])
def test_replays_the_reference_to_the_bit(mixer_case, check_case, name):
    """Draw order with redraws, clipped box, recomputed weight and pixels equal the recorded ones."""
    case = mixer_case(name)

    draw = draw_cutmix(case.rng, case.x.shape, case.alpha)
    mixed = cutmix(case.x, draw.perm, draw.lam, draw.row, draw.col)

    check_case(case, mixed)
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
