"""What a file's own tensors tell of why a number is off."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from mixzoo.zoo.catalog import open_catalog
from mixzoo.zoo.checkpoint.load import traits
from mixzoo.zoo.checkpoint.reading import Checkpoint, read_checkpoint
from torch import Tensor

from ...mini_rows import AUTOMIX, weights
from ...mini_rows import VANILLA as ROW


@pytest.fixture
def with_weights(tmp_path: Path) -> Callable[..., Checkpoint]:
    """A mini checkpoint whose entries were changed, as it is read."""

    def write(
        change: Callable[[dict[str, Tensor]], dict[str, Tensor]], row: str = ROW
    ) -> Checkpoint:
        content = torch.load(weights(row), weights_only=True)
        content["state_dict"] = change(content["state_dict"])
        torch.save(content, tmp_path / "w.pth")
        return read_checkpoint(tmp_path / "w.pth")

    return write


def half(dtype: torch.dtype, back: bool) -> Callable[[dict[str, Tensor]], dict[str, Tensor]]:
    return lambda entries: {
        name: (value.to(dtype).float() if back else value.to(dtype))
        if value.is_floating_point()
        else value
        for name, value in entries.items()
    }


def untrained(entries: dict[str, Tensor]) -> dict[str, Tensor]:
    return {
        name: torch.zeros_like(value)
        if name.endswith("running_mean")
        else torch.ones_like(value)
        if name.endswith("running_var")
        else value
        for name, value in entries.items()
    }


@pytest.mark.parametrize(
    ("key", "change"),
    [
        ("half-weights", half(torch.float16, back=False)),
        ("half-weights", half(torch.float16, back=True)),
        ("half-weights", half(torch.bfloat16, back=True)),
        ("batch-norm-untrained", untrained),
        ("batch-norm-missing", lambda e: {n: v for n, v in e.items() if "running_" not in n}),
        ("keys-left-out", lambda e: {n: v for n, v in e.items() if "layer3.1.conv2" not in n}),
        ("keys-left-out", lambda e: {n: v for n, v in e.items() if "head" not in n}),
        ("other-head", lambda e: {n: v[:30] if "head" in n else v for n, v in e.items()}),
    ],
)
def test_a_defect_is_told_by_its_key(
    key: str, change: Callable, with_weights: Callable[..., Checkpoint]
) -> None:
    """The first and only one, in a sentence."""
    benchmark, row = open_catalog(()).row(ROW)

    found = traits(with_weights(change), row, benchmark.manifest.dataset.num_classes)

    assert list(found) == [key]
    assert len(found[key]) > 20


def test_weights_of_another_method_are_another_rows(
    with_weights: Callable[..., Checkpoint],
) -> None:
    """AutoMix's four heads can't be vanilla's."""
    _, row = open_catalog(()).row(ROW)

    checkpoint = with_weights(dict, AUTOMIX)

    assert list(traits(checkpoint, row, 40)) == ["other-row"]


def test_sound_weights_have_no_traits() -> None:
    """All rows of mini, each held against itself."""
    for benchmark, row in open_catalog(()):
        if benchmark.name == "mini":
            assert traits(read_checkpoint(weights(row.id)), row, 40) == {}
