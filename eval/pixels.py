"""From an image file's bytes to the reference's uint8 crop.

The reference is `PIL.Image.open(file).convert("RGB")`, then torchvision's Resize and CenterCrop.
Pillow reads every header here too, so it alone says what is an image. The pixels of grey and
colour JPEGs of some size then come from `jpeg_decoder`, which hands them over without Pillow's
four-byte copies; all use libjpeg-turbo. Whatever else there is, and whatever that decoder refuses
or might turn, Pillow decodes.
"""

import io
import itertools
import warnings
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError
from PIL.JpegImagePlugin import JpegImageFile

from ..zoo.catalog import open_catalog
from ..zoo.errors import DataError, UsageError, in_words, wall
from ..zoo.images import open_image
from ..zoo.looks import printable
from ..zoo.manifest import Protocol
from .protocol import normalise, placement

if TYPE_CHECKING:
    import torch

    from ..zoo.nets import Classifier, MixClassifier

Pixels = npt.NDArray[np.uint8]
DECODERS = {"torchvision": "torchvision.io", "torchcodec": "torchcodec.decoders"}
"""Packages that may decode JPEGs in Pillow's place, in the order in which they are tried."""

LARGE = 1 << 17
"""Pixels from which on a JPEG is worth one of them, whose import takes seconds: of 200 x 150 Pillow
takes 0.16 ms and torchvision 0.13, of 800 x 600 4.5 and 1.1."""


def prepare() -> None:
    """Load what crops are made with: once, before processes are forked, not while an image waits.

    Compiled code takes a second to import, so importing this module doesn't. `jpeg_decoder` takes
    longer, and small pictures never need it: the first large JPEG of a process imports it.
    """
    centre_crop(np.zeros((2, 2, 3), np.uint8), Protocol(resize=2, crop=1))


class Transform:
    """From a picture to a network's input, with the evaluator's own pixels: see `transform`."""

    def __init__(self, protocol: Protocol) -> None:
        self.protocol = protocol

    def __call__(self, picture: str | Path | Image.Image) -> "torch.Tensor":
        """A path, or a PIL image, as a float32 tensor (3, crop, crop), normalised.

        Raises DataError if it can't be read or decoded, UsageError for anything else.
        """
        import torch

        if isinstance(picture, Image.Image):
            with wall(DataError, "an opened image", "Open a whole file, or give its path."):
                crop = centre_crop(np.asarray(picture.convert("RGB")), self.protocol)
        elif isinstance(picture, str | Path):
            name = printable(str(picture))
            with wall(DataError, name, "Name an image file that can be read."):
                content = Path(picture).read_bytes()
            crop = decode_crop(content, self.protocol, name)
        else:
            raise UsageError(f"expected a path or a PIL image, got {in_words(picture)}; give one.")
        return normalise(torch.from_numpy(np.ascontiguousarray(crop))[None], self.protocol)[0]


def transform(of: "str | Classifier | MixClassifier") -> Transform:
    """The evaluation transform of a row or benchmark, such as `resnet50.automix_inat2018`, or of a
    row's model.

    Raises UsageError for a name that no manifest has, or for a model that was no row's.
    """
    if not isinstance(of, str):
        if not hasattr(of, "protocol"):
            raise UsageError(
                f"expected a row, a benchmark or a model of mixzoo.load, got {in_words(of)}; give one."
            )
        if of.protocol is None:
            raise UsageError("The model is of a file that no row names; give a row or a benchmark.")
        return Transform(of.protocol)
    catalog = open_catalog()
    benchmark = catalog.benchmarks.get(of) or catalog.row(of)[0]
    return Transform(benchmark.manifest.protocol)


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
        reason = f"{type(error).__name__}: {' '.join(str(error).split())}".rstrip(".")
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
        if (
            _is_plain_jpeg(image)
            and image.width * image.height >= LARGE
            and (decoder := jpeg_decoder())
            and _is_left(image, decoder)
        ):
            try:
                return _by(decoder, content)
            except RuntimeError:  # cut short, or a kind of JPEG that only Pillow's libjpeg knows
                pass
        return np.asarray(image.convert("RGB"))


def _is_plain_jpeg(image: Image.Image) -> bool:
    """Whether it is grey or of three channels; four may be CMYK or YCCK, inverted or not."""
    return image.format in ("JPEG", "MPO") and image.mode in ("L", "RGB")


def _is_left(image: Image.Image, decoder: str) -> bool:
    """Whether the decoder surely leaves the picture as it is stored, which the reference does.

    TorchCodec turns it as EXIF says, which it takes any first APP1 segment for. It can't be told
    not to, and Pillow may understand a damaged segment otherwise, so none is handed to it.
    """
    return decoder != "torchcodec" or (
        isinstance(image, JpegImageFile) and all(name != "APP1" for name, _ in image.applist)
    )


@cache
def jpeg_decoder() -> str | None:
    """The first of DECODERS that is here and gives Pillow's pixels on this machine; None if none.

    They come with libjpegs of their own, and another build or version may round in another way.
    Tried once per process on noise: all common chroma, grey, plain and progressive.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torchvision 0.29 says that its decoders will go
        return next((name for name in DECODERS if _agrees(name)), None)


def _agrees(decoder: str) -> bool:
    noise = np.random.default_rng(0).integers(0, 256, (53, 75, 3), dtype=np.uint8)
    picture = Image.fromarray(noise).resize((150, 106), Image.Resampling.BICUBIC)
    for chroma, progressive in itertools.product(("4:4:4", "4:2:2", "4:2:0", ""), (False, True)):
        file = io.BytesIO()
        options = {"subsampling": chroma} if chroma else {}
        mode = "RGB" if chroma else "L"
        picture.convert(mode).save(file, "JPEG", progressive=progressive, **options)
        try:
            pixels = _by(decoder, file.getvalue())
        except Exception:  # not installed, or built for another torch, which shows in many ways
            return False
        with Image.open(file) as image:
            if not np.array_equal(pixels, np.asarray(image.convert("RGB"))):
                return False
    return True


def _by(decoder: str, content: bytes) -> Pixels:
    """Raises RuntimeError where libjpeg does, also at an early end of the data."""
    import torch

    data = torch.frombuffer(bytearray(content), dtype=torch.uint8)
    pixels = import_module(DECODERS[decoder]).decode_jpeg(data, mode="RGB")  # (3, H, W)
    return pixels.permute(1, 2, 0).numpy()
