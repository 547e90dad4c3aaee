"""What tests of mixing share: the reference's recorded calls, on its batches."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch


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
    golden: Path, regenerate: ModuleType, replay: Callable, request: pytest.FixtureRequest
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
        return MixerCase(record, arrays, torch.from_numpy(x), replay(record["draws"], arrays))

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
