"""What is made of files that strangers send."""

import io
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mixzoo.app.demo import limits
from mixzoo.app.demo.pictures import NAMED, Picture, drawings, read_picture
from mixzoo.eval.pixels import centre_crop, decode_crop
from mixzoo.zoo.errors import DataError
from mixzoo.zoo.manifest import Protocol
from mixzoo.zoo.mini import example
from PIL import Image

PROTOCOL = Protocol(resize=36, crop=32)
NOISE = np.random.default_rng(0).integers(0, 256, (50, 70, 3), dtype=np.uint8)


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def read(path: Path) -> Picture:
    """As `read_picture`, but of a file that may have changed."""
    return read_picture.__wrapped__(str(path), PROTOCOL)


def bomb() -> bytes:
    """A PNG of a few hundred bytes that says it holds 50,000 x 50,000 pixels."""

    def chunk(name: bytes, content: bytes) -> bytes:
        whole = name + content
        return struct.pack(">I", len(content)) + whole + struct.pack(">I", zlib.crc32(whole))

    header = struct.pack(">IIBBBBB", 50_000, 50_000, 8, 2, 0, 0, 0)
    rows = zlib.compress(b"\0" * 100_000)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    )


def zipped() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a.png", b"x")
    return file.getvalue()


SVG = (
    b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><script>alert(1)</script></svg>'
)


@pytest.fixture
def written(tmp_path: Path) -> Callable[[bytes, str], Path]:
    def write(content: bytes, name: str = "picture.png") -> Path:
        path = tmp_path / name
        path.write_bytes(content)
        return path

    return write


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "BMP", "GIF", "AVIF"])
def test_pixels_are_those_of_the_evaluator(written, kind: str) -> None:
    """Every format that is taken gives the evaluator's crop."""
    path = written(encoded(Image.fromarray(NOISE), kind))

    assert np.array_equal(read(path).crop, decode_crop(path.read_bytes(), PROTOCOL, "a"))


@pytest.mark.parametrize("mode", ["CMYK", "L", "P", "LA", "RGBA", "1"])
def test_other_colours_become_rgb(written, mode: str) -> None:
    """Grey, palettes, transparency and print colours are converted as the evaluator does."""
    image = Image.fromarray(NOISE).convert("L" if mode == "LA" else "RGB").convert(mode)
    path = written(encoded(image, "JPEG" if mode == "CMYK" else "PNG"))

    assert np.array_equal(read(path).crop, decode_crop(path.read_bytes(), PROTOCOL, "a"))


def test_picture_is_upright(written) -> None:
    """A photograph that its EXIF data turns is read as a person sees it."""
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned a quarter, clockwise
    path = written(encoded(Image.fromarray(NOISE), "PNG", exif=exif))

    turned = np.ascontiguousarray(np.rot90(NOISE, -1))
    assert np.array_equal(read(path).crop, centre_crop(turned, PROTOCOL))


def test_animation_shows_its_first_frame(written) -> None:
    """Of a moving picture the first frame is taken."""
    frames = [Image.fromarray(NOISE).quantize(), Image.new("P", (70, 50))]
    path = written(encoded(frames[0], "GIF", save_all=True, append_images=frames[1:]))

    first = np.asarray(Image.open(io.BytesIO(path.read_bytes())).convert("RGB"))
    assert np.array_equal(read(path).crop, centre_crop(first, PROTOCOL))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "bytes of another kind"),
        (b"\x00\xff" * 500, "bytes of another kind"),
        (SVG, "bytes of another kind"),
        (zipped(), "bytes of another kind"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "bytes of another kind"),
        (encoded(Image.fromarray(NOISE), "TIFF"), "bytes of another kind"),
        (encoded(Image.fromarray(NOISE), "JPEG")[:900], "damaged or incomplete"),
        (encoded(Image.fromarray(NOISE), "PNG")[:900], "damaged or incomplete"),
        (bomb(), "far too many pixels; at most 50 million"),
        (encoded(Image.new("RGB", (2000, 4)), "PNG"), "at most 20 to 1"),
        (encoded(Image.fromarray(NOISE[..., 0].astype(np.uint16)), "PNG"), "8 bits per channel"),
    ],
    ids=[
        "empty",
        "random",
        "svg",
        "zip",
        "eps",
        "tiff",
        "jpeg-cut",
        "png-cut",
        "bomb",
        "thin",
        "16-bit",
    ],
)
def test_bad_file_is_refused_in_one_line(written, content: bytes, reason: str) -> None:
    """Whatever isn't a whole picture within the limits is named, with what to do, without folders."""
    path = written(content)

    with pytest.raises(DataError, match=reason) as refused:
        read(path)
    line = str(refused.value)
    assert line.startswith("picture.png: ")
    assert str(path.parent) not in line
    assert "\n" not in line


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(kind=st.sampled_from(["PNG", "JPEG", "WEBP", "GIF", "BMP"]), data=st.data())
def test_damage_is_refused_or_read(written, kind: str, data) -> None:
    """A file changed or cut at any place raises DataError or gives a crop, never anything else."""
    content = bytearray(encoded(Image.fromarray(NOISE), kind))
    for _ in range(data.draw(st.integers(1, 5))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = written(bytes(content[: data.draw(st.integers(1, len(content)))]))

    try:
        crop = read(path).crop
    except DataError:
        return
    assert crop.shape == (32, 32, 3)


def test_limit_of_pixels(written, monkeypatch: pytest.MonkeyPatch) -> None:
    """One pixel above the limit is refused, the limit itself is read."""
    path = written(encoded(Image.fromarray(NOISE), "PNG"))
    monkeypatch.setattr(limits, "MAX_PIXELS", 3500)
    assert read(path).crop.shape == (32, 32, 3)

    monkeypatch.setattr(limits, "MAX_PIXELS", 3499)
    with pytest.raises(DataError, match="at most"):
        read(path)


def test_crop_is_kept_for_its_protocol(written) -> None:
    """A file is decoded once; another checkpoint's size is not served from the first one's crop."""
    path = str(written(encoded(Image.fromarray(NOISE), "PNG")))
    first = read_picture(path, PROTOCOL)

    assert read_picture(path, PROTOCOL) is first
    assert read_picture(path, Protocol(resize=44, crop=40)).crop.shape == (40, 40, 3)
    assert read_picture.cache_info().maxsize == limits.MAX_CROPS


def test_drawings_hold_the_drawn_pixels() -> None:
    """A bundled file holds what `mini.example` draws, and is known again."""
    drawn = drawings()

    assert np.array_equal(np.asarray(Image.open(drawn["fox"])), np.asarray(example(*NAMED["fox"])))
    assert read(drawn["fox"]).drawn == NAMED["fox"]
    assert list(drawn) == list(NAMED)


def test_foreign_file_with_a_drawings_name_is_not_one(written) -> None:
    """A visitor's own fox.png isn't taken for the drawing."""
    drawings()
    path = written(encoded(Image.fromarray(NOISE), "PNG"), "fox.png")

    assert read(path).drawn is None
