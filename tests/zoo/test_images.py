"""Bytes from strangers reach no decoder but those in the list, whatever their name says."""

import io
import os
from pathlib import Path

import numpy as np
import pytest
from mixzoo.eval.pixels import decode
from mixzoo.zoo.errors import DataError
from mixzoo.zoo.images import FORMATS, open_image
from PIL import Image, ImageOps, UnidentifiedImageError

EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n"


def encoded(kind: str, **options: object) -> bytes:
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("kind", FORMATS)
def test_listed_formats_are_opened(kind: str) -> None:
    """Header first; the format is the one that was written."""
    with open_image(io.BytesIO(encoded(kind))) as image:
        assert (image.format, image.size) == (kind, (7, 5))


@pytest.mark.parametrize(
    "content", [EPS, encoded("TIFF"), encoded("PPM")], ids=["eps", "tiff", "ppm"]
)
def test_other_formats_are_no_images(content: bytes) -> None:
    """Pillow knows them, and is kept from trying."""
    with pytest.raises(UnidentifiedImageError):
        open_image(io.BytesIO(content))


def test_ghostscript_is_never_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program of its name in the search path would leave a trace."""
    trace, program = tmp_path / "trace", tmp_path / "gs"
    program.write_text(f"#!/bin/sh\ntouch {trace}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")

    with pytest.raises(DataError, match=r"a\.jpg: expected an image, got bytes of no known"):
        decode(EPS, "a.jpg", upright=True)

    assert not trace.exists()


@pytest.mark.parametrize("orientation", range(10))
def test_photographs_stand_as_their_camera_noted(orientation: int) -> None:
    """The eight of Exif, and two that mean nothing; the evaluator, like the reference, turns none."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = encoded("PNG", exif=exif)

    with Image.open(io.BytesIO(content)) as stored:
        assert np.array_equal(
            decode(content, "a", upright=True), np.asarray(ImageOps.exif_transpose(stored))
        )
        assert np.array_equal(decode(content, "a"), np.asarray(stored))
