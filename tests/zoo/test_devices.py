"""A device is tried where it is named."""

from typing import Any

import mixzoo
import pytest
import torch
from mixzoo.zoo.devices import device_of


@pytest.mark.parametrize("name", ["gpu", "cuda:99", "meta", None, "cpu cpu"])
def test_a_device_that_is_not_here_is_refused(name: str) -> None:
    """By the face of the library too, before anything is fetched."""
    with pytest.raises(mixzoo.UsageError, match=f"^--device {name}: .*device='cpu'") as refused:
        mixzoo.load("resnet50.automix_inat2018", device=name)

    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("ref", [None, 5, b"x", torch.nn.Linear(1, 1)])
def test_what_names_no_checkpoint_is_refused(ref: Any) -> None:
    """As a row or as a manifest; the errors' kinds can be had without another import."""
    assert issubclass(mixzoo.UsageError, mixzoo.MixzooError)
    assert issubclass(mixzoo.DataError, mixzoo.MixzooError)
    for arguments in ({"ref": ref}, {"ref": "x", "manifest": ref or 1}):
        with pytest.raises(mixzoo.UsageError, match="expected a row of mixzoo zoo list, or a path"):
            mixzoo.load(**arguments)


def test_a_device_that_is_here_is_taken() -> None:
    """As text or as torch's own."""
    assert device_of("cpu") == device_of(torch.device("cpu")) == torch.device("cpu")
