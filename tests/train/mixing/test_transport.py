"""Transport of blocks against the reference and its own promises."""

import numpy as np
import pytest
import torch
from mixzoo.train.mixing.transport import transport, transport_plan


@pytest.mark.parametrize("image", ["t0", "t1"])
@pytest.mark.parametrize("name", [f"puzzlemix_{i}" for i in range(6)])
def test_plan_equals_the_recorded_one(mixer_case, name, image):
    """Every block goes where the reference sends it."""
    arrays = mixer_case(name).arrays
    mask = torch.from_numpy(arrays[f"{image}_mask"])[:, 0]

    plan = transport_plan(mask, torch.from_numpy(arrays[f"{image}_grad_pool"]))

    assert np.array_equal(plan.numpy(), arrays[f"{image}_plan"])


def test_a_place_takes_one_block_at_most():
    """Neither a column (place) nor a row (block) of a plan has a second entry."""
    rng = torch.Generator().manual_seed(0)
    mask = torch.randint(0, 3, (16, 8, 8), generator=rng) / 2
    saliency = torch.rand(16, 8, 8, generator=rng)

    plan = transport_plan(mask, saliency / saliency.sum((1, 2), keepdim=True))

    assert plan.sum(1).max() == 1
    assert plan.sum(2).max() == 1


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_moves_blocks_as_planned(dtype):
    """Block s stands at place t where plan[s, t], zeros where no block goes."""
    x = torch.arange(1.0, 33).view(1, 2, 4, 4).to(dtype)
    plan = torch.zeros(1, 4, 4, dtype=torch.bool)
    plan[0, 0, 3] = plan[0, 2, 1] = True  # top left to bottom right, bottom left to top right

    moved = transport(x, plan)

    assert torch.equal(moved[..., 2:, 2:], x[..., :2, :2])
    assert torch.equal(moved[..., :2, 2:], x[..., 2:, :2])
    assert not moved[..., :2].any()


def test_the_identity_plan_changes_nothing():
    """Also for blocks that aren't square, and for images in channels-last memory."""
    x = torch.randn(3, 2, 8, 24, generator=torch.Generator().manual_seed(0))

    moved = transport(x.to(memory_format=torch.channels_last), torch.eye(16).bool().repeat(3, 1, 1))

    assert torch.equal(moved, x)


def test_a_block_that_loses_claims_again():
    """Two rounds on a 2x2 grid: block 0 loses place 0 to the more salient block 2, then takes place 1."""
    mask = torch.tensor([[[1.0, 1.0], [0.0, 0.0]]])
    saliency = torch.tensor([[[2.0, 0.1], [3.0, 0.0]]])

    plan = transport_plan(mask, saliency)

    assert plan[0].nonzero().tolist() == [[0, 1], [2, 0]]
