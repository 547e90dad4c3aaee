"""How often does a guarded run hold a silent flip, under which rule, and at what cost?

No rule that learns from a sample can see an image whose error is unlike all others' unless it
computes that image. This simulates runs of 24,426 images of 50 classes: logits of spread 3, fast
arithmetic off by a normal error whose size differs between images by a lognormal factor (spread
0.5, as in real networks). Then some images, one in 1,000, 10,000 or 100,000, have an error a
hundred times as large; or all sizes follow a Pareto law with exponent 2, whose largest of n grows
as the root of n. The rules:

  now            bound twice the largest error seen, 128 images to begin with, 1 in 64 checked
  spots 1/16     ... 1/4: more of what is believed is checked
  first 2,048    more images to begin with
  factor 4       a wider bound
  Hill           the factor from Hill's estimate of the tail: (images / compared) ** (1 / exponent)
  witness        `now`, and an image with an activation twice as large as any seen is doubted. It
                 helps where activations show what makes an outlier, so it is tried on outliers of
                 which all do, or half

A silent flip is an image whose prediction differs from fp32 in the end. Cost is the share of images
computed in fp32.

Whether activations show it is tried on real networks: rows of `mini`, in each of which two channels
are made to fire for a single image, 100 to 100,000 times as loud as before, and to cancel but for a
hundredth to a ten-thousandth, which 16 bits round away. Where that image errs by more than twice
the largest error of the others, is one of its activations twice as large as any of theirs?

    python benchmarks/guard_rules.py [--runs 200] [--networks 120]
"""

import argparse
import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from machine import machine
from mixzoo.eval.guard import CALIBRATION, SAFETY, SPOT_CHECKS, Reach, changes, deviations
from mixzoo.eval.pixels import decode_crop
from mixzoo.eval.precision import exact_networks, fast_networks
from mixzoo.eval.predictor import rank
from mixzoo.eval.protocol import normalise
from mixzoo.zoo.checkpoint.load import load
from mixzoo.zoo.data import find_images
from mixzoo.zoo.manifest import Protocol
from mixzoo.zoo.mini import draw
from mixzoo.zoo.nets import Classifier
from tqdm import tqdm

IMAGES, CLASSES, BATCH = 24_426, 50, 256
LOGITS, ERROR, SPREAD, OUTLIER = 3.0, 0.01, 0.5, 100.0
HILL = 0.1  # the share of largest errors that the exponent is estimated from


@dataclass(frozen=True)
class Run:
    """What one evaluation meets. Each array is (IMAGES,)."""

    margin: np.ndarray
    deviation: np.ndarray
    changed: np.ndarray
    outlier: np.ndarray
    spot: np.ndarray
    """Uniform in [0, 1): an image is a spot check where it lies below the rate."""


@dataclass(frozen=True)
class Rule:
    """How a bound is learnt."""

    first: int = CALIBRATION
    spots: float = 1 / SPOT_CHECKS
    factor: float = SAFETY
    hill: bool = False
    seen: float = 0.0
    """Share of the outliers whose activations show them."""


RULES = {
    "now": Rule(),
    "spots 1/16": Rule(spots=1 / 16),
    "spots 1/4": Rule(spots=1 / 4),
    "first 2,048": Rule(first=2048),
    "factor 4": Rule(factor=4),
    "Hill": Rule(hill=True),
    "witness, half seen": Rule(seen=0.5),
    "witness, all seen": Rule(seen=1.0),
}


