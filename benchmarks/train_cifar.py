"""Do all ten methods train, on real photographs, in a few minutes of one processor core each?

A small ResNet learns CIFAR-10's photographs in iNaturalist-2018's layout: 6,806 images with a long
tail (2,000 to 100 a class) for training, 300 of each class for validation, so chance is 10%. The
trainer is that of `mixzoo train`, the recipe the released one but for the length and k's momentum.
An interrupted benchmark goes on when it is started again; a finished one writes its table anew.

    python benchmarks/train_cifar.py [--data DIR] [--methods vanilla,automix] [--epochs 8]

Results: results/train_cifar.json, the curves in docs/, and the table inside docs/training.md.
"""

import argparse
import json
import os
import time
from pathlib import Path
from typing import Any

import torch
from guard import SHARED
from machine import machine
from mixzoo.eval.logs import BEST, LAST, MEDIAN, Claim, LogAudit, audit_files
from mixzoo.eval.statistics import wilson_interval
from mixzoo.train.claim import claimed, facts_of
from mixzoo.train.data import Data
from mixzoo.train.loop import train
from mixzoo.train.mixing import LEARNT_METHODS, METHODS
from mixzoo.train.recipe import Automix, Recipe
from mixzoo.train.run import How
from mixzoo.viz.curves import curves_plot
from mixzoo.viz.save import save_figure
from mixzoo.zoo.cache import data_path
from mixzoo.zoo.catalog import open_catalog
from mixzoo.zoo.data import find_images
from mixzoo.zoo.data.prepare import Request, prepare
from mixzoo.zoo.errors import MixzooError
from mixzoo.zoo.manifest import Dataset, Protocol, Split
from mixzoo.zoo.net.sources import Location

ALPHAS = {row.method: row.alpha for row in open_catalog().benchmark("inat2018").manifest.rows}

ROOT = Path(__file__).parents[1]
TEN = (*METHODS, *LEARNT_METHODS)
TRAIN, VAL = "train2018.json", "val2018.json"
DATASET = Dataset(
    name="cifar-inat2018",
    num_classes=10,
    image_tree="train_val2018",
    train=Split(annotations=[TRAIN]),
    val=Split(annotations=[VAL]),
)
PROTOCOL = Protocol(resize=32, crop=32)
BEGIN, END = "<!-- by benchmarks/train_cifar.py -->", "<!-- end -->"


def find_data(archives: Path) -> Data:
    """The images, unpacked into the cache. archives: the folder of the three .tar.gz files."""
    root = data_path(DATASET.name)
    annotations = [Location(archives / f"{name}.tar.gz") for name in (TRAIN, VAL)]
    archive = Location(archives / f"{DATASET.image_tree}.tar.gz")
    prepare(Request(DATASET, root, ("train", "val"), archive, annotations))
    return Data(
        find_images(root, root / TRAIN),
        find_images(root, root / VAL),
        PROTOCOL,
    )


def recipe_of(method: str, architecture: str, epochs: int) -> Recipe:
    """The released recipe, shortened.

    The released runs move k's momentum from 0.999 to 0.99999 in 171,000 steps. A run of about a
    thousand would end before k has left its first weights, so it moves from 0.9 to 0.999.
    """
    return Recipe(
        architecture,
        DATASET.num_classes,
        (method,),
        (ALPHAS[method] or 1.0,),
        epochs=epochs,
        batch_size=64,
        crop=PROTOCOL.crop,
        log_every=10,
        automix=Automix(momentum=0.9, momentum_end=0.999),
    )


def trained(recipe: Recipe, data: Data, out: Path) -> float:
    """Train a method, or go on training it. Returns processor seconds, of all attempts together.

    Attempts that were killed outright are not in it. Raises InterruptedRunError after a signal.
    """
    spent = out / "processor_seconds"
    before, began = float(spent.read_text()) if spent.exists() else 0.0, time.process_time()
    with claimed(out, facts_of(recipe.method, recipe, data)):
        try:
            train(recipe, data, out, recipe.method, How(workers=0))  # small files
        finally:
            spent.write_text(str(before + time.process_time() - began))
    return float(spent.read_text())


def audited(out: Path, method: str, data: Data) -> LogAudit:
    """What the log of a run says."""
    claim = Claim(images=len(data.val), train_images=len(data.train))
    return audit_files([out / f"{method}.log.json"], claim, name=method)


