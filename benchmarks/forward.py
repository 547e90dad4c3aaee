"""How fast predictions are made from crops: in fp32, in fast arithmetic, guarded.

ResNet-50 with 8,142 classes and random weights (the hard case for the guard: margins are tiny), on
crops of photographs. All variants take turns in one run, beside the machine's own matrix product:

  plain          the model in fp32, NCHW: the arithmetic of timm's documented validation loop
  channels_last  the same with --channels-last
  exact          mixzoo, precision fp32
  fast           mixzoo, precision fast: the arithmetic that the probe finds
  guarded        mixzoo, precision guarded, after its calibration, recomputation included

On a CPU seconds are processor time divided by threads, on which other processes have little say,
and none with one thread: OMP_NUM_THREADS=1.

All of these keep freed memory, as `mixzoo eval` does (`mixzoo.eval.world`), which makes the first
three nearly twice as fast as they are by default. If an environment of its own has timm, its model
and loop body run in the same rounds as its user runs them, by default:

    python -m venv peer && peer/bin/pip install timm
    python benchmarks/forward.py --timm-python peer/bin/python

Targets: guarded at least 2.5 times timm and 1.6 times timm_channels_last where the processor has
bf16; the fast forward pass at least 85% of the matrix product in the same format.

    python benchmarks/forward.py [--architecture resnet50] [--batch 64] [--batches 4] [--rounds 5]
"""

import argparse
import json
import statistics
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from guard import DEVICE, RANDOM, SHARED, random_model
from machine import machine, matrix_product, seconds
from mixzoo.eval.guard import CALIBRATION
from mixzoo.eval.pixels import decode_crop
from mixzoo.eval.precision import DTYPES, choose
from mixzoo.eval.predictions import EXACT, Predictions
from mixzoo.eval.predictor import Predictor
from mixzoo.eval.protocol import normalise
from mixzoo.eval.world import keep_freed_memory
from mixzoo.zoo.manifest import Protocol
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

PROTOCOL = Protocol(resize=256, crop=224)
WIDER = Protocol(resize=256, crop=256)

TIMM = """
import sys, time
import numpy as np, timm, torch
clock = time.perf_counter if torch.cuda.is_available() else time.process_time
name, given, threads, layout, amp = sys.argv[1:]
torch.set_num_threads(int(threads))
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
model = timm.create_model(name, num_classes=8142).to(device).eval()
x = torch.from_numpy(np.load(given)).to(device)
if layout == "channels_last":
    model = model.to(memory_format=torch.channels_last)
    x = x.contiguous(memory_format=torch.channels_last)
def run():
    with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=amp == "amp"):
        model(x)
    if device.type == "cuda":
        torch.cuda.synchronize()
run()
start = clock()
run()
threads = 1 if torch.cuda.is_available() else torch.get_num_threads()
print((clock() - start) / threads)
"""
PEERS = {
    "timm": ("contiguous", "fp32"),
    "timm_channels_last": ("channels_last", "fp32"),
    "timm_channels_last_bf16": ("channels_last", "amp"),
}


def photographs(folder: Path, count: int) -> torch.Tensor:
    """`count` different crops (N, 224, 224, 3) uint8: shifted and mirrored cuts of the photos."""
    files = sorted(f for f in folder.iterdir() if f.suffix.lower() in (".jpg", ".jpeg"))
    crops: list[np.ndarray] = []
    squares = [decode_crop(file.read_bytes(), WIDER, file.name) for file in files]
    for shift in range(0, 1024, 7):
        for square in squares:
            top, left = shift % 32, (5 * shift) % 32
            cut = square[top : top + 224, left : left + 224]
            crops.append(cut[:, ::-1] if shift % 2 else cut)
            if len(crops) == count:
                return torch.from_numpy(np.stack(crops))
    raise SystemExit(f"{folder}: too few JPEGs for {count} different crops")


def timm_seconds(python: str, name: str, x: torch.Tensor, folder: Path, peer: str) -> float:
    """One batch by timm's model in its own environment, after one to warm up."""
    given = folder / "x.npy"
    np.save(given, x.cpu().numpy())
    arguments = [name, str(given), str(torch.get_num_threads()), *PEERS[peer]]
    run = subprocess.run(
        [python, "-c", TIMM, *arguments], check=True, capture_output=True, text=True
    )
    return float(run.stdout)


