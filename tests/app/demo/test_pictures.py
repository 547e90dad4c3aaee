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
from mixzoo.app.demo.pictures import NAMED, drawings, keep_pictures, read_picture
from mixzoo.app.demo.settings import Settings
from mixzoo.eval.pixels import centre_crop, decode_crop
from mixzoo.zoo.errors import DataError
from mixzoo.zoo.manifest import Protocol
from mixzoo.zoo.mini import example
from PIL import Image

PROTOCOL = Protocol(resize=36, crop=32)
SETTINGS = Settings()
NOISE = np.random.default_rng(0).integers(0, 256, (50, 70, 3), dtype=np.uint8)


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


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

    assert np.array_equal(
        read_picture(path, PROTOCOL, SETTINGS).crop, decode_crop(path.read_bytes(), PROTOCOL, "a")
    )


@pytest.mark.parametrize("mode", ["CMYK", "L", "P", "LA", "RGBA", "1"])
def test_other_colours_become_rgb(written, mode: str) -> None:
    """Grey, palettes, transparency and print colours are converted as the evaluator does."""
    image = Image.fromarray(NOISE).convert("L" if mode == "LA" else "RGB").convert(mode)
    path = written(encoded(image, "JPEG" if mode == "CMYK" else "PNG"))

    assert np.array_equal(
        read_picture(path, PROTOCOL, SETTINGS).crop, decode_crop(path.read_bytes(), PROTOCOL, "a")
    )


def test_picture_is_upright(written) -> None:
    """A photograph that its EXIF data turns is read as a person sees it."""
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned a quarter, clockwise
    path = written(encoded(Image.fromarray(NOISE), "PNG", exif=exif))

    turned = np.ascontiguousarray(np.rot90(NOISE, -1))
    assert np.array_equal(
        read_picture(path, PROTOCOL, SETTINGS).crop, centre_crop(turned, PROTOCOL)
    )


def test_animation_shows_its_first_frame(written) -> None:
    """Of a moving picture the first frame is taken."""
    frames = [Image.fromarray(NOISE).quantize(), Image.new("P", (70, 50))]
    path = written(encoded(frames[0], "GIF", save_all=True, append_images=frames[1:]))

    first = np.asarray(Image.open(io.BytesIO(path.read_bytes())).convert("RGB"))
    assert np.array_equal(read_picture(path, PROTOCOL, SETTINGS).crop, centre_crop(first, PROTOCOL))


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
        read_picture(path, PROTOCOL, SETTINGS)
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
        crop = read_picture(path, PROTOCOL, SETTINGS).crop
    except DataError:
        return
    assert crop.shape == (32, 32, 3)


def test_limit_of_pixels_is_the_owners(written) -> None:
    """One pixel above the limit is refused, the limit itself is read."""
    path = written(encoded(Image.fromarray(NOISE), "PNG"))

    assert read_picture(path, PROTOCOL, Settings(max_pixels=3500)).crop.shape == (32, 32, 3)
    with pytest.raises(DataError, match="at most"):
        read_picture(path, PROTOCOL, Settings(max_pixels=3499))


def test_crops_are_kept_within_a_bound(written) -> None:
    """A file is decoded once while its crop is kept, and the oldest crop goes first."""
    paths = [str(written(encoded(Image.fromarray(NOISE), "PNG"), f"{n}.png")) for n in range(3)]
    read = keep_pictures(Settings(max_crops=2))
    first = read(paths[0], PROTOCOL)

    assert read(paths[0], PROTOCOL) is first
    for path in paths[1:]:
        read(path, PROTOCOL)
    assert read(paths[0], PROTOCOL) is not first
    assert read(paths[2], PROTOCOL) is read(paths[2], PROTOCOL)


def test_crop_depends_on_the_protocol(written) -> None:
    """Another checkpoint's size is not served from the first one's crop."""
    path = str(written(encoded(Image.fromarray(NOISE), "PNG")))
    read = keep_pictures(SETTINGS)

    assert read(path, PROTOCOL).crop.shape == (32, 32, 3)
    assert read(path, Protocol(resize=44, crop=40)).crop.shape == (40, 40, 3)


def test_drawings_hold_the_drawn_pixels() -> None:
    """A bundled file holds what `mini.example` draws, and is known again."""
    drawn = drawings()

    assert np.array_equal(np.asarray(Image.open(drawn["fox"])), np.asarray(example(21, 0)))
    assert read_picture(drawn["fox"], PROTOCOL, SETTINGS).drawn == (21, 0)
    assert list(drawn) == list(NAMED)


def test_foreign_file_with_a_drawings_name_is_not_one(written) -> None:
    """A visitor's own fox.png isn't taken for the drawing."""
    drawings()
    path = written(encoded(Image.fromarray(NOISE), "PNG"), "fox.png")

    assert read_picture(path, PROTOCOL, SETTINGS).drawn is None
