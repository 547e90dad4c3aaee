"""From a file that a stranger sent to the pixels that the methods mix."""

import threading
import warnings
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from ...eval.pixels import Pixels, centre_crop
from ...zoo.errors import DataError
from ...zoo.images import FORMATS, open_image
from ...zoo.manifest import Protocol
from .examples import drawn_as
from .settings import Settings

MODES = frozenset({"1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr"})


@dataclass(frozen=True)
class Picture:
    """One square of pixels, ready to be mixed.

    crop: (S, S, 3) uint8 RGB, not to be written to. name: of its file. drawn: species and number of
    a bundled example, None for a visitor's own.
    """

    crop: Pixels
    name: str
    drawn: tuple[int, int] | None = None


def read_picture(path: Path, protocol: Protocol, settings: Settings) -> Picture:
    """Decode a file as the evaluator does, upright, and cut its centre by a protocol.

    Of an animation the first frame; transparency is dropped, as in evaluation. Size and shape are
    read from the header and judged before anything is decoded.
    Raises DataError, one line without folders, for anything but a whole picture within the limits.
    """
    name = path.name
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # on large sizes and odd metadata: judged here
            with open_image(path) as image:
                _require_limits(image, name, settings)
                pixels = np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    except DataError:
        raise
    except UnidentifiedImageError:
        raise DataError(
            f"{name}: expected a picture ({', '.join(FORMATS)}), got bytes of another kind. Choose another file."
        ) from None
    except Image.DecompressionBombError:
        raise DataError(_too_large(name, "far too many", settings)) from None
    except Exception as error:  # Pillow's parsers raise whatever they stumble over
        raise DataError(_damaged(name, error)) from None
    crop = np.ascontiguousarray(centre_crop(pixels, protocol))
    crop.flags.writeable = False
    return Picture(crop, name, drawn_as(path))


class Pictures:
    """The crops that were used last, by file and size, so that a moved slider decodes nothing."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._kept: OrderedDict[tuple[str, int, int, str], Picture] = OrderedDict()
        self._lock = threading.Lock()

    def read(self, path: str | Path, protocol: Protocol) -> Picture:
        """`read_picture`, or what it returned before for this file.

        A file is known by its path: Gradio keeps uploads in folders named by their content.
        """
        key = (str(path), protocol.resize, protocol.crop, protocol.interpolation)
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        picture = read_picture(Path(path), protocol, self._settings)
        with self._lock:
            self._kept[key] = picture
            while len(self._kept) > self._settings.max_crops:
                self._kept.popitem(last=False)
        return picture


def _require_limits(image: Image.Image, name: str, settings: Settings) -> None:
    """Raise DataError for a picture that is too large, too thin, or of another depth than 8 bits."""
    width, height = image.size
    if width * height > settings.max_pixels:
        raise DataError(_too_large(name, f"{width} x {height}", settings))
    if max(width, height) > settings.max_aspect * min(width, height):
        raise DataError(
            f"{name}: {width} x {height} pixels; expected sides of at most {settings.max_aspect} "
            "to 1, since the centre is cut out. Crop it first."
        )
    if image.mode not in MODES:
        raise DataError(
            f"{name}: expected 8 bits per channel, got Pillow's mode {image.mode}. Save it as an "
            "ordinary PNG or JPEG."
        )


def _too_large(name: str, size: str, settings: Settings) -> str:
    most = f"{settings.max_pixels / 1e6:g} million"
    return f"{name}: {size} pixels; at most {most} are read. Scale it down."


def _damaged(name: str, error: Exception) -> str:
    reason = " ".join(str(error).split()) or type(error).__name__
    return f"{name}: the picture is damaged or incomplete ({reason[:120]}). Send the original file."
