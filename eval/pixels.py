"""From an image file's bytes to the reference's uint8 crop.

The reference is `PIL.Image.open(file).convert("RGB")`, then torchvision's Resize and CenterCrop.
Pillow reads every header here too, so it alone says what is an image. The pixels of grey and
colour JPEGs then come from torchvision, which hands them over without Pillow's four-byte copies;
both use libjpeg-turbo. Whatever else there is, and whatever torchvision refuses, Pillow decodes.
"""

import io
import warnings
from functools import cache

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

from ..zoo.errors import DataError
from ..zoo.images import open_image
from ..zoo.manifest import Protocol
from .protocol import placement

Pixels = npt.NDArray[np.uint8]


def prepare(*, jpegs: bool = True) -> None:
    """Load what crops are made with: once, before processes are forked, not while an image waits.

    torchvision and compiled code take a second or two to import, so importing this module doesn't.
    jpegs: also what decodes those, which takes the longest.
    """
    centre_crop(np.zeros((2, 2, 3), np.uint8), Protocol(resize=2, crop=1))
    if jpegs:
        decoders_agree()


def decode_crop(content: bytes, protocol: Protocol, name: str) -> Pixels:
    """Decode, resize and centre-crop an image. name: of its file, for messages.

    Returns uint8 (crop, crop, 3), RGB, perhaps not contiguous. Raises DataError, one line, if it
    can't be decoded: where Pillow fails, this fails; a half picture is never made up.
    """
    return centre_crop(decode(content, name), protocol)


def decode(content: bytes, name: str, *, upright: bool = False) -> Pixels:
    """All pixels of an image, (H, W, 3) uint8 RGB, as the file stores them.

    Transparency is dropped. name: for messages. upright: turn a photograph as its camera noted
    (EXIF), for people; the reference doesn't. Raises DataError, one line, if Pillow refuses the
    file, or it is of no format of `zoo.images`.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # on large sizes, odd metadata: no reason to stop
            return _decode(content, upright=upright)
    except UnidentifiedImageError:
        reason = "bytes of no known image format" if content else "an empty file"
    except Exception as error:  # the parsers of Pillow raise whatever they stumble over
        reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
    raise DataError(
        f"{name}: expected an image, got {reason}. Replace the file with the original one."
    )


def centre_crop(rgb: Pixels, protocol: Protocol) -> Pixels:
    """Resize the shorter side to `protocol.resize` and cut the centre `protocol.crop` square.

    rgb: (H, W, 3) uint8. Returns uint8 (crop, crop, 3), perhaps not contiguous.
    """
    size, (left, top) = placement(rgb.shape[1], rgb.shape[0], protocol)
    crop = protocol.crop
    if protocol.interpolation == "nearest":  # takes single pixels, so there is little to save
        resized = Image.fromarray(rgb).resize(size, Image.Resampling.NEAREST)
        return np.asarray(resized.crop((left, top, left + crop, top + crop)))
    from .resample import resize_crop

    return resize_crop(rgb, size, (left, top), crop, protocol.interpolation)


def _decode(content: bytes, *, upright: bool) -> Pixels:
    with open_image(io.BytesIO(content)) as image:
        if upright:
            return np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
        if _is_plain_jpeg(image) and decoders_agree():
            try:
                return _decode_jpeg(content)
            except RuntimeError:  # cut short, or a kind of JPEG that only Pillow's libjpeg knows
                pass
        return np.asarray(image.convert("RGB"))


def _is_plain_jpeg(image: Image.Image) -> bool:
    """Whether it is grey or of three channels; four may be CMYK or YCCK, inverted or not."""
    return image.format in ("JPEG", "MPO") and image.mode in ("L", "RGB")


def _decode_jpeg(content: bytes) -> Pixels:
    """Raises RuntimeError where libjpeg does, also at an early end of the data."""
    import torch
    from torchvision.io import ImageReadMode, decode_jpeg

    data = torch.frombuffer(bytearray(content), dtype=torch.uint8)
    pixels = decode_jpeg(data, mode=ImageReadMode.RGB)  # (3, H, W); a list only for a list
    assert isinstance(pixels, torch.Tensor)
    return pixels.permute(1, 2, 0).numpy()


@cache
def decoders_agree() -> bool:
    """Whether this machine's torchvision and Pillow decode JPEGs to the same pixels.

    They come with libjpegs of their own, and another build or version may round in another way.
    Tried once per process on noise, with halved chroma, plain and progressive.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torchvision 0.29 says that its decoders will go,
            return all(_same_pixels(progressive) for progressive in (False, True))
    except ImportError:  # as they have, then
        return False


def _same_pixels(progressive: bool) -> bool:
    noise = np.random.default_rng(0).integers(0, 256, (53, 75, 3), dtype=np.uint8)
    picture = Image.fromarray(noise).resize((150, 106), Image.Resampling.BICUBIC)
    file = io.BytesIO()
    picture.save(file, "JPEG", subsampling="4:2:0", progressive=progressive)
    with Image.open(file) as image:
        return np.array_equal(_decode_jpeg(file.getvalue()), np.asarray(image))