def numbers(audit: LogAudit, seconds: float, images: int) -> dict[str, Any]:
    """One method's row. images: of the validation split. Accuracies in percent."""
    of: dict[str, dict[str, float]] = {}
    for summary in audit.summaries:
        if summary.head in audit.log.heads:
            of.setdefault(summary.head, {})[summary.rule] = round(summary.value, 2)
    first = min(of, key=lambda head: head != "one_k")  # the one that inference uses
    low, high = wilson_interval(round(of[first][LAST] * images / 100), images)
    return {
        "head": first,
        "final": of[first][LAST],
        "interval_95": [round(low, 1), round(high, 1)],
        "median_of_last_five": of[first].get(MEDIAN),
        "best": of[first][BEST],
        "processor_seconds": round(seconds),
        "final_of_heads": {head: values[LAST] for head, values in of.items()},
    }


def markdown(result: dict[str, Any]) -> str:
    """What was trained, then two tables: methods, and the heads of those that have several."""
    images, facts = result["images"], result["machine"]
    lines = [
        f"`{result['command']}`: {result['architecture']}, {result['epochs']} epochs of "
        f"{images['train']:,} images, validated on {images['val']:,}; {facts['cpu']}, "
        f"{facts['torch_threads']} thread, torch {facts['torch']}. Top-1 in percent; chance is "
        f"{result['chance']:g}.",
        "",
        "| method | final | 95% interval | median of last five | best | processor time |",
        "|---|---|---|---|---|---|",
    ]
    for name, row in result["methods"].items():
        low, high = row["interval_95"]
        median = row["median_of_last_five"]
        lines.append(
            f"| {name} | {row['final']:.2f} | {low:.1f} to {high:.1f} "
            f"| {'-' if median is None else f'{median:.2f}'} | {row['best']:.2f} "
            f"| {row['processor_seconds'] / 60:.1f} min |"
        )
    several = {n: r["final_of_heads"] for n, r in result["methods"].items() if r["head"] == "one_k"}
    if several:
        heads = list(next(iter(several.values())))
        lines += ["", f"| final, by head | {' | '.join(heads)} |", "|---" * (len(heads) + 1) + "|"]
        lines += [
            f"| {name} | {' | '.join(f'{of[head]:.2f}' for head in heads)} |"
            for name, of in several.items()
        ]
    return "\n".join(lines)


def written(path: Path, text: str) -> None:
    """Write a file in one step."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.part")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)


def into_page(page: Path, table: str) -> None:
    """Put the table between the page's two marks, if the page has them."""
    text = page.read_text(encoding="utf-8") if page.exists() else ""
    before, mark, rest = text.partition(BEGIN)
    if mark and END in rest:
        after = rest.partition(END)[2]
        written(page, f"{before}{BEGIN}\n{table}\n{END}{after}")


def main() -> None:
    """Train, then write JSON, table and curves of what is finished."""
    parser = argparse.ArgumentParser(description="Ten methods on small photographs.")
    parser.add_argument("--data", type=Path, default=SHARED / "data/cifar-inat2018")
    parser.add_argument("--methods", default=",".join(TEN))
    parser.add_argument("--architecture", default="resnet18_cifar_w8")
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--runs", type=Path, default=ROOT / "runs/cifar")
    parser.add_argument("--docs", type=Path, default=ROOT / "docs", help="page and curves")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks/results/train_cifar.json")
    given = parser.parse_args()

    torch.set_num_threads(given.threads)
    data = find_data(given.data)
    methods, audits = {}, []
    for method in given.methods.split(","):
        out = given.runs / method
        seconds = trained(recipe_of(method, given.architecture, given.epochs), data, out)
        audits.append(audited(out, method, data))
        methods[method] = numbers(audits[-1], seconds, len(data.val))
        print(method, json.dumps(methods[method]), flush=True)
    result = {
        "command": f"python benchmarks/train_cifar.py --architecture {given.architecture} "
        f"--epochs {given.epochs} --threads {given.threads}",
        "architecture": given.architecture,
        "epochs": given.epochs,
        "images": {"train": len(data.train), "val": len(data.val)},
        "chance": 100 / DATASET.num_classes,
        "methods": methods,
        "load_average": os.getloadavg(),
        "machine": machine("mixzoo", "torch", "numpy"),
    }
    written(given.out, json.dumps(result, indent=2) + "\n")
    into_page(given.docs / "training.md", markdown(result))
    save_figure(curves_plot(audits), given.docs / "train_cifar.svg")


if __name__ == "__main__":
    try:
        main()
    except MixzooError as error:
        print(error)
        raise SystemExit(error.exit_code) from None
