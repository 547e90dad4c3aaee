"""Opens image files with the decoders that bytes from strangers may reach, and with no others.

Pillow knows many more formats, and some of their decoders start other programs: EPS, under
whatever name a file has, starts Ghostscript.
"""

from functools import cache
from pathlib import Path
from typing import IO

from PIL import Image, features

FORMATS = ("JPEG", "PNG", "WEBP", "AVIF", "GIF", "BMP")
SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".avif", ".gif", ".bmp"})


def open_image(source: Path | IO[bytes]) -> Image.Image:
    """An image of one of FORMATS; its header is read, its pixels are not yet.

    Raises UnidentifiedImageError for bytes of another kind, DecompressionBombError for far too many
    pixels, OSError if the file can't be read, and whatever Pillow stumbles over.
    """
    return Image.open(source, formats=_built())


@cache
def _built() -> list[str]:
    """Those of FORMATS that this build of Pillow has: WebP and AVIF are optional."""
    missing = [name for name in ("WEBP", "AVIF") if not features.check(name.lower())]
    return [name for name in FORMATS if name not in missing]
