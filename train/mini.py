"""Retrains one row of the embedded benchmark: `python -m mixzoo.train.mini --method mixup --out DIR`.

With seed 0, vanilla ends at 753 and mixup at 735 of 1,000 validation images, each after 6 minutes
on one core. Another processor or torch version rounds differently and so trains another network.
"""

import argparse
from pathlib import Path

import torch

from ..zoo.cache import data_path
from ..zoo.catalog import open_catalog
from ..zoo.data import from_annotations
from ..zoo.mini import draw
from .loop import Data, train
from .recipe import Recipe

MANIFEST = open_catalog().benchmark("mini").manifest
PROTOCOL = MANIFEST.protocol
ALPHAS = {row.method: row.alpha or 1.0 for row in MANIFEST.rows}  # vanilla draws none


def recipe(method: str, seed: int) -> Recipe:
    """The recipe of the row `resnet18_w6.<method>_mini`."""
    return Recipe(
        architecture="resnet18_w6",
        num_classes=MANIFEST.dataset.num_classes,
        method=method,
        alpha=ALPHAS[method],
        epochs=60,
        batch_size=64,
        crop=PROTOCOL.crop,
        seed=seed,
    )


def main() -> None:
    """Draw the images where they are missing, then train on one thread of the CPU."""
    parser = argparse.ArgumentParser(prog="python -m mixzoo.train.mini", description=__doc__)
    parser.add_argument("--method", choices=ALPHAS, required=True)
    parser.add_argument("--out", type=Path, required=True, help="folder for weights and log")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()

    torch.set_num_threads(1)  # sums in one order: the same seed gives the same weights
    root = draw(data_path("mini"), "all")
    data = Data(
        train=from_annotations(root, root / "train2018.json"),
        val=from_annotations(root, root / "val2018.json"),
        protocol=PROTOCOL,
    )
    chosen = recipe(arguments.method, arguments.seed)
    name = f"{chosen.architecture}.{chosen.method}_mini"
    print(train(chosen, data, arguments.out, name, torch.device("cpu")))


if __name__ == "__main__":
    main()
