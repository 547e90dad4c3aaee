"""Everything that is measured on a GPU, in a quarter of an hour: one script, one JSON.

    python benchmarks/gpu.py [--minutes 14] [--out benchmarks/results/gpu.json]
    python benchmarks/gpu.py --dry      on a CPU, with tiny settings: shows that nothing breaks

Each part is a process with a share of the time, and what it found is written at once:

predict     ResNet-50 of 8,142 classes with random weights (the hard case for the guard) on 10,000
            crops that are in memory: images/s in fp32, guarded and fast (bf16), the most memory, and
            in how many images the best class or the top-5 hit is another than fp32's. Target:
            guarded at least 5,000 images/s, 0 of 10,000.
evaluation  `mixzoo eval` from JPEGs to a number in the same precisions: what the cores of this
            machine decode for it (`evaluation.py`, on drawn photographs).
steps_64, steps_256   a training step of CutMix, PuzzleMix and SAMix in bf16, beside a plain loop,
            with the most memory (`train_steps.py`).
compiled_64   the same with --compile.

There is no prefilter that decodes, resizes and crops on the GPU: its pixels aren't Pillow's, so the
guard would have to be extended to pixels, which can't be tested without a GPU at hand. So evaluation
from files is bounded by the processors that decode, and `predict` says what the GPU itself allows.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from machine import machine

HERE = Path(__file__).parent
METHODS = "cutmix,puzzlemix,samix"
TARGET = {"guarded_images_per_second": 5000, "guarded_other_predictions": 0}
LEAST = 45  # seconds that a part is begun with


def main() -> None:
    """Run the parts one after the other, as far as the time goes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=14.0)
    parser.add_argument("--only", help="parts to run, apart by commas")
    parser.add_argument("--dry", action="store_true")
    parser.add_argument("--out", type=Path, default=HERE / "results/gpu.json")
    parser.add_argument("--predict", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.predict:
        count, side, batch = map(int, given.predict)
        print(json.dumps(predicted(count, side, batch)))
        return
    out = Path("build/gpu_dry.json") if given.dry else given.out
    out.parent.mkdir(parents=True, exist_ok=True)
    end = time.monotonic() + 60 * given.minutes
    found: dict[str, Any] = {"target": TARGET, "machine": machine("mixzoo", "torch", "torchvision")}
    with tempfile.TemporaryDirectory() as folder:
        parts = parts_of(Path(folder), dry=given.dry)
        for name in given.only.split(",") if given.only else parts:
            found[name] = measured(parts[name], Path(folder) / f"{name}.json", end)
            out.write_text(json.dumps(found, indent=2) + "\n")
            print(name, json.dumps(found[name]), flush=True)


def parts_of(folder: Path, *, dry: bool) -> dict[str, list[str]]:
    """The words of each part, without the place of its JSON. folder: for photographs."""
    photographs = folder / "photographs"
    draw(photographs, 4 if dry else 24)
    images = ["--images", str(photographs), "--photographs", "6" if dry else "6000"]
    steps = ["train_steps.py", "--methods", "cutmix,samix" if dry else METHODS]
    steps += ["--precision", "bf16", "--device", "cpu" if dry else "cuda", "--rounds"]
    steps += (
        ["1", "--architecture", "resnet18", "--size", "64", "--classes", "10"] if dry else ["3"]
    )
    small, large = ("4", "8") if dry else ("64", "256")
    return {
        "predict": [
            "gpu.py",
            "--predict",
            *(("400", "32", "16") if dry else ("10000", "224", "256")),
        ],
        "evaluation": ["evaluation.py", *images],
        "steps_64": [*steps, "--batch", small],
        "steps_256": [*steps, "--batch", large],
        "compiled_64": [*steps, "--batch", small, *([] if dry else ["--compile"])],
    }


def measured(words: list[str], out: Path, end: float) -> dict[str, Any]:
    """What a part wrote or printed; or why it didn't."""
    left = end - time.monotonic()
    if left < LEAST:
        return {"skipped": "no time left"}
    command = [sys.executable, str(HERE / words[0]), *words[1:]]
    command += [] if "--predict" in words else ["--out", str(out)]
    start = time.monotonic()
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=left, check=False)
        said = done.stderr[-1000:] if done.returncode else ""
    except subprocess.TimeoutExpired:  # train_steps.py has written the methods that were done
        said = f"not done in {left:.0f} s"
    found = {"seconds": round(time.monotonic() - start, 1)} | ({"failed": said} if said else {})
    if out.exists():
        return found | json.loads(out.read_text())
    return found if said else found | json.loads(done.stdout.splitlines()[-1])


def draw(folder: Path, count: int) -> None:
    """Photographs of 640 x 480 that nobody took: coarse shapes under noise."""
    from PIL import Image

    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(count):
        coarse = Image.fromarray(rng.integers(0, 256, (9, 12, 3), np.uint8))
        pixels = np.asarray(coarse.resize((640, 480), Image.Resampling.BICUBIC), np.int16)
        noisy = (pixels + rng.integers(-12, 13, pixels.shape)).clip(0, 255).astype(np.uint8)
        Image.fromarray(noisy).save(folder / f"{number}.jpg", quality=92)


def predicted(count: int, side: int, batch: int) -> dict[str, Any]:
    """Rates, and predictions against fp32's, of crops (count, side, side, 3) that are in memory."""
    import torch
    from guard import differing, random_model
    from mixzoo.eval.predictions import Predictions
    from mixzoo.eval.predictor import Predictor
    from mixzoo.zoo.manifest import Protocol

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    protocol, rng = Protocol(resize=side, crop=side), torch.Generator().manual_seed(0)
    model = random_model("resnet50", 1001)
    labels = torch.randint(0, 8142, (count,), generator=rng)
    coarse = torch.rand((count, 3, 7, 7), generator=rng)
    known, found = {}, {}
    for precision in ("fp32", "guarded", "fast"):
        predictor = Predictor(model, protocol, device, precision, batch_size=batch)
        rows = Predictions.empty(labels.tolist())
        spent, timed = 0.0, 0
        for at in torch.arange(count).split(batch):
            crops = torch.nn.functional.interpolate(coarse[at], (side, side), mode="bicubic")
            noise = torch.rand(crops.shape, generator=torch.Generator().manual_seed(int(at[0])))
            pixels = (255 * (0.8 * crops.clamp(0, 1) + 0.2 * noise)).byte().permute(0, 2, 3, 1)
            start = clock(device)
            for one in predictor.predict(at, pixels.contiguous(), labels[at]).values():
                rows.put(one)
            if at[0] >= 2 * max(batch, 128):  # without warming up, and calibration
                spent, timed = spent + clock(device) - start, timed + len(at)
        start = clock(device)
        for one in predictor.flush().values():
            rows.put(one)
        known[precision] = rows
        spent += clock(device) - start
        found[precision] = {
            "images_per_second": round(timed / spent, 1) if timed else None,
            "other_predictions": differing(rows, known["fp32"]),
            "images": count,
        }
        if device.type == "cuda":
            found[precision]["peak_gib"] = round(torch.cuda.max_memory_allocated() / 2**30, 2)
            torch.cuda.reset_peak_memory_stats()
    return {"batch": batch, "pixels": side, "precisions": found}


def clock(device: Any) -> float:
    """Seconds, once the device has done all that it was given."""
    import torch

    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


if __name__ == "__main__":
    main()
