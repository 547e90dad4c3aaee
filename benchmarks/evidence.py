"""How long `mixzoo eval check` takes for the whole table at full size, and how large evidence is.

Twenty rows of inat2018 with invented predictions of 24,426 images, four heads for AutoMix and
SAMix:

    python benchmarks/evidence.py
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from machine import machine
from mixzoo.eval import evidence
from mixzoo.eval.predictions import Predictions, Rows
from mixzoo.eval.protocol import pixels
from mixzoo.eval.report import report_of, row_of
from mixzoo.eval.store import Stored
from mixzoo.zoo.catalog import Benchmark, open_catalog
from mixzoo.zoo.data import FolderStore, LabelledImages
from mixzoo.zoo.manifest import Row

IMAGES, CLASSES = 24426, 8142
ABOVE = ("Plantae", "Aves", "Insecta", "Fungi", "Mammalia")
CREATED = "2026-01-01T00:00:00+00:00"
OUT = Path(__file__).parent / "results/evidence.json"


def main() -> None:
    """Invent, write, check; print and keep the figures."""
    rng = np.random.default_rng(0)
    benchmark = open_catalog().benchmark("inat2018")
    with tempfile.TemporaryDirectory() as folder:
        written = [write(Path(folder), benchmark, row, rng) for row in benchmark.manifest.rows]
        code = "from mixzoo.app.cli import main; main()"
        before = os.times()
        subprocess.run(
            [sys.executable, "-c", code, "eval", "check", folder], check=True, capture_output=True
        )
        after = os.times()
        heads = [path.stat().st_size for one in written for path in one.glob("*.safetensors")]
    found = {
        "rows": len(written),
        "heads": len(heads),
        "images": IMAGES,
        "largest_head_bytes": max(heads),
        "processor_seconds": round(
            after.children_user
            + after.children_system
            - before.children_user
            - before.children_system,
            2,
        ),
        "seconds": round(after.elapsed - before.elapsed, 2),
    }
    print(json.dumps(found, indent=2))
    OUT.write_text(json.dumps(found | {"machine": machine("mixzoo", "numpy")}, indent=2) + "\n")


def write(root: Path, benchmark: Benchmark, row: Row, rng: np.random.Generator) -> Path:
    """Evidence of one row whose predictions are drawn: about 64% of them right."""
    labels = np.arange(IMAGES) % CLASSES
    files = tuple(f"val/{ABOVE[n % 5]}/{n}/{i:032x}.jpg" for i, n in enumerate(labels))
    images = LabelledImages(FolderStore(root), files, tuple(labels.tolist()), "invented")
    of_mix = row.method in ("automix", "samix")
    names = ("one_k", "mix_k", "one_q", "mix_q") if of_mix else ("head0",)
    heads = {}
    for name in names:
        heads[name] = Predictions.empty(labels)
        top = rng.integers(0, CLASSES, (IMAGES, 5)).astype(np.int32)
        right = rng.random(IMAGES) < 0.64
        top[right, 0] = labels[right]
        floats = rng.random((3, IMAGES)).astype(np.float32)
        heads[name].put(
            Rows(np.arange(IMAGES), top, *floats, np.ones(IMAGES, bool), np.zeros(IMAGES, bool))
        )
    weights = {
        "file": "invented.pth",
        "sha256": "a" * 64,
        "architecture": row.architecture,
        "method": row.method if of_mix else "plain",
        "num_classes": CLASSES,
        "heads": names,
    }
    key = {
        "weights_sha256": weights["sha256"],
        "protocol": pixels(benchmark.manifest.protocol),
        "list_sha256": images.sha256(),
        "precision": "fp32",
    }
    sizes = np.zeros(IMAGES, np.int64)
    stored = Stored(key, heads, files, sizes, {"weights": weights, "created": CREATED})
    training = {label: int(n) for label, n in enumerate(rng.integers(2, 1000, CLASSES))}
    judged = row_of(stored, row.id, benchmark, row, training_images=training)
    report = report_of([judged], stored, benchmark, labels="invented", run={}, created=CREATED)
    return evidence.write(root, report, judged, stored, judged_as=row.id, training_images=training)


if __name__ == "__main__":
    main()
