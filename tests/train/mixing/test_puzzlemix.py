"""PuzzleMix against the reference."""

import numpy as np
import pytest
import torch
from mixzoo.train.mixing import input_saliency, puzzlemix
from mixzoo.train.mixing.puzzlemix import (
    LABELS,
    draw_puzzlemix,
    pool_saliency,
    puzzle_costs,
    puzzle_images,
    transport,
    transport_plan,
)
from mixzoo.zoo.errors import UsageError
from torch import nn

NAMES = [f"puzzlemix_{i}" for i in range(6)]
# The reference's solver missed the minimum of one graph, puzzlemix_2's third.
SOLVED_EXACTLY = [name for name in NAMES if name != "puzzlemix_2"]


def recorded_saliency(regenerate, case) -> torch.Tensor:
    features = case.record["features"]
    n, _, h, w = case.record["shape"]
    drawn = regenerate.blocky(features["seed"], features["name"], (n, 1, h, w), features["cell"])
    saliency = drawn[:, 0] ** 2
    assert regenerate.sha256(saliency) == features["sha256"]
    return torch.from_numpy(saliency)


@pytest.mark.parametrize("name", SOLVED_EXACTLY)
def test_replays_the_reference_to_the_bit(regenerate, mixer_case, check_case, name):
    """Draw order, partners, per-sample weights and pixels equal the recorded ones."""
    case = mixer_case(name)

    draw = draw_puzzlemix(case.rng, case.x.shape, case.alpha)
    saliency = recorded_saliency(regenerate, case)
    mixed = puzzlemix(case.x, draw.perm, draw.lam, draw.blocks, saliency)

    check_case(case, mixed)


def test_recorded_labels_give_the_recorded_picture(regenerate, mixer_case):
    """Where the reference's solver missed the minimum, its labels still give its picture."""
    case = mixer_case("puzzlemix_2")
    perm = torch.tensor(case.record["permutation_used"])
    labels = torch.from_numpy(np.stack([case.arrays[f"g{i}_labels"] for i in range(4)])).long()
    grid = torch.tensor(LABELS)[labels]

    pooled = pool_saliency(recorded_saliency(regenerate, case), case.record["block_num"])
    own, partner = puzzle_images(case.x, perm, grid, pooled)

    mask = grid.repeat_interleave(8, 1).repeat_interleave(8, 2)[:, None]
    picture = mask * own + (1 - mask) * partner
    assert torch.equal(picture[:, :, 1::4, 1::4], torch.from_numpy(case.arrays["out"]))
    assert torch.equal(grid.mean((1, 2)), case.lam)


@pytest.mark.parametrize("name", NAMES)
def test_costs_equal_the_recorded_integers(regenerate, mixer_case, name):
    """What the reference hands to its solver, to the last unit."""
    case = mixer_case(name)
    draw = draw_puzzlemix(case.rng, case.x.shape, case.alpha)
    pooled = pool_saliency(recorded_saliency(regenerate, case), draw.blocks)

    costs = puzzle_costs(case.x, draw.perm, draw.lam, pooled)

    for ours, key in zip(costs, ("unary_cost", "pw_x", "pw_y"), strict=True):
        recorded = np.stack([case.arrays[f"g{i}_{key}"] for i in range(4)])
        assert ours.dtype == torch.int32
        assert np.array_equal(ours.numpy(), recorded)


def scene(n=3, h=32, w=48):
    rng = torch.Generator().manual_seed(0)
    return torch.randn(n, 3, h, w, generator=rng), torch.rand(n, h, w, generator=rng)


@pytest.mark.parametrize("blocks", [2, 4, 8])
def test_picture_is_where_the_mask_says(blocks):
    """With both images transported, the mask blends them; also when the image isn't square."""
    x, saliency = scene()
    perm = torch.tensor([1, 2, 0])

    mixed = puzzlemix(x, perm, 0.6, blocks, saliency)

    h, w = x.shape[2] // blocks, x.shape[3] // blocks
    grid = mixed.mask[:, 0, ::h, ::w]
    own, partner = puzzle_images(x, perm, grid, pool_saliency(saliency, blocks))
    assert torch.equal(mixed.images, mixed.mask * own + (1 - mixed.mask) * partner)
    assert torch.allclose(mixed.lam, mixed.mask.mean((1, 2, 3)))


