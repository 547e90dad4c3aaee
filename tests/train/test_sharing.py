"""What the processes of a run share, and what they say when they can't."""

from dataclasses import replace

import pytest
import torch
from mixzoo.eval.world import ALONE
from mixzoo.train.recipe import Recipe
from mixzoo.train.sharing import accumulation, explained_losses
from mixzoo.zoo.errors import LostRankError, UsageError


def test_bad_numbers_of_processes_are_told_the_good_ones(tiny: Recipe) -> None:
    """256 images in 4 parts."""
    recipe = replace(tiny, batch_size=256, micro_batch=64)

    with pytest.raises(UsageError, match=r"3 processes can't share evenly.*\(1, 2, 4\)"):
        accumulation(recipe, 3)
    assert [accumulation(recipe, n) for n in (1, 2, 4)] == [4, 2, 1]


def test_lost_connections_and_memory_are_explained() -> None:
    """Each in one line that says what to do; other errors stay what they are."""
    pair = replace(ALONE, rank=1, size=2)
    cases = [
        (pair, RuntimeError("[gloo/pair.cc] Connection closed by peer"), LostRankError, "Rank 1"),
        (ALONE, RuntimeError("DataLoader worker (pid 1) is killed"), UsageError, "--workers"),
        (ALONE, torch.OutOfMemoryError("CUDA out of memory.\nmore"), UsageError, "micro_batch"),
        (ALONE, RuntimeError("gloo was mentioned"), RuntimeError, "gloo was mentioned"),
    ]

    for world, error, kind, words in cases:
        with pytest.raises(kind, match=f"^[^\n]*{words}[^\n]*$"), explained_losses(world):
            raise error
