"""Every kind of file gives the reference's pixels, bit for bit, or Pillow's refusal."""

import hashlib
import io
import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import mixzoo
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mixzoo.eval import pixels
from mixzoo.eval.crops import CropCache
from mixzoo.eval.pixels import centre_crop, decode, decode_crop, jpeg_decoder
from mixzoo.eval.protocol import normalise
from mixzoo.eval.resample import resize_crop
from mixzoo.zoo.catalog import open_catalog
from mixzoo.zoo.data import LabelledImages
from mixzoo.zoo.errors import DataError
from mixzoo.zoo.manifest import Protocol
from PIL import Image, ImageCms
from torchvision import transforms
from torchvision.transforms import functional

INAT = Protocol(resize=256, crop=224)
PROTOCOL = Protocol(resize=64, crop=56)
RECORDED = json.loads((Path(__file__).parents[1] / "golden/eval_pipeline.json").read_text())[
    "images"
]


@pytest.mark.parametrize("name", RECORDED)
def test_recorded_pixels(name: str, shared: Path) -> None:
    """uint8 crop and float tensor have the recorded hashes, also for CMYK, RGBA and grey images."""
    recorded = RECORDED[name]

    crop = decode_crop((shared / "golden/images" / name).read_bytes(), INAT, name)
    tensor = normalise(torch.from_numpy(crop.copy())[None], INAT)[0]

    assert hashlib.sha256(crop.tobytes()).hexdigest() == recorded["crop_uint8_sha256"]
    assert hashlib.sha256(tensor.numpy().tobytes()).hexdigest() == recorded["tensor_float32_sha256"]


@pytest.mark.parametrize("crop", ["n02279972_monarch", "n01748264_Indian_cobra", "made_cmyk"])
def test_recorded_crops(crop: str, shared: Path) -> None:
    """The crops that the reference wrote as PNG come out again, pixel by pixel."""
    source = next(p for p in (shared / "golden/images").iterdir() if p.stem == crop)
    expected = np.asarray(Image.open(shared / "golden/images/crops" / f"{crop}.png"))

    assert np.array_equal(decode_crop(source.read_bytes(), INAT, crop), expected)


@pytest.mark.parametrize(
    "size", [(300, 200), (200, 300), (256, 301), (64, 64), (501, 1001), (800, 533), (1, 2)]
)
@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear", "nearest"])
def test_pixels_equal_torchvision(size: tuple[int, int], interpolation: str) -> None:
    """Sizes and offsets round as torchvision's PIL transforms do, for odd shapes too."""
    rng = np.random.default_rng(0)
    image = Image.fromarray(rng.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8))
    protocol = Protocol(resize=73, crop=64, interpolation=interpolation)
    reference = transforms.Compose(
        [
            transforms.Resize(73, functional.InterpolationMode(interpolation)),
            transforms.CenterCrop(64),
            transforms.ToTensor(),
            transforms.Normalize(protocol.mean, protocol.std),
        ]
    )

    crop = torch.from_numpy(centre_crop(np.asarray(image), protocol).copy())

    assert torch.equal(normalise(crop[None], protocol)[0], reference(image))


def picture(width: int = 90, height: int = 70, mode: str = "RGB") -> Image.Image:
    """Smooth colours with noise, so that chroma and high frequencies count."""
    rng = np.random.default_rng(width * 1000 + height)
    small = Image.fromarray(rng.integers(0, 256, (9, 9, 3), dtype=np.uint8))
    smooth = np.asarray(small.resize((width, height), Image.Resampling.BICUBIC), np.int16)
    noisy = np.clip(smooth + rng.integers(-20, 21, smooth.shape), 0, 255).astype(np.uint8)
    return Image.fromarray(noisy).convert(mode)


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def by_pillow(content: bytes) -> np.ndarray:
    """The reference's decoding."""
    with Image.open(io.BytesIO(content)) as image:
        return np.asarray(image.convert("RGB"))


def with_adobe(content: bytes, transform: int) -> bytes:
    """The JPEG with an Adobe marker in place of JFIF's."""
    length = int.from_bytes(content[4:6])
    marker = b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00" + bytes([transform])
    return content[:2] + marker + content[4 + length :]


