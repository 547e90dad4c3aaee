"""What may be changed about a protocol, and what may not."""

import pytest
from mixzoo.eval.protocol import override
from mixzoo.zoo.errors import UsageError
from mixzoo.zoo.manifest import Protocol

PROTOCOL = Protocol(resize=256, crop=224)


@pytest.mark.parametrize(
    ("change", "message"),
    [({"crop": 300}, "--crop"), ({"interpolation": "cubic"}, "--interpolation")],
)
def test_impossible_override_is_refused(change: dict[str, object], message: str) -> None:
    """A crop larger than the image and an unknown interpolation are named."""
    with pytest.raises(UsageError, match=message):
        override(PROTOCOL, **{"resize": None, "crop": None, "interpolation": None} | change)  # type: ignore[arg-type]
