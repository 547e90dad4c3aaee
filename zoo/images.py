"""Opens image files with the decoders that bytes from strangers may reach, and with no others.

Pillow knows many more formats, and some of their decoders start other programs: EPS, under
whatever name a file has, starts Ghostscript.
"""

from functools import cache
from pathlib import Path, PurePath
from typing import IO

from PIL import Image, features

FORMATS = ("JPEG", "PNG", "WEBP", "AVIF", "GIF", "BMP")
SUFFIXES = frozenset({".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".avif", ".gif", ".bmp"})
_LEFT_BY_SYSTEMS = frozenset({"__macosx", "thumbs.db", "desktop.ini"})


def is_picture(path: PurePath) -> bool:
    """Whether a file counts as an image by its name: one of SUFFIXES in either case, not hidden."""
    return path.suffix.lower() in SUFFIXES and not is_hidden(path)


def is_hidden(path: PurePath) -> bool:
    """Whether a name, or a folder above it, is what systems leave beside the files of people.

    A name that begins with a dot, such as macOS's shadow `._a.jpg` of each file, and what holds or
    goes with such files.
    """
    return any(
        (part[0] == "." and part not in (".", "..")) or part.lower() in _LEFT_BY_SYSTEMS
        for part in path.parts
    )


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
