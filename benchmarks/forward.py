"""How fast ResNet-50 predicts, beside what the machine's own matrix product allows.

Random weights, 8142 classes, 224x224. Without decoding: the plain model (NCHW, fp32), the same in
channels-last, fast arithmetic (`auto`), and guarded, each in turn, round by round. `of_product` is
the multiplications that a forward needs, done per second, over those of a large matrix product
in the same number format. From files: decoding, forward and ranking of photographs.

timm (its ResNet-50, transforms and loader, in the loop of its validate.py) is measured in the same
rounds on the same files if an environment of its own has it:

    python -m venv timm && timm/bin/pip install timm
    python benchmarks/forward.py --timm-python timm/bin/python

The photographs are those of the golden recordings: MIXZOO_SHARED, or ../shared.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from machine import machine
from mixzoo.eval.evaluator import Subject, Work, evaluate_all
from mixzoo.eval.loader import default_workers, load_crops
from mixzoo.eval.precision import (
    DTYPES,
    Arithmetic,
    choose,
    exact_fp32,
    exact_networks,
    fast_networks,
)
from mixzoo.eval.predictor import Predictor
from mixzoo.eval.protocol import normalise
from mixzoo.zoo.architectures import Classifier, ResNetConfig
from mixzoo.zoo.data import LabelledImages, find_images
from mixzoo.zoo.manifest import Protocol
from torch.utils.flop_counter import FlopCounterMode

SHARED = Path(os.environ.get("MIXZOO_SHARED", Path(__file__).parents[2] / "shared"))
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
PROTOCOL = Protocol(resize=256, crop=224)
CLASSES = 8142
SIDE = 8192 if DEVICE.type == "cuda" else 2048  # of the matrices

TIMM = """
import sys, time
import timm, torch
from timm.data import create_dataset, create_loader
from timm.utils import accuracy
folder, classes, batch, workers, device = sys.argv[1], *map(int, sys.argv[2:5]), sys.argv[5]
model = timm.create_model("resnet50", num_classes=classes).to(device).eval()
dataset = create_dataset("", root=folder)
loader = create_loader(
    dataset, input_size=(3, 224, 224), batch_size=batch, use_prefetcher=False, num_workers=workers,
    interpolation="bicubic", crop_pct=0.875, device=torch.device(device),
)
with torch.inference_mode():
    model(torch.randn(batch, 3, 224, 224, device=device))
    start = time.perf_counter()
    for pixels, target in loader:
        pixels, target = pixels.to(device), target.to(device)
        first, five = accuracy(model(pixels), target, topk=(1, 5))
        first.item(), five.item()
    print(len(dataset) / (time.perf_counter() - start))
"""


def per_second(run: Callable[[], object], images: int) -> float:
    """Images (or whatever is counted) in a second of one run."""
    _wait()
    start = time.perf_counter()
    run()
    _wait()
    return images / (time.perf_counter() - start)


def _wait() -> None:
    if DEVICE.type == "cuda":
        torch.cuda.synchronize()


def product(arithmetic: Arithmetic) -> Callable[[], object]:
    """A large matrix product in a number format; counts 2 SIDE^3 operations."""
    dtype = DTYPES.get(arithmetic, torch.float32)
    a, b = torch.randn(2, SIDE, SIDE, device=DEVICE).to(dtype)
    if arithmetic == "tf32":
        return lambda: _in_tf32(a, b)
    return lambda: _in_ieee(a, b)


def _in_ieee(a: torch.Tensor, b: torch.Tensor) -> None:
    with exact_fp32(), torch.inference_mode():
        a @ b


def _in_tf32(a: torch.Tensor, b: torch.Tensor) -> None:
    torch.set_float32_matmul_precision("high")
    a @ b
    torch.set_float32_matmul_precision("highest")


def plain(model: Classifier, x: torch.Tensor) -> None:
    """The model as anyone runs it: NCHW, IEEE fp32."""
    with exact_fp32(), torch.inference_mode():
        model(x)


def forwards(
    model: Classifier, arithmetic: Arithmetic, crops: torch.Tensor, batch: int
) -> dict[str, Callable[[], object]]:
    """What to time without decoding, by name; each predicts all crops."""
    unchanged = Classifier(ResNetConfig.from_name("resnet50"), CLASSES).to(DEVICE).eval()
    unchanged.load_state_dict(model.state_dict())
    (exact,), (fast,) = exact_networks(model), fast_networks(model, arithmetic, DEVICE)
    guarded = Predictor(
        model,
        PROTOCOL,
        DEVICE,
        "guarded",
        arithmetic=arithmetic,
        batch_size=batch,
        calibration=len(crops),  # the first round, which isn't counted
    )
    xs = [normalise(part.to(DEVICE), PROTOCOL) for part in crops.split(batch)]
    labels = torch.zeros(len(crops), dtype=torch.int64)

    def each(network: Callable[[torch.Tensor], object]) -> None:
        with torch.inference_mode():
            for x in xs:
                network(x)

    def predict() -> None:
        for at in torch.arange(len(crops)).split(batch):
            guarded.predict(at, crops[at], labels[at])
        guarded.flush()

    return {
        "fp32 plain": lambda: each(lambda x: plain(unchanged, x)),
        "fp32 channels-last": lambda: each(exact),
        "fast": lambda: each(fast),
        "guarded": predict,
    }


def from_files(
    model: Classifier, images: LabelledImages, arithmetic: Arithmetic, batch: int, workers: int
) -> dict[str, Callable[[], object]]:
    """What to time with decoding, by name; each evaluates all files."""
    work = Work(images, PROTOCOL, batch_size=batch, workers=workers)

    def evaluate(precision: str) -> None:
        predictor = Predictor(
            model, PROTOCOL, DEVICE, precision, arithmetic=arithmetic, calibration=batch
        )  # type: ignore[arg-type]
        evaluate_all([Subject(precision, predictor)], work)

    return {
        f"files, {precision}": lambda precision=precision: evaluate(precision)
        for precision in ("fp32", "fast", "guarded")
    }


def lay_out(folder: Path, copies: int) -> LabelledImages:
    """Class folders of photographs, each as often as asked for, as both loaders read them."""
    photos = sorted((SHARED / "golden/images").glob("*.JPEG"))
    for number in range(copies):
        photo = photos[number % len(photos)]
        place = folder / str(number % len(photos))
        place.mkdir(exist_ok=True)
        shutil.copyfile(photo, place / f"{number}.jpg")
    return find_images(folder)


def timm_rate(python: str, folder: Path, batch: int, workers: int) -> float:
    """Images a second of timm's loop on the files of a folder."""
    arguments = [str(folder), str(CLASSES), str(batch), str(workers), DEVICE.type]
    run = subprocess.run(
        [python, "-c", TIMM, *arguments], check=True, stdout=subprocess.PIPE, text=True
    )
    return float(run.stdout.split()[-1])


