"""How fast a JPEG becomes a uint8 crop, beside the pipeline of the reference.

Side by side in one process on one thread, each photograph by both in turn:
  reference  PIL.Image.open, convert("RGB"), torchvision's Resize(256, bicubic), CenterCrop(224),
             pil_to_tensor
  mixzoo     mixzoo.eval.pixels.decode_crop, copied into a batch as the loader does
and how many crops differ. Crops are compared with Pillow's
passes along rows first (Pillow 13 swaps them for tall pictures). Photographs whose longer side has
500 to 800 pixels, as iNaturalist's.
Target: 1.35 times the reference.

    python benchmarks/pixels.py [--images FOLDER] [--repeats 30] [--out
    benchmarks/results/pixels.json]
"""

import argparse
import io
import json
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from machine import machine
from mixzoo.eval.pixels import decode, decode_crop, jpeg_decoder
from mixzoo.eval.protocol import placement
from mixzoo.zoo.manifest import Protocol
from PIL import Image
from torchvision import transforms
from torchvision.transforms import functional

PROTOCOL = Protocol(resize=256, crop=224)
TARGET = 1.35
SHARED = Path(os.environ.get("MIXZOO_SHARED", Path(__file__).parents[2] / "shared"))
SHAPE = transforms.Compose(
    [
        transforms.Resize(PROTOCOL.resize, functional.InterpolationMode.BICUBIC),
        transforms.CenterCrop(PROTOCOL.crop),
    ]
)
BATCH = np.empty((1, PROTOCOL.crop, PROTOCOL.crop, 3), np.uint8)


def decode_with_pillow(content: bytes) -> Image.Image:
    """All pixels, as the reference decodes them."""
    with Image.open(io.BytesIO(content)) as image:
        return image.convert("RGB")


def reference(content: bytes) -> torch.Tensor:
    """(3, 224, 224) uint8."""
    return functional.pil_to_tensor(SHAPE(decode_with_pillow(content)))


def rows_first(content: bytes) -> np.ndarray:
    """(224, 224, 3) uint8: the reference's pixels whatever order of passes this Pillow takes."""
    image = decode_with_pillow(content)
    size, (left, top) = placement(*image.size, PROTOCOL)
    for target in ((size[0], image.height), size):
        image = image.resize(target, Image.Resampling.BICUBIC)
    return np.asarray(image.crop((left, top, left + PROTOCOL.crop, top + PROTOCOL.crop)))


def ours(content: bytes) -> np.ndarray:
    """(224, 224, 3) uint8."""
    BATCH[0] = decode_crop(content, PROTOCOL, "photograph")
    return BATCH[0]


def photographs(folder: Path) -> list[bytes]:
    """JPEGs below the folder whose longer side has 500 to 800 pixels."""
    found = []
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in (".jpg", ".jpeg"):
            with Image.open(path) as image:
                if 500 <= max(image.size) <= 800:
                    found.append(path.read_bytes())
    if not found:
        raise SystemExit(
            f"{folder}: no JPEG with a longer side of 500 to 800 pixels. Try --images."
        )
    return found


def time_in_turn(
    steps: dict[str, Callable[[bytes], object]], contents: list[bytes], repeats: int
) -> dict[str, float]:
    """Milliseconds per photograph: the mean over photographs of each one's median."""
    durations = {name: [[] for _ in contents] for name in steps}
    for _ in range(repeats + 1):
        for number, content in enumerate(contents):
            for name, step in steps.items():
                start = time.perf_counter()
                step(content)
                durations[name][number].append(1000 * (time.perf_counter() - start))
    return {
        name: statistics.mean(statistics.median(photo[1:]) for photo in photos)
        for name, photos in durations.items()
    }


def main() -> None:
    """Compare, time, print, write the JSON."""
    parser = argparse.ArgumentParser(description="Pixels beside the PIL/torchvision pipeline.")
    parser.add_argument("--images", type=Path, default=SHARED / "golden/images")
    parser.add_argument("--repeats", type=int, default=30)
    default = Path(__file__).parent / "results/pixels.json"
    parser.add_argument("--out", type=Path, default=default)
    arguments = parser.parse_args()

    torch.set_num_threads(1)
    contents = photographs(arguments.images)
    differing = sum(not np.array_equal(rows_first(content), ours(content)) for content in contents)
    steps: dict[str, Callable[[bytes], object]] = {
        "reference": reference,
        "mixzoo": ours,
        "reference_decode": decode_with_pillow,
        "mixzoo_decode": lambda content: decode(content, "photograph"),
    }
    times = time_in_turn(steps, contents, arguments.repeats)
    speedup = times["reference"] / times["mixzoo"]
    for name, ms in times.items():
        print(f"{name:18} {ms:7.2f} ms")
    print(f"{speedup:.2f} times the reference, {differing} of {len(contents)} crops differ")
    result = {
        "photographs": len(contents),
        "repeats": arguments.repeats,
        "ms_per_photograph": {name: round(ms, 3) for name, ms in times.items()},
        "images_per_second": {
            name: round(1000 / times[name], 1) for name in ("reference", "mixzoo")
        },
        "speedup": round(speedup, 3),
        "target_speedup": TARGET,
        "crops_that_differ": differing,
        "jpeg_decoder": jpeg_decoder(),
        "machine": machine("mixzoo", "torch", "torchvision", "pillow", "numpy"),
    }
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