def turned(orientation: int, before: bytes = b"") -> bytes:
    """A camera's photograph that was held so. before: segments that stand before EXIF's."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = saved(picture(), "JPEG", exif=exif)
    return content[:2] + before + content[2:]


def as_byte(orientation: int) -> bytes:
    """The same where the tag's type is wrong, as in some phones' files: Pillow overlooks it."""
    content = turned(orientation)
    return content.replace(b"\x01\x12\x00\x03", b"\x01\x12\x00\x63", 1)


def sampled(factors: int, subsampling: str) -> bytes:
    """A JPEG whose brightness has other sampling factors, with as many blocks, so a valid one."""
    content = bytearray(saved(picture(64, 32), "JPEG", subsampling=subsampling))
    start = content.index(b"\xff\xc0")  # length 2, precision 1, sides 4, components 1, then id
    content[start + 11] = factors
    return bytes(content)


def ycck() -> bytes:
    """Four channels, of which Adobe's marker says that three are YCC."""
    content = bytearray(saved(picture(mode="CMYK"), "JPEG"))
    content[content.index(b"Adobe") + 11] = 2
    return bytes(content)


def profiled() -> bytes:
    """With a colour profile, which the reference ignores."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return saved(picture(), "JPEG", icc_profile=profile)


def deep() -> bytes:
    values = np.random.default_rng(0).integers(0, 2**16, (40, 50), dtype=np.uint16)
    return saved(Image.fromarray(values), "PNG")


FILES: dict[str, Callable[[], bytes]] = {
    "jpeg": lambda: saved(picture(), "JPEG"),
    "odd sizes": lambda: saved(picture(91, 67), "JPEG", quality=95),
    "4:4:4": lambda: saved(picture(), "JPEG", subsampling="4:4:4"),
    "4:2:2": lambda: saved(picture(), "JPEG", subsampling="4:2:2"),
    "progressive": lambda: saved(picture(), "JPEG", progressive=True),
    "4:1:1": lambda: sampled(0x41, "4:2:0"),
    "4:4:0": lambda: sampled(0x12, "4:2:2"),
    "restart markers": lambda: saved(picture(), "JPEG", restart_marker_blocks=2),
    "grey": lambda: saved(picture(mode="L"), "JPEG"),
    "grey, progressive": lambda: saved(picture(mode="L"), "JPEG", progressive=True),
    "ycck": ycck,
    "colour profile": profiled,
    "cmyk": lambda: saved(picture(mode="CMYK"), "JPEG"),
    "adobe rgb": lambda: with_adobe(saved(picture(), "JPEG", subsampling="4:4:4"), 0),
    "adobe ycc": lambda: with_adobe(saved(picture(), "JPEG"), 1),
    "stored rgb": lambda: saved(picture(), "JPEG", keep_rgb=True),
    **{f"exif {number}": partial(turned, number) for number in range(9)},
    "exif of an unknown type": lambda: as_byte(6),
    "exif after XMP": lambda: turned(6, b"\xff\xe1\x00\x10http://ns.xmp\0"),
    "exif twice": lambda: turned(1, turned(6)[2:][: 2 + int.from_bytes(turned(6)[4:6])]),
    "mpo": lambda: saved(picture(), "MPO", save_all=True, append_images=[picture(90, 71)]),
    "trailing bytes": lambda: saved(picture(), "JPEG") + b"and more",
    "cut, with an end marker": lambda: saved(picture(300, 200), "JPEG")[:9000] + b"\xff\xd9",
    "one pixel": lambda: saved(picture(1, 1), "JPEG"),
    "thin": lambda: saved(picture(3, 700), "JPEG"),
    "flat": lambda: saved(picture(700, 2), "JPEG"),
    "png": lambda: saved(picture(), "PNG"),
    "png alpha": lambda: saved(picture(mode="RGBA"), "PNG"),
    "png 16 bit": deep,
    "png palette": lambda: saved(picture(mode="P"), "PNG"),
    "png palette alpha": lambda: saved(picture(mode="P"), "PNG", transparency=b"\0\x80"),
    "gif": lambda: saved(picture(), "GIF"),
    "bmp": lambda: saved(picture(), "BMP"),
    "webp": lambda: saved(picture(), "WEBP"),
}


@pytest.fixture(params=["torchvision", "torchcodec", None], ids=str)
def decoder(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str | None:
    """Each decoder alone, of pictures of any size, where it is installed; Pillow without any."""
    if request.param:
        pytest.importorskip(pixels.DECODERS[request.param])
    monkeypatch.setattr(pixels, "jpeg_decoder", lambda: request.param)
    monkeypatch.setattr(pixels, "LARGE", 0)
    return request.param


@pytest.mark.parametrize("kind", FILES)
@pytest.mark.filterwarnings("ignore:Palette images:UserWarning")
def test_pixels_are_those_of_pillow(kind: str, decoder: str | None) -> None:
    """Whichever decoder takes the file, no pixel differs."""
    content = FILES[kind]()

    assert np.array_equal(decode(content, kind), by_pillow(content))


def test_photographs_are_those_of_pillow(shared: Path, decoder: str | None) -> None:
    """All reference photographs, and 200 of the larger set's tiny ones, come out identical."""
    contents = [
        path.read_bytes() for path in (shared / "golden/images").iterdir() if path.is_file()
    ]
    with tarfile.open(shared / "data/cifar-inat2018/train_val2018.tar.gz") as archive:
        members = (member for member in archive if member.name.endswith(".jpg"))
        for member, _ in zip(members, range(200), strict=False):
            file = archive.extractfile(member)
            assert file is not None
            contents.append(file.read())

    differing = [not np.array_equal(decode(c, "photo"), by_pillow(c)) for c in contents]

    assert len(contents) > 200
    assert sum(differing) == 0


