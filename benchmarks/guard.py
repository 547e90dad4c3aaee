"""Do guarded predictions equal those of fp32, on every image? And how sure is the bound?

Networks: the reference's two tiny checkpoints on their own validation images, the rows that the
package carries on theirs, and ResNet-50 and ResNeXt-101 (32x4d) of 8,142 classes with random
weights, whose margins are tiny, on photographs (the 24 of the reference recordings, and
cifar-inat2018's validation images enlarged to 224). The fast arithmetic is bf16, emulated where
the machine has none, so the answer doesn't depend on the machine.

    python benchmarks/guard.py [--images N] [--only resnet50] [--arithmetic emulated-bf16]

Predictions are made by one process and by three that share the batches (in turn, in this one).
It ends with status 1 if a guarded prediction differs from fp32 anywhere.
"""

import argparse
import importlib.util
import json
import os
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from machine import machine
from mixzoo.eval.crops import Work
from mixzoo.eval.guard import CALIBRATION, SAFETY, Guard, deviations
from mixzoo.eval.precision import choose, exact_networks, fast_networks
from mixzoo.eval.predictions import Predictions
from mixzoo.eval.predictor import Predictor, rank
from mixzoo.eval.protocol import normalise
from mixzoo.zoo.catalog import open_catalog
from mixzoo.zoo.checkpoint.load import load, load_file
from mixzoo.zoo.data import FolderStore, LabelledImages, find_images
from mixzoo.zoo.manifest import Protocol
from mixzoo.zoo.mini import draw
from mixzoo.zoo.nets import Classifier, MixClassifier, ResNetConfig
from tqdm import tqdm

TESTS = Path(__file__).parents[1] / "tests"
SHARED = Path(os.environ.get("MIXZOO_SHARED", Path(__file__).parents[2] / "shared"))
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
BATCH, TRIES = 32, 200
RANDOM = {"resnet50": 1001, "resnext101_32x4d": 1002}  # name -> seed of the weights


