"""PuzzleMix's mask, exactly: the package's solver beside gco, the solver that OpenMixup calls.

64 grids of 8x8 blocks and 3 labels, with the costs of a random batch of 224x224 images. gco
(research-only licence, one grid after the other) is measured in the same run if an environment of
its own has it:

    python -m venv gco && gco/bin/pip install gco-wrapper
    python benchmarks/gridcut.py --gco-python gco/bin/python

Both solve the same integer costs, in turn, several times; energies are compared too.
"""

import argparse
import json
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from machine import machine
from mixzoo.train.mixing.gridcut import cut_grid
from mixzoo.train.mixing.puzzlemix import pool_saliency, puzzle_costs

BATCH, BLOCKS, LABELS, REPEATS = 64, 8, 3, 7

GCO = """
import sys, time
import gco, numpy as np
costs = np.load(sys.argv[1])
unary, down, right = (np.ascontiguousarray(costs[name]) for name in ("unary", "down", "right"))
label = np.arange(unary.shape[-1])
pairwise = np.ascontiguousarray((label[:, None] - label) ** 2, dtype=np.int32)
scale = (len(label) - 1) ** 2
start = time.perf_counter()
labels = [
    gco.cut_grid_graph(scale * u, pairwise, d, r, algorithm="swap")
    for u, d, r in zip(unary, down, right)
]
print(time.perf_counter() - start)
np.save(sys.argv[2], np.stack(labels).reshape(unary.shape[:-1]))
"""


def batch_costs() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Integer costs of 64 grids, as PuzzleMix makes them."""
    generator = torch.Generator().manual_seed(0)
    coarse = torch.randn(BATCH, 3, 28, 28, generator=generator)
    x = torch.nn.functional.interpolate(coarse, size=(224, 224), mode="bilinear")
    perm = torch.randperm(BATCH, generator=generator)
    return puzzle_costs(x, perm, 0.5, pool_saliency(x.square().mean(1).sqrt(), BLOCKS))


def energy(
    labels: torch.Tensor, unary: torch.Tensor, down: torch.Tensor, right: torch.Tensor
) -> torch.Tensor:
    """Energy of each labelling, times (L - 1)**2: (N,) int64."""
    at_pixels = unary.long().gather(-1, labels[..., None]).sum((1, 2, 3))
    vertical = (down.long() * (labels[:, 1:] - labels[:, :-1]).square()).sum((1, 2))
    horizontal = (right.long() * (labels[:, :, 1:] - labels[:, :, :-1]).square()).sum((1, 2))
    return (LABELS - 1) ** 2 * at_pixels + vertical + horizontal


def main() -> None:
    """Solve with both, in turn; print a table and write the JSON."""
    parser = argparse.ArgumentParser(description="PuzzleMix's grids: exact solver and gco.")
    parser.add_argument("--gco-python", help="python of an environment that has gco-wrapper")
    default = Path(__file__).parent / "results/gridcut.json"
    parser.add_argument("--out", type=Path, default=default)
    arguments = parser.parse_args()

    costs = batch_costs()
    ours, theirs, gco_labels = [], [], None
    with tempfile.TemporaryDirectory() as folder:
        given, found = Path(folder) / "costs.npz", Path(folder) / "labels.npy"
        arrays = (cost.numpy() for cost in costs)
        np.savez(given, **dict(zip(("unary", "down", "right"), arrays, strict=True)))
        for _ in range(REPEATS):
            start = time.perf_counter()
            labels = cut_grid(*costs)
            ours.append(time.perf_counter() - start)
            if arguments.gco_python:
                command = [arguments.gco_python, "-c", GCO, str(given), str(found)]
                run = subprocess.run(command, check=True, capture_output=True, text=True)
                theirs.append(float(run.stdout))
                gco_labels = torch.from_numpy(np.load(found)).long()

    exact = energy(labels, *costs)
    result: dict[str, object] = {
        "grids": BATCH,
        "blocks": BLOCKS,
        "labels": LABELS,
        "repeats": REPEATS,
        "exact_ms": round(1000 * statistics.median(ours), 1),
    }
    if gco_labels is not None:
        excess = energy(gco_labels, *costs) - exact
        result["gco_swap_ms"] = round(1000 * statistics.median(theirs), 1)
        ratios = [a / b for a, b in zip(ours, theirs, strict=True)]
        result["exact_over_gco"] = round(statistics.median(ratios), 2)
        result["grids_where_gco_misses_the_minimum"] = int((excess > 0).sum())
        result["worst_excess_of_gco"] = round(float((excess / exact.abs()).max()), 5)
        result["grids_where_exact_is_worse"] = int((excess < 0).sum())
    result["machine"] = machine("mixzoo", "torch", "numpy")
    print(json.dumps(result, indent=2))
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
