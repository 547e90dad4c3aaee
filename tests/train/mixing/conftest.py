"""What tests of mixing share: the reference's recorded draws, replayed, and its batches, regenerated."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch


class Replay:
    """Stands in for a `numpy.random.Generator`: gives recorded values, and only in recorded order.

    The reference drew from other generators; each recorded call is matched with the call of ours
    that has the same distribution.
    """

    def __init__(self, draws: list[dict[str, Any]], arrays: dict[str, np.ndarray]) -> None:
        self.draws = list(draws)
        self.arrays = arrays

    def _next(self, *functions: str) -> tuple[list[Any], Any]:
        assert self.draws, f"{functions} was drawn after the reference had stopped drawing"
        draw = self.draws.pop(0)
        assert draw["fn"] in functions
        return draw["args"], draw["value"]

    def beta(self, a: float, b: float) -> float:
        """A recorded weight."""
        args, value = self._next("np.random.beta", "scipy.stats.beta.rvs")
        assert args == [a, b]
        return value

    def permutation(self, n: int) -> np.ndarray:
        """Recorded partners."""
        args, value = self._next("torch.randperm")
        assert args == [n]
        return np.array(value)

    def integers(self, low: int, high: int | None = None) -> int:
        """A recorded index, from the same range."""
        args, value = self._next("np.random.randint")
        recorded = args if len(args) == 2 else [0, *args]
        drawn = [low, high] if high is not None else [0, low]
        # some puzzlemix cases were recorded with fewer block sizes to choose from
        assert drawn[0] <= recorded[0]
        assert recorded[1] <= drawn[1]
        return value

    def uniform(self, low: float, high: float) -> float:
        """A recorded number, from the same range."""
        args, value = self._next("np.random.uniform")
        assert args == [low, high]
        return value

    def standard_normal(self, shape: tuple[int, ...]) -> np.ndarray:
        """Rows 0 and 1 of recorded noise, all that the reference uses of it."""
        _, value = self._next("np.random.randn")
        rows = self.arrays["randn_rows01"][0]
        assert shape == rows.shape
        assert value["shape"][2:] == list(shape[1:])
        return rows

    def random(self) -> float:
        """A recorded number in [0, 1)."""
        return self._next("random.random")[1]


@dataclass
class MixerCase:
    """One recorded call of a mixing function of the reference."""

    record: dict[str, Any]
    arrays: dict[str, np.ndarray]
    x: torch.Tensor
    rng: Any

    @property
    def alpha(self) -> float:
        """Of the Beta distribution that the weight was drawn from."""
        return self.record["kwargs"]["alpha"]

    @property
    def lam(self) -> torch.Tensor:
        """(N,) float32: the label weight that the reference returned."""
        lam = torch.tensor(self.record["lam"], dtype=torch.float32)
        return lam.expand(len(self.x))


@pytest.fixture
def mixer_case(
    golden: Path, regenerate: ModuleType, request: pytest.FixtureRequest
) -> Callable[[str], MixerCase]:
    """Loads a case of golden/mixers by name; one on photographs skips where they are absent."""

    def load(name: str) -> MixerCase:
        record = json.loads((golden / "mixers/cases.json").read_text())[name]
        stored = np.load(golden / "mixers/arrays.npz", allow_pickle=False)
        arrays = {
            key.removeprefix(f"{name}_"): stored[key]
            for key in stored.files
            if key.startswith(f"{name}_")
        }
        batch = record["batch"]
        if "images" in batch:
            folder = request.getfixturevalue("shared") / "golden/images/crops"
            x = regenerate.photos(folder, batch["images"])
        else:
            x = regenerate.blocky(batch["seed"], batch["name"], tuple(record["shape"]), 8)
        assert regenerate.sha256(x) == record["input_sha256"]
        return MixerCase(record, arrays, torch.from_numpy(x), Replay(record["draws"], arrays))

    return load


@pytest.fixture
def check_case(regenerate: ModuleType) -> Callable[..., None]:
    """Compares a result with what the reference returned, to the bit."""

    def check(case: MixerCase, mixed: Any) -> None:
        assert case.rng.draws == []
        assert mixed.perm.tolist() == case.record["permutation_used"]
        assert torch.equal(mixed.lam, case.lam)
        assert regenerate.sha256(mixed.images.numpy()) == case.record["out_sha256"]

    return check


@pytest.fixture
def mixer_replay() -> Callable[[list[dict[str, Any]]], Replay]:
    """A generator that replays draws recorded outside golden/mixers."""
    return lambda draws: Replay(draws, {})
