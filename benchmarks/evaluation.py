"""From a checkpoint and a folder of photographs to a number: `mixzoo eval` beside timm's script.

Whole processes, from start to end, interpreters and decoding included, in turn. Both read one
checkpoint file, a ResNet-50 of 8,142 classes with random weights (the hard case for the guard), and
the same JPEGs (cuts of the given photographs, 500 to 640 pixels wide). timm's side is the loop of
its documented validation script (`validate.py`: its loader, its model, loss and accuracy at every
batch), with as many decoding processes as ours:

  timm                  python validate.py --crop-pct 0.875 ...
  timm_channels_last    ... --channels-last
  timm_bf16             ... --channels-last --amp --amp-dtype bfloat16: predictions differ from fp32
  fp32, guarded, fast   mixzoo eval FILE --data DIR --precision ...

Beside the times: in how many images the best class is another than timm's in fp32 (without timm,
than ours).
Each also runs on the first third of the photographs: the difference of the two is the rate without
what is done once (starting, loading, the guard's calibration on 128 images: on the 24,426 images of
iNaturalist-2018 that is about a percent). Target: guarded at least 2.5 times timm's, at that rate.

    python -m venv peer && peer/bin/pip install timm
    python benchmarks/evaluation.py --timm-python peer/bin/python [--photographs 1536] [--rounds 1]
"""

import argparse
import io
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from guard import RANDOM, SHARED, random_model
from machine import machine
from mixzoo.eval import store
from mixzoo.zoo.files import sha256_of
from PIL import Image

ARCHITECTURE = "resnet50"
TARGET = 2.5
TIMM = """
import sys, time
import numpy as np, timm, torch
from timm.data import create_dataset, create_loader
from timm.utils import AverageMeter, accuracy
file, folder, layout, amp, workers, out = sys.argv[1:]
model = timm.create_model("resnet50", num_classes=8142, checkpoint_path=file).eval()
if layout == "channels_last":
    model = model.to(memory_format=torch.channels_last)
loader = create_loader(
    create_dataset("", root=folder), input_size=(3, 224, 224), batch_size=64, use_prefetcher=False,
    interpolation="bicubic", crop_pct=0.875, num_workers=int(workers), device=torch.device("cpu"),
)
criterion = torch.nn.CrossEntropyLoss()
losses, top1, top5 = AverageMeter(), AverageMeter(), AverageMeter()
predictions = []
with torch.inference_mode():
    for input, target in loader:
        if layout == "channels_last":
            input = input.contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16, enabled=amp == "amp"):
            output = model(input)
            loss = criterion(output, target)
        acc1, acc5 = accuracy(output.detach(), target, topk=(1, 5))
        losses.update(loss.item(), input.size(0))
        top1.update(acc1.item(), input.size(0))
        top5.update(acc5.item(), input.size(0))
        predictions.append(output.argmax(1))
np.save(out, torch.cat(predictions).numpy())
"""
PEERS = {
    "timm": ("contiguous", "fp32"),
    "timm_channels_last": ("channels_last", "fp32"),
    "timm_bf16": ("channels_last", "amp"),
}
OURS = ("fp32", "guarded", "fast")


