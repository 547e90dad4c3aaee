"""Evaluation pixels equal the reference's, bit for bit."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from mixzoo.eval.pixels import centre_crop, load_crop
from mixzoo.eval.protocol import normalise, override
from mixzoo.zoo.errors import DataError, UsageError
from mixzoo.zoo.manifest import Protocol
from PIL import Image
from torchvision import transforms
from torchvision.transforms import functional

PROTOCOL = Protocol(resize=256, crop=224)
RECORDED = json.loads((Path(__file__).parents[1] / "golden/eval_pipeline.json").read_text())[
    "images"
]


@pytest.mark.parametrize("name", RECORDED)
def test_recorded_pixels(name: str, shared: Path) -> None:
    """uint8 crop and float tensor have the recorded hashes, also for CMYK, RGBA and grey images."""
    recorded = RECORDED[name]

    crop = load_crop(shared / "golden/images" / name, PROTOCOL)
    tensor = normalise(torch.from_numpy(crop.copy())[None], PROTOCOL)[0]

    assert hashlib.sha256(crop.tobytes()).hexdigest() == recorded["crop_uint8_sha256"]
    assert hashlib.sha256(tensor.numpy().tobytes()).hexdigest() == recorded["tensor_float32_sha256"]


@pytest.mark.parametrize("crop", ["n02279972_monarch", "n01748264_Indian_cobra", "made_cmyk"])
def test_recorded_crops(crop: str, shared: Path) -> None:
    """The crops that the reference wrote as PNG come out again, pixel by pixel."""
    source = next(p for p in (shared / "golden/images").iterdir() if p.stem == crop)
    expected = np.asarray(Image.open(shared / "golden/images/crops" / f"{crop}.png"))

    assert np.array_equal(load_crop(source, PROTOCOL), expected)


@pytest.mark.parametrize(
    "size", [(300, 200), (200, 300), (256, 301), (64, 64), (501, 1001), (1, 2)]
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


@pytest.mark.parametrize("content", [b"", b"not an image", b"\xff\xd8\xff\xe0" + b"\0" * 99])
def test_undecodable_file_is_named(tmp_path: Path, content: bytes) -> None:
    """A file that is no image is an error with its path, never a black picture."""
    (tmp_path / "broken.jpg").write_bytes(content)

    with pytest.raises(DataError, match=r"broken\.jpg: expected an image"):
        load_crop(tmp_path / "broken.jpg", PROTOCOL)


def test_truncated_photograph_is_named(tmp_path: Path) -> None:
    """A JPEG cut short is an error, not a picture with a grey half."""
    path = tmp_path / "cut.jpg"
    Image.effect_noise((300, 300), 90).convert("RGB").save(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])

    with pytest.raises(DataError, match=r"cut\.jpg"):
        load_crop(path, PROTOCOL)


@pytest.mark.parametrize(
    ("change", "message"),
    [({"crop": 300}, "--crop"), ({"interpolation": "cubic"}, "--interpolation")],
)
def test_impossible_override_is_refused(change: dict[str, object], message: str) -> None:
    """A crop larger than the image and an unknown interpolation are named."""
    with pytest.raises(UsageError, match=message):
        override(PROTOCOL, **{"resize": None, "crop": None, "interpolation": None} | change)  # type: ignore[arg-type]