def operations(model: Classifier) -> int:
    """Floating-point operations of one image's forward; a multiplication and an addition are two."""
    counter = FlopCounterMode(display=False)
    with counter, torch.inference_mode():
        model(torch.zeros(1, 3, PROTOCOL.crop, PROTOCOL.crop, device=DEVICE))
    return counter.get_total_flops()


def main() -> None:
    """Time all in turn, print a table, write the JSON."""
    parser = argparse.ArgumentParser(description="ResNet-50: predictions per second.")
    parser.add_argument("--images", type=int, default=2048 if DEVICE.type == "cuda" else 96)
    parser.add_argument("--batch", type=int, default=256 if DEVICE.type == "cuda" else 32)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--workers", type=int, default=default_workers())
    parser.add_argument("--timm-python", help="python of an environment that has timm")
    default = Path(__file__).parent / "results/forward.json"
    parser.add_argument("--out", type=Path, default=default)
    arguments = parser.parse_args()
    batch, workers = min(arguments.batch, arguments.images), arguments.workers

    torch.manual_seed(0)
    model = Classifier(ResNetConfig.from_name("resnet50"), CLASSES).to(DEVICE).eval()
    arithmetic = choose("auto", DEVICE)
    rates: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        images = lay_out(folder, arguments.images)
        crops = load_crops(images, PROTOCOL, range(len(images)), workers=workers)
        runs = forwards(model, arithmetic, crops, batch)
        runs |= from_files(model, images, arithmetic, batch, workers)
        products = {f"product, {name}": product(name) for name in {"fp32": 0, arithmetic: 0}}
        for number in range(arguments.rounds + 1):
            found = {name: per_second(run, 2 * SIDE**3) for name, run in products.items()}
            found |= {name: per_second(run, len(images)) for name, run in runs.items()}
            if arguments.timm_python:
                found["files, timm"] = timm_rate(arguments.timm_python, folder, batch, workers)
            for name, rate in found.items() if number else ():  # the first round warms up
                rates.setdefault(name, []).append(rate)

    needed = operations(model)
    rows: dict[str, dict[str, float]] = {}
    for name, values in rates.items():
        if name.startswith("product"):
            rows[name] = {"gflop_per_s": round(statistics.median(values) / 1e9, 1)}
            continue
        own = "fp32" if "fp32" in name or "timm" in name else arithmetic
        shares = [needed * v / p for v, p in zip(values, rates[f"product, {own}"], strict=True)]
        times = [v / p for v, p in zip(values, rates["fp32 plain"], strict=True)]
        rows[name] = {
            "images_per_s": round(statistics.median(values), 2),
            "slowest": round(min(values), 2),
            "fastest": round(max(values), 2),
            "of_product": round(statistics.median(shares), 3),
            "times_plain": round(statistics.median(times), 2),
        }
        if "files" in name and arguments.timm_python:
            beside = [v / p for v, p in zip(values, rates["files, timm"], strict=True)]
            rows[name]["times_timm"] = round(statistics.median(beside), 2)
    for name, row in rows.items():
        print(f"{name:20}", "  ".join(f"{key} {value:g}" for key, value in row.items()))
    result = {
        "architecture": "resnet50",
        "classes": CLASSES,
        "images": len(images),
        "batch": batch,
        "rounds": arguments.rounds,
        "workers": workers,
        "arithmetic": arithmetic,
        "gflop_per_image": round(needed / 1e9, 3),
        "rates": rows,
        "machine": machine("mixzoo", "torch", "torchvision", "numpy", "pillow"),
    }
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