@pytest.fixture
def tried_anew() -> Iterator[None]:
    """What was found of this machine's decoders is forgotten, before and after."""
    jpeg_decoder.cache_clear()
    yield
    jpeg_decoder.cache_clear()


@pytest.mark.usefixtures("tried_anew")
def test_pillow_decodes_alone_where_there_is_no_other(
    monkeypatch: pytest.MonkeyPatch, pictures: LabelledImages, tmp_path: Path
) -> None:
    """torchvision says that a later one has no decoder; TorchCodec is nobody's requirement."""
    content = saved(picture(30, 20), "JPEG")
    for name in ("torchvision", "torchvision.io", "torchcodec", "torchcodec.decoders"):
        monkeypatch.setitem(sys.modules, name, None)

    CropCache.open(tmp_path, pictures, PROTOCOL)

    assert jpeg_decoder() is None
    assert np.array_equal(decode(content, "a.jpg"), by_pillow(content))


@pytest.mark.usefixtures("tried_anew")
def test_torchcodec_is_next(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is used where torchvision's decoder is gone."""
    pytest.importorskip("torchcodec.decoders")
    monkeypatch.setitem(sys.modules, "torchvision.io", None)

    assert jpeg_decoder() == "torchcodec"


@pytest.mark.usefixtures("tried_anew")
@pytest.mark.parametrize("wrong", [1, 0])
def test_a_decoder_that_rounds_otherwise_is_not_used(
    wrong: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By 1 in a single pixel; with none wrong the same decoder is taken."""

    def decode_jpeg(data: torch.Tensor, mode: str) -> torch.Tensor:
        found = by_pillow(data.numpy().tobytes()).copy()
        found[-1, -1, -1] ^= wrong
        return torch.from_numpy(found).permute(2, 0, 1)

    monkeypatch.setitem(sys.modules, "another", SimpleNamespace(decode_jpeg=decode_jpeg))
    monkeypatch.setattr(pixels, "DECODERS", {"another": "another"})

    assert jpeg_decoder() == (None if wrong else "another")


def test_only_large_pictures_wait_for_a_decoder(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is imported for small ones."""
    asked: list[str] = []
    monkeypatch.setattr(pixels, "jpeg_decoder", lambda: asked.append("asked"))

    decode(saved(picture(200, 150), "JPEG"), "small.jpg")
    assert asked == []
    decode(saved(picture(800, 600), "JPEG"), "large.jpg")
    assert asked == ["asked"]


def test_a_decoder_agrees_here() -> None:
    """The fast decoder is in use where the versions of constraints.txt are installed."""
    assert jpeg_decoder() == "torchvision"


@pytest.mark.parametrize("kept", [0, 1, 2, 20, 300, 0.5, 0.99, -2])
@pytest.mark.parametrize("progressive", [False, True])
def test_truncated_jpeg_is_an_error(kept: float, progressive: bool, decoder: str | None) -> None:
    """A JPEG cut anywhere is refused with its name; grey lines are never made up."""
    whole = saved(picture(300, 200), "JPEG", progressive=progressive)
    content = whole[: int(kept * len(whole)) if isinstance(kept, float) else kept]

    with pytest.raises(DataError, match=r"a/b\.jpg: expected an image") as caught:
        decode(content, "a/b.jpg")

    assert "\n" not in str(caught.value)
    assert "0x" not in str(caught.value)


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::Warning")
@pytest.mark.parametrize("kind", ["jpeg", "png", "gif", "webp", "bmp"])
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_damaged_bytes_give_pillows_pixels_or_one_line(kind: str, data: st.DataObject) -> None:
    """A file with some wrong bytes either decodes as in Pillow or is a DataError."""
    content = bytearray(FILES[kind]())
    for at in data.draw(st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=4)):
        content[at] = data.draw(st.integers(0, 255))

    try:
        expected = by_pillow(bytes(content))
    except Exception:
        with pytest.raises(DataError, match=r"^[^\n]*$"):
            decode(bytes(content), "damaged")
    else:
        assert np.array_equal(decode(bytes(content), "damaged"), expected)


@pytest.mark.parametrize(
    "content", [b"", b"<html>not found</html>", b"\xff\xd8\xff\xe0" + b"\0" * 99]
)
def test_undecodable_file_is_named(content: bytes) -> None:
    """A file that is no image is an error with its name, never a black picture."""
    with pytest.raises(DataError, match=r"x/y\.jpg: expected an image"):
        decode_crop(content, PROTOCOL, "x/y.jpg")


def test_very_large_pictures_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Above Pillow's limit of pixels it warns and the reference goes on; above twice it refuses."""
    content = saved(picture(300, 200), "JPEG")

    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 31_000)
    assert decode(content, "large.jpg").shape == (200, 300, 3)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 29_999)
    with pytest.raises(DataError, match="DecompressionBombError"):
        decode(content, "bomb.jpg")


