"""From a file that a stranger sent, or a bundled drawing, to the pixels that the methods mix."""

import filecmp
import warnings
from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from ...eval.pixels import Pixels, centre_crop
from ...zoo.cache import cache_root
from ...zoo.errors import DataError
from ...zoo.files import replacing
from ...zoo.images import FORMATS, open_image
from ...zoo.manifest import Protocol
from ...zoo.mini import NAMED, example
from ...zoo.mini.species import VERSION
from . import limits

MODES = frozenset({"1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr"})

TOO_LARGE = f"{{}} pixels; at most {limits.MAX_PIXELS / 1e6:g} million are read. Scale it down."


@dataclass(frozen=True)
class Picture:
    """One square of pixels, ready to be mixed.

    crop: (S, S, 3) uint8 RGB, not to be written to. name: of its file. drawn: species and number of
    a bundled drawing, None for a visitor's own.
    """

    crop: Pixels
    name: str
    drawn: tuple[int, int] | None = None


def drawings() -> dict[str, Path]:
    """The bundled drawings' PNG files by name, written below the cache where they aren't there yet.

    Each holds exactly the pixels of `mixzoo.zoo.mini.example` for its entry in NAMED.
    """
    folder = _drawings_folder()
    folder.mkdir(parents=True, exist_ok=True)
    paths = {name: folder / f"{name}.png" for name in NAMED}
    for name, path in paths.items():
        if not path.exists():
            with replacing(path) as file:
                example(*NAMED[name]).save(file, "PNG")
    return paths


@lru_cache(maxsize=limits.MAX_CROPS)
def read_picture(path: str, protocol: Protocol) -> Picture:
    """Decode a file as the evaluator does, upright, and cut its centre by a protocol.

    Of an animation the first frame; transparency is dropped, as in evaluation. Size and shape are
    read from the header and judged before anything is decoded. The crops that were used last are
    kept, by the path: Gradio keeps uploads in folders named by their content.
    Raises DataError, one line without folders, for anything but a whole picture within the limits.
    """
    name = Path(path).name
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # on large sizes and odd metadata: judged here
            with open_image(Path(path)) as image:
                _require_limits(image)
                pixels = np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    except DataError as error:
        raise DataError(f"{name}: {error}") from None
    except UnidentifiedImageError:
        raise DataError(
            f"{name}: expected a picture ({', '.join(FORMATS)}), got bytes of another kind. Choose "
            "another file."
        ) from None
    except Image.DecompressionBombError:
        raise DataError(f"{name}: {TOO_LARGE.format('far too many')}") from None
    except Exception as error:  # Pillow's parsers raise whatever they stumble over
        reason = " ".join(str(error).split())[:120] or type(error).__name__
        raise DataError(
            f"{name}: the picture is damaged or incomplete ({reason}). Send the original file."
        ) from None
    crop = np.ascontiguousarray(centre_crop(pixels, protocol))
    crop.flags.writeable = False
    return Picture(crop, name, _drawn_as(Path(path)))


def without_alpha(path: str) -> bytes | None:
    """A PNG of what the methods see of a picture that `read_picture` takes, if it has transparency."""
    with open_image(Path(path)) as image:
        if not image.has_transparency_data:
            return None
        content = BytesIO()
        ImageOps.exif_transpose(image).convert("RGB").save(content, "PNG")
    return content.getvalue()


def _require_limits(image: Image.Image) -> None:
    """Raise DataError for a picture that is too large, too thin, or not of 8 bits."""
    width, height = image.size
    if width * height > limits.MAX_PIXELS:
        raise DataError(TOO_LARGE.format(f"{width} x {height}"))
    if max(width, height) > limits.MAX_ASPECT * min(width, height):
        raise DataError(
            f"{width} x {height} pixels; expected sides of at most {limits.MAX_ASPECT} to 1, since "
            "the centre is cut out. Crop it first."
        )
    if image.mode not in MODES:
        raise DataError(
            f"expected 8 bits per channel, got Pillow's mode {image.mode}. Save it as an ordinary "
            "PNG or JPEG."
        )


def _drawn_as(path: Path) -> tuple[int, int] | None:
    """Species and number of the drawing that a file is a copy of; None for any other file."""
    original = _drawings_folder() / path.name
    if path.stem not in NAMED or not original.is_file():
        return None
    return NAMED[path.stem] if filecmp.cmp(path, original, shallow=False) else None


def _drawings_folder() -> Path:
    """Where they are kept; a new look of the drawings is kept apart."""
    return cache_root() / "demo" / f"examples-{VERSION}"
