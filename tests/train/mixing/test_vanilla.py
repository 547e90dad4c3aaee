"""Not mixing, in the shape of a mixing method."""

import torch
from mixzoo.train.mixing import vanilla


def test_leaves_everything_as_it_is():
    """Images, partners, weights and mask say that nothing was mixed."""
    x = torch.randn(3, 2, 4, 5, generator=torch.Generator().manual_seed(0))

    mixed = vanilla(x)

    assert mixed.images is x
    assert mixed.perm.tolist() == [0, 1, 2]
    assert mixed.lam.tolist() == [1, 1, 1]
    assert torch.equal(mixed.mask, torch.ones(3, 1, 4, 5))