def by_pillow_passes(rgb: np.ndarray, size: tuple[int, int], kind: str) -> Image.Image:
    """Resized along rows, then along columns: the order of the reference's Pillow."""
    resampling = Image.Resampling[kind.upper()]
    image = Image.fromarray(rgb)
    return image.resize((size[0], image.height), resampling).resize(size, resampling)


@settings(max_examples=150, deadline=None)
@given(
    width=st.integers(1, 400),
    height=st.integers(1, 400),
    target=st.tuples(st.integers(1, 130), st.integers(1, 130)),
    kind=st.sampled_from(["bicubic", "bilinear"]),
    data=st.data(),
)
def test_resampling_is_pillows_to_the_bit(
    width: int, height: int, target: tuple[int, int], kind: str, data: st.DataObject
) -> None:
    """Any size to any other, any square of it, shrunk or enlarged, odd or even."""
    crop = data.draw(st.integers(1, min(target)))
    left = data.draw(st.integers(0, target[0] - crop))
    top = data.draw(st.integers(0, target[1] - crop))
    rng = np.random.default_rng(width * 401 + height)
    extremes = rng.choice(np.array([0, 1, 128, 254, 255], np.uint8), (height, width, 3))

    square = resize_crop(extremes, target, (left, top), crop, kind)

    whole = np.asarray(by_pillow_passes(extremes, target, kind))
    assert np.array_equal(square, whole[top : top + crop, left : left + crop])


@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear"])
@pytest.mark.parametrize("target", [(90, 70), (90, 41), (41, 70)])
def test_a_side_that_keeps_its_length_is_not_resampled(
    target: tuple[int, int], interpolation: str
) -> None:
    """Pillow leaves out a pass that would change nothing."""
    rgb = np.asarray(picture(90, 70))

    square = resize_crop(rgb, target, (3, 2), 37, interpolation)

    whole = np.asarray(by_pillow_passes(rgb, target, interpolation))
    assert np.array_equal(square, whole[2:39, 3:40])


def test_compiled_code_needs_no_place_to_be_kept() -> None:
    """Where no folder can be written, the passes are compiled anew in each process."""
    script = (
        "import numpy as np\n"
        "from mixzoo.eval.resample import resize_crop\n"
        "print(resize_crop(np.full((9, 9, 3), 7, np.uint8), (5, 5), (1, 1), 3, 'bicubic').max())"
    )

    nowhere = os.environ | {"NUMBA_CACHE_LOCATOR_CLASSES": "IPythonCacheLocator"}
    run = subprocess.run(
        [sys.executable, "-c", script], env=nowhere, check=True, capture_output=True, text=True
    )

    assert run.stdout == "7\n"


