"""Photographs stand as their camera noted."""

import io

import numpy as np
import pytest
from mixzoo.viz.upright import upright
from PIL import Image, ImageOps


@pytest.mark.parametrize("orientation", range(10))
def test_every_orientation_is_pillows(orientation: int) -> None:
    """The eight of Exif, and two that mean nothing."""
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    image = Image.fromarray(pixels)
    exif = image.getexif()
    exif[0x0112] = orientation
    buffer = io.BytesIO()
    image.save(buffer, "PNG", exif=exif)

    turned = upright(pixels, buffer.getvalue())

    with Image.open(buffer) as stored:
        assert np.array_equal(turned, np.asarray(ImageOps.exif_transpose(stored)))


def test_odd_metadata_turns_nothing() -> None:
    """What can't be read is no reason to show nothing."""
    pixels = np.zeros((2, 3, 3), np.uint8)

    assert upright(pixels, b"no image") is pixels
