"""The exact grid solver against recorded graphs and brute force."""

import itertools

import numpy as np
import pytest
import torch
from mixzoo.train.mixing.gridcut import cut_grid
from mixzoo.zoo.errors import UsageError

PUZZLES = [f"puzzlemix_{i}" for i in range(6)]


def energy(labels, unary, down, right) -> torch.Tensor:
    """The energy of labellings (..., H, W) of grids (..., H, W, L), by its definition: float64."""
    n_labels = unary.shape[-1]
    level = labels.double() / (n_labels - 1)
    chosen = unary.gather(-1, labels[..., None])[..., 0].double().sum((-2, -1))
    ties_down = down * (level[..., 1:, :] - level[..., :-1, :]) ** 2
    ties_right = right * (level[..., :, 1:] - level[..., :, :-1]) ** 2
    return chosen + ties_down.sum((-2, -1)) + ties_right.sum((-2, -1))


def random_grids(seed, n, h, w, n_labels, low=-500, high=1000):
    draw = np.random.default_rng(seed).integers
    shapes = ((n, h, w, n_labels), (n, h - 1, w), (n, h, w - 1))
    return [torch.from_numpy(draw(low, high, shape).astype(np.int32)) for shape in shapes]


@pytest.mark.parametrize("name", PUZZLES)
def test_reaches_the_recorded_minimum(mixer_case, name):
    """On the reference's own graphs: the exact minimum, never above its solver's energy."""
    case = mixer_case(name)
    graphs = case.record["graphcut"]
    unary, down, right = (
        torch.from_numpy(np.stack([case.arrays[f"g{i}_{key}"] for i in range(len(graphs))]))
        for key in ("unary_cost", "pw_x", "pw_y")
    )

    reached = energy(cut_grid(unary, down, right), unary.long(), down, right)

    assert reached.tolist() == [graph["exact_minimum"] for graph in graphs]
    assert all(
        ours <= graph["energy_of_solution"]
        for ours, graph in zip(reached.tolist(), graphs, strict=True)
    )


SMALL = (-500, 1000)
INT32 = (-(2**31), 2**31 - 1)  # sums go beyond 32 bits


@pytest.mark.parametrize(
    ("h", "w", "n_labels", "n", "costs"),
    [
        (1, 1, 3, 100, SMALL),
        (1, 4, 3, 150, SMALL),
        (4, 1, 3, 150, SMALL),
        (2, 2, 3, 200, SMALL),
        (3, 2, 3, 150, SMALL),
        (2, 3, 4, 100, SMALL),
        (2, 4, 2, 100, SMALL),
        (3, 3, 3, 50, SMALL),
        (3, 3, 3, 40, INT32),
    ],
)
def test_equals_brute_force(h, w, n_labels, n, costs):
    """Of 1,000 random grids, attractive and repulsive ties, each has the least of all energies."""
    unary, down, right = random_grids(h * 100 + w * 10 + n_labels, n, h, w, n_labels, *costs)
    every = torch.tensor(list(itertools.product(range(n_labels), repeat=h * w))).view(-1, 1, h, w)
    graphs = (unary.long()[None], down[None], right[None])

    least = torch.stack([energy(one.expand(1, n, h, w), *graphs)[0] for one in every]).amin(0)

    assert torch.equal(energy(cut_grid(unary, down, right), unary.long(), down, right), least)


def test_grids_of_a_batch_do_not_meet():
    """Each 8x8 grid has the labels that it gets alone."""
    unary, down, right = random_grids(0, 5, 8, 8, 3)

    together = cut_grid(unary, down, right)

    alone = [cut_grid(unary[i : i + 1], down[i : i + 1], right[i : i + 1]) for i in range(5)]
    assert torch.equal(together, torch.cat(alone))


def test_refuses_weights_of_another_grid():
    """Weights that don't lie between the pixels are an error."""
    unary, down, right = random_grids(0, 2, 4, 4, 3)

    with pytest.raises(UsageError, match=r"expected weights \(2, 3, 4\) down"):
        cut_grid(unary, right, down)