def test_a_view_is_resampled_like_its_copy() -> None:
    """Mirrored, cut, read-only: how pixels lie in memory doesn't matter."""
    rgb = np.asarray(picture(90, 70))
    view = rgb[5:65, ::-1][:, 4:80]
    view.flags.writeable = False

    square = resize_crop(view, (50, 40), (5, 3), 32, "bicubic")

    assert np.array_equal(square, resize_crop(view.copy(), (50, 40), (5, 3), 32, "bicubic"))


@pytest.mark.parametrize(
    ("size", "protocol", "target"),
    [
        ((2400, 1500), Protocol(resize=40, crop=32), (64, 40)),  # a pixel sums some 150 in a row
        ((320, 685), Protocol(resize=256, crop=224), (256, 548)),  # rows first, as recorded
    ],
)
def test_passes_are_those_of_the_recorded_pillow(
    size: tuple[int, int], protocol: Protocol, target: tuple[int, int]
) -> None:
    """Whatever order the installed Pillow takes for tall pictures, and however far it shrinks."""
    rgb = np.asarray(picture(*size))

    crop = centre_crop(rgb, protocol)

    left, top = ((side - protocol.crop) // 2 for side in target)
    box = (left, top, left + protocol.crop, top + protocol.crop)
    assert np.array_equal(crop, np.asarray(by_pillow_passes(rgb, target, "bicubic").crop(box)))


def test_transform_gives_the_evaluators_input(tmp_path: Path) -> None:
    """Of a path and of a PIL image: the crop that is evaluated, normalised."""
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 256, (300, 400, 3), np.uint8)).save(tmp_path / "a.png")
    protocol = open_catalog().benchmark("inat2018").manifest.protocol
    crop = decode_crop((tmp_path / "a.png").read_bytes(), protocol, "a.png")
    expected = normalise(torch.from_numpy(np.ascontiguousarray(crop))[None], protocol)[0]

    to_input = mixzoo.transform("resnet50.automix_inat2018")

    assert torch.equal(to_input(tmp_path / "a.png"), expected)
    assert torch.equal(to_input(Image.open(tmp_path / "a.png")), expected)
    assert mixzoo.transform("inat2018").protocol == protocol


@pytest.mark.parametrize(
    ("picture", "message"),
    [
        (
            np.zeros((8, 9, 3), np.uint8),
            r"got a numpy.ndarray of shape \(8, 9, 3\), uint8; give one",
        ),
        (torch.zeros(3, 8, 9), r"got a torch.Tensor of shape \(3, 8, 9\), torch.float32; give one"),
        (None, "expected a path or a PIL image, got None"),
        (["a.jpg"], "got a list"),
        ("nowhere/a.jpg", "^nowhere/a.jpg: No such file or directory"),
        ("a\nb", "^a b: No such file or directory"),
        (".", "^.: Is a directory"),
        ("bad.png", "expected an image, got bytes of no known image format"),
        (Path("cut.png"), "expected an image"),
    ],
)
def test_transform_says_what_is_no_picture(
    picture: Any, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line of an error of ours, whatever it is; of an opened file that ends early too."""
    monkeypatch.chdir(tmp_path)
    Path("bad.png").write_bytes(b"no")
    picture_file = io.BytesIO()
    Image.effect_noise((99, 99), 50).save(picture_file, "PNG")
    Path("cut.png").write_bytes(picture_file.getvalue()[:2000])
    to_input = mixzoo.transform("inat2018")

    with pytest.raises(mixzoo.MixzooError, match=message) as refused:
        to_input(picture)

    assert "\n" not in str(refused.value)
    with (
        Image.open("cut.png") as cut,
        pytest.raises(DataError, match=r"an opened image: .*truncat"),
    ):
        to_input(cut)


@pytest.mark.parametrize("of", [None, 3, torch.nn.Linear(1, 1)])
def test_transform_is_of_a_row_or_model(of: Any) -> None:
    """And says what it got instead."""
    with pytest.raises(mixzoo.UsageError, match=r"a model of mixzoo\.load, got"):
        mixzoo.transform(of)