def test_the_prior_decides_how_much_is_kept():
    """A larger lam keeps more of the original."""
    x, saliency = scene()
    perm = torch.tensor([1, 2, 0])

    weights = [puzzlemix(x, perm, lam, 4, saliency).lam.mean() for lam in (0.02, 0.5, 0.98)]

    assert weights[0] < weights[1] < weights[2]


def test_salient_blocks_are_kept():
    """Where one image alone is salient on the left and the other on the right, each shows there."""
    x = torch.zeros(2, 3, 16, 16)
    saliency = torch.full((2, 16, 16), 1e-3)
    saliency[0, :, :8] = 1
    saliency[1, :, 8:] = 1

    mixed = puzzlemix(x, torch.tensor([1, 0]), 0.5, 2, saliency)

    assert mixed.mask[0, 0, ::8, ::8].tolist() == [[1, 0], [1, 0]]
    assert mixed.mask[1, 0, ::8, ::8].tolist() == [[0, 1], [0, 1]]


def test_an_image_without_saliency_is_no_error():
    """Zero gradients pool to zeros, not to NaN."""
    pooled = pool_saliency(torch.zeros(1, 8, 8), 2)

    assert torch.equal(pooled, torch.zeros(1, 2, 2))


def test_input_saliency_is_the_gradient_of_the_loss():
    """For a linear model the root mean square over channels can be written down."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(3 * 2 * 2, 2))
    x = torch.randn(4, 3, 2, 2, generator=torch.Generator().manual_seed(0))
    y = torch.tensor([0, 1, 1, 0])

    saliency = input_saliency(model, x, y)

    weight = model[1].weight.detach()
    error = model(x).softmax(1).detach() - nn.functional.one_hot(y, 2)
    gradient = (error @ weight).view_as(x) / 4
    assert torch.allclose(saliency, gradient.square().mean(1).sqrt(), atol=1e-7)


def test_input_saliency_leaves_no_trace():
    """Modes, gradients and batch statistics of the model are as before, even a mixed mode."""
    model = nn.Sequential(nn.BatchNorm2d(3), nn.Dropout(0.5), nn.Flatten(), nn.Linear(12, 2))
    model.train()
    model[0].eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}

    input_saliency(model, torch.randn(2, 3, 2, 2), torch.tensor([0, 1]))

    assert [module.training for module in model] == [False, True, True, True]
    assert all(parameter.grad is None for parameter in model.parameters())
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


@pytest.mark.parametrize("shape", [(2, 3, 36, 32), (2, 3, 32, 36)])
def test_refuses_images_that_do_not_split_into_blocks(shape):
    """Every draw refuses sides that some of its grids don't divide, not one draw in three."""
    with pytest.raises(UsageError, match="multiples of 8"):
        draw_puzzlemix(np.random.default_rng(0), shape, 1.0)


@pytest.mark.parametrize(
    ("channels", "side", "blocks", "saliency", "message"),
    [
        (3, 16, 1, 16, "got 1"),  # one block has nowhere to go
        (3, 16, 16, 16, "got 16"),  # and 16 by 16 can't be solved exactly
        (3, 8, 2, 4, r"expected saliency \(1, 8, 8\)"),
        (1, 8, 2, 8, "RGB"),  # the smoothness term looks at colours
    ],
)
def test_refuses_other_grids_sizes_and_channels(channels, side, blocks, saliency, message):
    """What is expected is named."""
    x, map_ = torch.zeros(1, channels, side, side), torch.ones(1, saliency, saliency)

    with pytest.raises(UsageError, match=message):
        puzzlemix(x, torch.tensor([0]), 0.5, blocks, map_)


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