class Setting:
    """Checkpoint and photographs on disk."""

    def __init__(self, folder: Path, source: Path, count: int, workers: int) -> None:
        self.folder, self.workers = folder, workers
        self.checkpoint = folder / "resnet50.pth"
        model = random_model(ARCHITECTURE, RANDOM[ARCHITECTURE])
        names = {  # timm's, which mixzoo reads too
            key.removeprefix("backbone.").removeprefix("head."): value
            for key, value in model.state_dict().items()
        }
        torch.save(names, self.checkpoint)
        self.sha256 = sha256_of(self.checkpoint)
        self.all, self.third = folder / "all", folder / "third"
        write_photographs(source, self.all, count)
        write_photographs(source, self.third, count // 3)

    def timm(self, python: str, peer: str, images: Path) -> np.ndarray:
        """Classes (N,) by timm."""
        out = self.folder / f"{peer}.npy"
        words = [str(self.checkpoint), str(images), *PEERS[peer], str(self.workers), str(out)]
        subprocess.run([python, "-c", TIMM, *words], check=True)
        return np.load(out)

    def mixzoo(self, precision: str, images: Path) -> np.ndarray:
        """Classes (N,) by mixzoo."""
        words = ["eval", self.checkpoint, "--data", images, "--precision", precision]
        words += ["--workers", self.workers, "--fresh"]
        cache = self.folder / f"cache_{precision}_{images.name}"
        subprocess.run(
            [sys.executable, "-m", "mixzoo", *map(str, words)],
            check=True,
            env=os.environ | {"MIXZOO_CACHE": str(cache)},
            stdout=subprocess.DEVNULL,
        )
        os.environ["MIXZOO_CACHE"] = str(cache)
        (kept,) = store.of_weights(self.sha256)
        ordered = kept.ordered(sorted(kept.files))
        return ordered.heads["head0"].top[:, 0]


def write_photographs(source: Path, folder: Path, count: int) -> None:
    """`count` different JPEGs in one class folder: shifted, mirrored cuts of the photographs."""
    (folder / "0").mkdir(parents=True)
    files = sorted(f for f in source.iterdir() if f.suffix.lower() in (".jpg", ".jpeg"))
    pictures = [Image.open(io.BytesIO(f.read_bytes())).convert("RGB") for f in files]
    for number in range(count):
        picture = pictures[number % len(pictures)]
        shift = number // len(pictures)
        scale = 640 / max(picture.size)
        whole = picture.resize((round(picture.width * scale), round(picture.height * scale)))
        cut = whole.crop((shift % 64, shift // 2 % 32, whole.width - 32, whole.height - 16))
        if shift % 2:
            cut = cut.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        cut.save(folder / "0" / f"{number:05}.jpg", quality=92)


def main() -> None:
    """Run everything in turn, print a table, write the JSON."""
    parser = argparse.ArgumentParser(description="Whole evaluations beside timm's.")
    parser.add_argument("--timm-python", help="python of an environment that has timm")
    parser.add_argument("--images", type=Path, default=SHARED / "golden/images")
    parser.add_argument("--photographs", type=int, default=1536)
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    parser.add_argument("--rounds", type=int, default=1)
    default = Path(__file__).parent / "results/evaluation.json"
    parser.add_argument("--out", type=Path, default=default)
    given = parser.parse_args()

    seconds: dict[str, list[float]] = {}
    thirds: dict[str, list[float]] = {}
    classes: dict[str, np.ndarray] = {}
    with tempfile.TemporaryDirectory() as folder:
        setting = Setting(Path(folder), given.images, given.photographs, given.workers)
        peers = PEERS if given.timm_python else ()
        runs: dict[str, Callable[[Path], np.ndarray]] = {
            **{peer: partial(setting.timm, given.timm_python, peer) for peer in peers},
            **{name: partial(setting.mixzoo, name) for name in OURS},
        }
        for _ in range(given.rounds):
            for name, run in runs.items():
                for took, images in ((thirds, setting.third), (seconds, setting.all)):
                    start = time.perf_counter()
                    classes[name] = run(images)
                    took.setdefault(name, []).append(time.perf_counter() - start)
                print(f"{name:20} {thirds[name][-1]:8.1f} {seconds[name][-1]:8.1f} s", flush=True)

    base = next(iter(seconds))
    rest = given.photographs - given.photographs // 3
    rates = {
        name: [
            rest / (whole - third) for whole, third in zip(seconds[name], thirds[name], strict=True)
        ]
        for name in seconds
    }

    def faster(name: str) -> float:
        pairs = zip(rates[name], rates[base], strict=True)
        return round(statistics.median(a / b for a, b in pairs), 3)

    result = {
        "photographs": given.photographs,
        "rounds": given.rounds,
        "base": base,
        "runs": {
            name: {
                "seconds": round(statistics.median(values), 1),
                "seconds_of_a_third": round(statistics.median(thirds[name]), 1),
                "images_per_second": round(statistics.median(rates[name]), 2),
                "times_base": faster(name),
                "other_classes": int((classes[name] != classes[base]).sum()),
            }
            for name, values in seconds.items()
        },
        "target": {"guarded_times_timm": TARGET},
        "machine": machine("mixzoo", "torch", "torchvision", "pillow", "numpy"),
    }
    for name, row in result["runs"].items():
        print(
            f"{name:20} {row['images_per_second']:8.2f} images/s {row['times_base']:6.2f} x {base} "
            f" {row['other_classes']:4} other classes"
        )
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