class Setting:
    """The model, the crops, and what is timed on them."""

    def __init__(self, architecture: str, crops: torch.Tensor, batch: int, arithmetic: str) -> None:
        self.model = random_model(architecture, RANDOM[architecture])
        plain = random_model(architecture, RANDOM[architecture])  # laid out as timm's
        self.crops, self.batch, self.arithmetic = crops, batch, choose(arithmetic, DEVICE)
        self.labels = torch.zeros(len(crops), dtype=torch.int64)
        self.x = normalise(crops[:batch].to(DEVICE), PROTOCOL)
        self.product_fp32 = matrix_product(torch.float32, DEVICE)
        self.product = matrix_product(DTYPES.get(self.arithmetic, torch.float32), DEVICE)
        last = self.x.contiguous(memory_format=torch.channels_last)
        channels_last = random_model(architecture, RANDOM[architecture])
        channels_last.to(memory_format=torch.channels_last)
        self.guarded = self._predictor("guarded")
        self._predict(self.guarded, slice(0, CALIBRATION))
        self.timed = slice(CALIBRATION, len(crops))
        images = len(crops) - CALIBRATION
        exact, fast = self._predictor("fp32"), self._predictor("fast")
        self.variants: dict[str, tuple[int, Callable[[], object]]] = {
            "plain": (batch, lambda: self._forward(plain, self.x)),
            "channels_last": (batch, lambda: self._forward(channels_last, last)),
            "exact": (batch, lambda: self._predict(exact, slice(0, batch))),
            "fast": (batch, lambda: self._predict(fast, slice(0, batch))),
            "guarded": (images, lambda: self._predict(self.guarded, self.timed)),
        }

    def _predictor(self, precision: str) -> Predictor:
        return Predictor(
            self.model,
            PROTOCOL,
            DEVICE,
            precision,  # pyright: ignore[reportArgumentType]
            arithmetic=self.arithmetic,
            batch_size=self.batch,
        )

    @torch.inference_mode()
    def _forward(self, model: nn.Module, x: torch.Tensor) -> torch.Tensor:
        return model(x)

    def _predict(self, predictor: Predictor, rows: slice) -> dict[str, Predictions]:
        known = {"head0": Predictions.empty(self.labels.numpy())}
        at = torch.arange(len(self.crops))[rows]
        for part in at.split(self.batch):
            known["head0"].put(
                predictor.predict(part, self.crops[part], self.labels[part])["head0"]
            )
        for head, found in predictor.flush().items():
            known[head].put(found)
        return known

    def flops(self) -> float:
        """Of one image's forward pass, two for a multiplication with addition."""
        with FlopCounterMode(display=False) as counter:
            self._forward(self.model, self.x[:1])
        return counter.get_total_flops()


def main() -> None:
    """Time all variants in turn, print a table, write the JSON."""
    parser = argparse.ArgumentParser(description="Images per second by precision.")
    parser.add_argument("--architecture", choices=RANDOM, default="resnet50")
    parser.add_argument("--arithmetic", default="auto")
    parser.add_argument("--images", type=Path, default=SHARED / "golden/images")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--batches", type=int, default=4, help="that guarded is timed on")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--timm-python", help="python of an environment that has timm")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results/forward.json")
    arguments = parser.parse_args()

    keep_freed_memory()
    count = CALIBRATION + arguments.batch * arguments.batches
    crops = photographs(arguments.images, count)
    setting = Setting(arguments.architecture, crops, arguments.batch, arguments.arithmetic)
    rates: dict[str, list[float]] = {}
    products: dict[str, list[float]] = {"fp32": [], "same": []}
    for _, run in list(setting.variants.values())[:-1]:
        run()  # warm up; guarded has calibrated
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(arguments.rounds):
            products["fp32"].append(setting.product_fp32())
            products["same"].append(setting.product())
            for name, (images, run) in setting.variants.items():
                rates.setdefault(name, []).append(images / seconds(run))
            for peer in PEERS if arguments.timm_python else ():
                took = timm_seconds(
                    arguments.timm_python, arguments.architecture, setting.x, Path(folder), peer
                )
                rates.setdefault(peer, []).append(arguments.batch / took)

    result = summarised(setting, rates, products)
    result["rounds"] = arguments.rounds
    result["machine"] = machine("mixzoo", "torch", "numpy")
    for name, row in result["variants"].items():
        print(
            f"{name:24} {row['images_per_second']:8.1f} images/s {row['over_plain']:6.2f} x plain"
        )
    print(
        json.dumps({k: v for k, v in result.items() if k not in ("variants", "machine")}, indent=2)
    )
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(result, indent=2) + "\n")


def summarised(
    setting: Setting, rates: dict[str, list[float]], products: dict[str, list[float]]
) -> dict[str, object]:
    """Medians over rounds; ratios are medians of the rounds' own ratios."""

    def ratio(one: str, other: str) -> float:
        pairs = zip(rates[one], rates[other], strict=True)
        return round(statistics.median(a / b for a, b in pairs), 3)

    flops = setting.flops()
    shares = [flops * r / p for r, p in zip(rates["fast"], products["same"], strict=True)]
    known = setting._predict(setting.guarded, setting.timed)
    recomputed = int((known["head0"].state == EXACT).sum())
    timed = len(setting.crops) - CALIBRATION
    return {
        "arithmetic": setting.arithmetic,
        "batch": setting.batch,
        "gflops_per_image": round(flops / 1e9, 2),
        "variants": {
            name: {
                "images_per_second": round(statistics.median(values), 2),
                "over_plain": ratio(name, "plain"),
            }
            for name, values in rates.items()
        },
        "guarded_over": {name: ratio("guarded", name) for name in rates if name != "guarded"},
        "fast_over_matrix_product": round(statistics.median(shares), 3),
        "matrix_product_gflops": {
            k: round(statistics.median(v) / 1e9, 1) for k, v in products.items()
        },
        "recomputed_share": round(recomputed / timed, 4),
        "bound": setting.guarded.bounds["head0"],
    }


if __name__ == "__main__":
    main()
