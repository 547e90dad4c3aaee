"""What each mixing method costs beside a ResNet-50 training step.

Times draw and apply on a batch of 64 images of 224x224, and one step of torchvision's ResNet-50
(forward, backward, SGD) on the same machine in the same run. On a CPU the step is timed on 16
images and multiplied by 4. Target: every static method below 5% of the step.

    python benchmarks/mixing.py [--step-batch 16] [--out benchmarks/results/mixing.json]
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from machine import machine
from mixzoo.train.mixing import METHODS, Mixed, apply, draw_method, input_saliency, mixup
from mixzoo.train.mixing.puzzlemix import PuzzlemixDraw
from mixzoo.train.steps import mix_cross_entropy
from torchvision.models import resnet50

BATCH = 64
SHAPE = (BATCH, 3, 224, 224)
STAGE_1 = (BATCH, 256, 56, 56)  # the largest hidden state that ManifoldMix mixes
CLASSES = 8142
TARGET = 0.05
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")


def milliseconds(run: Callable[[], object], repeats: int) -> float:
    """Median duration after one warm-up run."""
    durations = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        run()
        if DEVICE.type == "cuda":
            torch.cuda.synchronize()
        durations.append(time.perf_counter() - start)
    return 1000 * statistics.median(durations[1:])


def time_static_methods() -> dict[str, float]:
    """Milliseconds per method for a batch of 64, new draws every time."""
    x = torch.randn(SHAPE, device=DEVICE)
    hidden = torch.randn(STAGE_1, device=DEVICE)
    rng = np.random.default_rng(0)

    def mix(name: str) -> Mixed:
        draw = draw_method(rng, name, SHAPE, alpha=1.0)
        if name == "manifoldmix":
            return mixup(hidden, draw.perm, draw.lam)
        return apply(draw, x)

    static = [name for name in METHODS if name not in ("vanilla", "puzzlemix")]
    return {name: milliseconds(lambda name=name: mix(name), repeats=11) for name in static}


def time_puzzlemix() -> dict[str, float]:
    """Milliseconds for a batch of 64 by grid size, without the saliency that it starts from."""
    x = torch.randn(SHAPE, device=DEVICE)
    saliency = torch.rand(BATCH, *SHAPE[2:], device=DEVICE)
    perm = torch.randperm(BATCH, generator=torch.Generator().manual_seed(0))
    return {
        f"puzzlemix_{b}x{b}": milliseconds(
            lambda b=b: apply(PuzzlemixDraw(perm, 0.5, b), x, saliency), repeats=3
        )
        for b in (2, 4, 8)
    }


def time_step(batch: int) -> dict[str, float]:
    """Milliseconds, scaled to 64 images, of a training step and of PuzzleMix's saliency."""
    model = resnet50(num_classes=CLASSES).to(DEVICE)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4)
    x = torch.randn(batch, *SHAPE[1:], device=DEVICE)
    y = torch.randint(CLASSES, (batch,), device=DEVICE)
    lam = torch.full((batch,), 0.3, device=DEVICE)

    def step() -> None:
        optimizer.zero_grad()
        mix_cross_entropy(model(x), y, y.flip(0), lam).backward()
        optimizer.step()

    scale = BATCH / batch
    return {
        "step": scale * milliseconds(step, repeats=3),
        "puzzlemix_saliency": scale * milliseconds(lambda: input_saliency(model, x, y), repeats=3),
    }


def main() -> None:
    """Time everything, print a table, write the JSON."""
    parser = argparse.ArgumentParser(description="Cost of mixing beside a training step.")
    parser.add_argument("--step-batch", type=int, default=BATCH if DEVICE.type == "cuda" else 16)
    default = Path(__file__).parent / "results/mixing.json"
    parser.add_argument("--out", type=Path, default=default)
    arguments = parser.parse_args()

    static, puzzle = time_static_methods(), time_puzzlemix()
    times = time_step(arguments.step_batch)
    step = times.pop("step")
    print(f"ResNet-50 step, {BATCH} images: {step:.0f} ms (timed on {arguments.step_batch})")
    methods = {
        name: {"ms": round(ms, 2), "share_of_step": round(ms / step, 5)}
        for name, ms in {**static, **puzzle, **times}.items()
    }
    for name, row in methods.items():
        late = name in static and row["share_of_step"] > TARGET
        print(f"{name:20} {row['ms']:9.2f} ms {row['share_of_step']:8.2%}{' LATE' * late}")
    result = {
        "batch": list(SHAPE),
        "step_ms": round(step, 1),
        "step_timed_on": arguments.step_batch,
        "target_share_of_static_methods": TARGET,
        "methods": methods,
        "machine": machine("mixzoo", "torch", "torchvision", "numpy"),
    }
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