@dataclass(frozen=True)
class Case:
    """A network and the images that it is asked about."""

    name: str
    model: Classifier | MixClassifier
    images: LabelledImages
    protocol: Protocol

    def batches(self, what: str) -> Iterator[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
        """Positions, crops and labels, BATCH at a time. what: for the progress bar."""
        groups = self.work.groups()
        for batch in tqdm(
            self.work.batches(groups), f"{self.name}, {what}", len(groups), disable=None
        ):
            yield batch.indices, batch.crops, batch.labels

    @property
    def work(self) -> Work:
        """How crops are made: in this process, without a cache."""
        return Work(self.images, self.protocol, BATCH, workers=0)


def cases(only: str, images: int, folder: Path) -> Iterator[Case]:
    """The networks whose name contains `only`, each on at most `images` images."""
    tiny = Protocol(resize=110, crop=96)
    for run in ("tiny_cutmix_ep8", "tiny_automix_ep8"):
        if only in run:
            root = SHARED / "golden/tiny_val"
            listed = find_images(root, root / "val_tiny.txt")
            model = load_file(TESTS / "golden/runs" / run / "epoch_8.pth", device=DEVICE)
            yield Case(run, model, thinned(listed, images), tiny)
    mini = open_catalog().benchmark("mini").manifest
    for row in mini.rows:
        if only in row.id:
            drawn = find_images(draw(folder / "mini", "val"))
            model = load(row.id, device=DEVICE)
            yield Case(row.id, model, thinned(drawn, images), mini.protocol)
    for name, seed in RANDOM.items():
        if only in name:
            photos = photographs(folder / "photos", images)
            yield Case(name, random_model(name, seed), photos, Protocol(resize=256, crop=224))


def thinned(images: LabelledImages, limit: int) -> LabelledImages:
    """At most `limit` images, from the whole list."""
    at = np.unique(np.linspace(0, len(images) - 1, min(limit, len(images))).astype(int))
    files, labels = (tuple(part[i] for i in at) for part in (images.files, images.labels))
    return LabelledImages(images.store, files, labels, images.origin)


def photographs(folder: Path, limit: int) -> LabelledImages:
    """The reference's photos (labels 0, 1, ...) and cifar-inat2018's validation images."""
    if not folder.exists():
        for archive in ("val2018.json.tar.gz", "train_val2018.tar.gz"):
            with tarfile.open(SHARED / "data/cifar-inat2018" / archive) as tar:
                tar.extractall(folder, filter="data")
        (folder / "photos").symlink_to(SHARED / "golden/images")
    small = thinned(find_images(folder, folder / "val2018.json"), limit)
    photos = tuple(f"photos/{file.name}" for file in sorted((folder / "photos").glob("*.JPEG")))
    files, labels = photos + tuple(small.files), (*range(len(photos)), *small.labels)
    return LabelledImages(FolderStore(folder), files[:limit], labels[:limit], "photographs")


def random_model(name: str, seed: int) -> Classifier:
    """The reference recordings' random weights, in 8,142 classes."""
    model = Classifier(ResNetConfig.from_name(name), 8142).eval()
    shapes = [(key, tuple(value.shape)) for key, value in model.state_dict().items()]
    arrays = regenerate().state(shapes, seed, None)
    model.load_state_dict({key: torch.from_numpy(np.array(a)) for key, a in arrays.items()})
    return model.to(DEVICE)


def regenerate() -> ModuleType:
    """tests/regenerate.py, which belongs to no package."""
    spec = importlib.util.spec_from_file_location("regenerate", TESTS / "regenerate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@dataclass
class Measured:
    """One head in both arithmetics, image by image.

    fast: as it comes. corrected: without what moves all images alike, see `Guard.calibrate`.
    """

    exact: Predictions
    fast: Predictions
    corrected: Predictions
    deviation: np.ndarray

    @property
    def least(self) -> np.ndarray:
        """(N,) the margin that decides whether the fast prediction is believed."""
        return np.minimum(self.corrected.margin, self.corrected.margin5)


def measure(case: Case, arithmetic: Any) -> dict[str, Measured]:
    """Every head's predictions in both arithmetics, and deviations from the offset on."""
    exact = exact_networks(case.model)
    fast = fast_networks(case.model, arithmetic, DEVICE)
    logits: dict[str, list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]] = {}
    for _, crops, labels in case.batches("both ways"):
        x = normalise(crops.to(DEVICE), case.protocol)
        for one, other in zip(exact, fast, strict=True):
            with torch.inference_mode():
                exact_logits, fast_logits = one(x), other(x)
            for head, z in exact_logits.items():
                logits.setdefault(head, []).append((fast_logits[head], z, labels))
    found: dict[str, Measured] = {}
    for head, parts in logits.items():
        y, z, labels = map(torch.cat, zip(*parts, strict=True))
        first, guard = slice(CALIBRATION), Guard()
        guard.calibrate(y[first], z[first], labels[first])
        corrected, at = y - guard.offset, torch.arange(len(labels))
        kinds = [Predictions.empty(case.images.labels) for _ in range(3)]
        for known, made, exactly in zip(
            kinds, (z, y, corrected), (True, False, False), strict=True
        ):
            known.put(rank(made, labels, at, exact=exactly, head=head))
        found[head] = Measured(*kinds, deviations(corrected, z, labels).cpu().numpy())
    return found


def guard(case: Case, arithmetic: str, ranks: int) -> tuple[dict[str, Predictions], list[Any]]:
    """Guarded predictions by `ranks` predictors that share batches, and their summaries."""
    predictors = [
        Predictor(
            case.model, case.protocol, DEVICE, "guarded", arithmetic=arithmetic, batch_size=BATCH
        )
        for _ in range(ranks)
    ]
    known: dict[str, Predictions] = {}

    def put(rows: dict[str, Any]) -> None:
        for head, found in rows.items():
            known.setdefault(head, Predictions.empty(case.images.labels)).put(found)

    for number, (at, crops, labels) in enumerate(case.batches(f"guarded, {ranks}")):
        put(predictors[number % ranks].predict(at, crops, labels))
    for predictor in predictors:
        put(predictor.flush())
    for one in predictors:
        for other in predictors:
            one.raise_bounds(other.bounds)
    while stale := {h: at for h, k in known.items() if len(at := predictors[0].stale(h, k))}:
        every = sorted({int(i) for at in stale.values() for i in at})
        for batch in case.work.batches(case.work.groups(every)):
            put(predictors[0].recompute(batch.indices, batch.crops, batch.labels, stale))
    return known, [predictor.summary(known) for predictor in predictors]


def differing(found: Predictions, exact: Predictions) -> int:
    """Images whose best class or top-5 hit differs."""
    return int(((found.top[:, 0] != exact.top[:, 0]) | (found.correct5 != exact.correct5)).sum())


def resample(measured: Measured, safety: float) -> dict[str, float]:
    """What other calibration samples would have led to: none of them learns afterwards.

    images_above_bound, wrong_beliefs: per try, means over TRIES samples of CALIBRATION images (of
    half the images if there are fewer than twice as many).
    """
    rng = np.random.default_rng(0)
    n = len(measured.deviation)
    sample = min(CALIBRATION, n // 2)
    changed = measured.corrected.top[:, 0] != measured.exact.top[:, 0]
    changed |= measured.corrected.correct5 != measured.exact.correct5
    above, wrong, doubted = [], [], []
    for _ in range(TRIES):
        bound = safety * measured.deviation[rng.choice(n, sample, replace=False)].max()
        above.append((measured.deviation > bound).sum())
        wrong.append((changed & (measured.least > bound)).sum())
        doubted.append((measured.least <= bound).mean())
    return {
        "images_above_bound": float(np.mean(above)),
        "wrong_beliefs": float(np.mean(wrong)),
        "doubted": round(float(np.mean(doubted)), 4),
    }


def study(case: Case, arithmetic: Any) -> dict[str, Any]:
    """All heads of one case."""
    both = measure(case, arithmetic)
    runs = {ranks: guard(case, arithmetic, ranks) for ranks in (1, 3)}
    heads = {}
    for head, measured in both.items():
        summary = runs[1][1][0]["heads"][head]
        logarithm = np.log(np.maximum(measured.deviation, 1e-12))
        heads[head] = {
            "flips_of_fast": differing(measured.fast, measured.exact),
            "flips_of_guarded": {
                r: differing(k[head], measured.exact) for r, (k, _) in runs.items()
            },
            "recomputed": {
                r: round(float((k[head].state == 2).mean()), 4) for r, (k, _) in runs.items()
            },
            "bound": summary["bound"],
            "deviation_median": float(np.median(measured.deviation)),
            "deviation_largest": float(measured.deviation.max()),
            "deviation_spread": round(float(logarithm.std()), 3),
            "median_margin": float(np.median(measured.exact.margin)),
            "other_samples": {
                f"{s:g}x": resample(measured, s) for s in (0.25, 0.5, 1, 1.5, SAFETY)
            },
        }
    return {"images": len(case.images), "classes": case.model.num_classes, "heads": heads}


def main() -> int:
    """Study every case, print a table, write the JSON."""
    parser = argparse.ArgumentParser(description="Guarded predictions beside fp32, image by image.")
    parser.add_argument("--images", type=int, default=3000, help="at most so many of each case")
    parser.add_argument("--only", default="", help="cases whose name contains this")
    parser.add_argument("--arithmetic", default="emulated-bf16")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results/guard.json")
    arguments = parser.parse_args()

    arithmetic = choose(arguments.arithmetic, DEVICE)
    results, wrong = {}, 0
    with tempfile.TemporaryDirectory() as folder:
        for case in cases(arguments.only, arguments.images, Path(folder)):
            results[case.name] = study(case, arithmetic)
            for head, row in results[case.name]["heads"].items():
                wrong += sum(row["flips_of_guarded"].values())
                print(
                    f"{case.name:26} {head:6} {results[case.name]['images']:5} images  "
                    f"fast flips {row['flips_of_fast']:3}  guarded flips "
                    f"{row['flips_of_guarded'][1]} / {row['flips_of_guarded'][3]}  "
                    f"in fp32 {row['recomputed'][1]:6.1%} / {row['recomputed'][3]:6.1%}  "
                    f"bound {row['bound']:.4f}",
                    flush=True,
                )
    result = {
        "arithmetic": arithmetic,
        "safety": SAFETY,
        "calibration": CALIBRATION,
        "ranks": [1, 3],
        "cases": results,
        "machine": machine("mixzoo", "torch", "numpy"),
    }
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(result, indent=2) + "\n")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