def lognormal(share: float) -> Callable[[np.random.Generator], tuple[np.ndarray, np.ndarray]]:
    """Sizes of errors, and which are outliers: a share of them, a hundred times as large."""

    def draw(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        outlier = rng.random(IMAGES) < share
        size = np.exp(SPREAD * rng.standard_normal(IMAGES))
        return size * np.where(outlier, OUTLIER, 1), outlier

    return draw


def pareto(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Sizes whose tail is heavy: P(size > s) = s ** -2."""
    return (1 - rng.random(IMAGES)) ** -0.5, np.zeros(IMAGES, bool)


ERRORS = {
    "none": lognormal(0),
    "1 in 100,000": lognormal(1e-5),
    "1 in 10,000": lognormal(1e-4),
    "1 in 1,000": lognormal(1e-3),
    "Pareto": pareto,
}


def simulate(kind: str, seed: int) -> Run:
    """One evaluation's images; the margin is the best class's, as in `mixzoo.eval.guard`."""
    rng = np.random.default_rng([seed, list(ERRORS).index(kind)])
    size, outlier = ERRORS[kind](rng)
    exact = LOGITS * rng.standard_normal((IMAGES, CLASSES), dtype=np.float32)
    moved = ERROR * rng.standard_normal((IMAGES, CLASSES), dtype=np.float32)
    moved *= size[:, None].astype(np.float32)
    fast = exact + moved
    best = fast.argmax(1)
    second, first = np.partition(fast, CLASSES - 2, axis=1)[:, -2:].T
    pivot = moved[np.arange(IMAGES), best]
    return Run(
        margin=first - second,
        deviation=np.maximum(moved.max(1) - pivot, pivot - moved.min(1)),
        changed=best != exact.argmax(1),
        outlier=outlier,
        spot=rng.random(IMAGES),
    )


def guard(run: Run, rule: Rule, rng: np.random.Generator) -> tuple[int, float]:
    """Wrong beliefs of a run, and the share of images computed in fp32."""
    exact = np.zeros(IMAGES, bool)
    exact[: rule.first] = True
    witnessed = run.outlier & (rng.random(IMAGES) < rule.seen)
    exact |= witnessed
    bound = _bound(run.deviation[: rule.first], rule)
    for start in range(rule.first, IMAGES, BATCH):
        at = slice(start, min(start + BATCH, IMAGES))
        exact[at] |= (run.margin[at] <= bound) | (run.spot[at] < rule.spots)
        bound = max(bound, _bound(run.deviation[: at.stop][exact[: at.stop]], rule))
    exact |= run.margin <= bound  # what was believed under a smaller bound
    return int((run.changed & ~exact).sum()), float(exact.mean())


def _bound(seen: np.ndarray, rule: Rule) -> float:
    factor = rule.factor
    if rule.hill:
        tail = np.sort(seen)[-max(8, int(HILL * len(seen))) :]
        slope = float(np.log(tail[1:] / tail[0]).mean())  # 1 / exponent
        factor = max(factor, (IMAGES / len(seen)) ** slope)
    return factor * float(seen.max())


def plant(model: Classifier, x: torch.Tensor, rng: np.random.Generator) -> int:
    """Make two channels fire for one image only, and cancel; in place. Returns the image."""
    block = getattr(model.backbone, f"layer{rng.integers(2, 5)}")[int(rng.integers(2))]
    loud, other = rng.choice(block.bn1.weight.shape[0], 2, replace=False)
    gain, unlike = 10 ** rng.uniform(2, 5), 10 ** rng.uniform(-4, -2)
    heard: list[torch.Tensor] = []
    hook = block.bn1.register_forward_hook(
        lambda *seen: heard.append(seen[2][:, loud].flatten(1).amax(1))
    )
    with torch.inference_mode():
        model(x)
    hook.remove()
    order = heard[0].argsort()
    norm, weight, after = block.bn1, block.conv1.weight, block.conv2.weight
    noise = torch.from_numpy(rng.standard_normal(weight[loud].shape)).float()
    with torch.no_grad():
        norm.bias[loud] -= heard[0][order[-2]]
        norm.weight[loud] *= gain
        norm.bias[loud] *= gain
        for values in (norm.weight, norm.bias, norm.running_mean, norm.running_var):
            values[other] = values[loud]
        weight[other] = weight[loud] * (1 + unlike * noise)
        after[:, other] = -after[:, loud]
    return int(order[-1])


def planted(networks: int) -> dict[str, int]:
    """How many single images deviate beyond the bound of the others, flip unseen, and are seen."""
    protocol, cpu = Protocol(resize=146, crop=128), torch.device("cpu")
    with tempfile.TemporaryDirectory() as folder:
        images = find_images(draw(Path(folder) / "mini", "val"))
        at = range(0, len(images), 8)
        crops = [decode_crop(images.read(i), protocol, images.files[i]) for i in at]
    labels = torch.tensor([images.labels[i] for i in at])
    x = normalise(torch.from_numpy(np.stack(crops)), protocol)
    found = dict.fromkeys(("networks", "deviate", "deviate_and_seen", "flip", "flip_and_seen"), 0)
    rng = np.random.default_rng(0)
    for number in tqdm(range(networks), "planted", disable=None):
        row = ("vanilla", "mixup", "cutmix")[number % 3]
        model = load(f"resnet18_w12.{row}_mini")
        one = plant(model, x, rng)
        fast, exact = fast_networks(model, "emulated-bf16", cpu)[0], exact_networks(model)[0]
        with torch.inference_mode():
            z, true = fast(x)["head0"], exact(x)["head0"]
        peaks, deviation = torch.stack(fast.peaks, 1).numpy(), deviations(z, true, labels).numpy()
        every = torch.arange(len(labels))
        rows = rank(z, labels, every, exact=False)
        changed = changes(rows, rank(true, labels, every, exact=True), labels.numpy())[one]
        others = np.arange(len(labels)) != one
        bound = SAFETY * deviation[others].max()
        reach = Reach()
        reach.observe(peaks[others])
        seen = bool(reach.exceeded(peaks[[one]])[0])
        deviates = bool(deviation[one] > bound)
        flips = bool(changed and min(rows.margin[one], rows.margin5[one]) > bound)
        for name, value in (("networks", True), ("deviate", deviates), ("flip", flips)):
            found[name] += value
            if name != "networks":
                found[f"{name}_and_seen"] += value and seen
    return found


def main() -> None:
    """Simulate, plant, print, write the JSON."""
    parser = argparse.ArgumentParser(description="Rules of the guard, on simulated runs.")
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--networks", type=int, default=120)
    default = Path(__file__).parent / "results/guard_rules.json"
    parser.add_argument("--out", type=Path, default=default)
    arguments = parser.parse_args()

    results: dict[str, dict[str, dict[str, float]]] = {}
    for kind in ERRORS:
        wrong: dict[str, list[int]] = {name: [] for name in RULES}
        cost: dict[str, list[float]] = {name: [] for name in RULES}
        for seed in tqdm(range(arguments.runs), kind, disable=None):
            run = simulate(kind, seed)
            for name, rule in RULES.items():
                flips, share = guard(run, rule, np.random.default_rng(seed))
                wrong[name].append(flips)
                cost[name].append(share)
        results[kind] = {
            name: {
                "runs_with_a_silent_flip": float(np.mean(np.array(wrong[name]) > 0)),
                "silent_flips_per_run": round(float(np.mean(wrong[name])), 3),
                "in_fp32": round(float(np.mean(cost[name])), 4),
            }
            for name in RULES
        }
        print(f"\n{kind}: runs with a silent flip, flips per run, share in fp32")
        for name, found in results[kind].items():
            print(
                f"  {name:20} {found['runs_with_a_silent_flip']:6.1%} "
                f"{found['silent_flips_per_run']:7.3f} {found['in_fp32']:7.1%}",
                flush=True,
            )
    networks = planted(arguments.networks)
    print(f"\nplanted: {networks}")
    result = {
        "runs": arguments.runs,
        "images": IMAGES,
        "classes": CLASSES,
        "outliers": results,
        "planted": networks,
        "machine": machine("mixzoo", "torch", "numpy"),
    }
    arguments.out.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
