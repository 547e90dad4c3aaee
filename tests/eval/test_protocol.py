"""What may be changed about a protocol, and what may not."""

import pytest
import torch
from mixzoo.eval.protocol import flags, normalise, override, pixels
from mixzoo.zoo.errors import UsageError
from mixzoo.zoo.manifest import Protocol

PROTOCOL = Protocol(resize=256, crop=224)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"crop": 300}, "--crop"),
        ({"interpolation": "cubic"}, "--interpolation"),
        ({"std": (0.0, 1.0, 1.0)}, "^--std: expected numbers > 0.0, got 0,1,1. "),
        ({"mean": (float("nan"),) * 3}, "^--mean: expected .*got nan,nan,nan. "),
        ({"resize": 10**11}, "^--resize: expected a number <= 8192, got 100000000000. "),
    ],
)
def test_impossible_override_is_refused(change: dict[str, object], message: str) -> None:
    """A crop larger than the image and an unknown interpolation are named."""
    with pytest.raises(UsageError, match=message):
        override(PROTOCOL, **{"resize": None, "crop": None, "interpolation": None} | change)  # type: ignore[arg-type]


def test_flags_give_the_pixels_again() -> None:
    """What is printed for people to copy names each changed value, and nothing else."""
    changed = override(PROTOCOL, crop=196, mean=(0.5, 0.5, 0.5), channels="BGR")

    assert flags(PROTOCOL, PROTOCOL) == []
    assert flags(changed, PROTOCOL) == [
        "--crop",
        "196",
        "--mean",
        "0.5,0.5,0.5",
        "--channels",
        "BGR",
    ]


def test_bgr_swaps_the_colours_before_normalising() -> None:
    """As a loader does that reads with OpenCV; mean and std stay where they are."""
    crops = torch.arange(12, dtype=torch.uint8).view(1, 2, 2, 3)

    bgr = normalise(crops, override(PROTOCOL, channels="BGR"))

    assert torch.equal(bgr, normalise(crops.flip(3), PROTOCOL))


def test_rgb_is_not_written_down() -> None:
    """Predictions kept before there was BGR keep their key."""
    assert "channels" not in pixels(PROTOCOL)
    assert pixels(override(PROTOCOL, channels="BGR"))["channels"] == "BGR"
