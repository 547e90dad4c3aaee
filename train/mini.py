"""Retrains one row of the embedded benchmark: `python -m mixzoo.train.mini --method mixup --out DIR`.

The released rows come from seed 0 on one core of a laptop-sized machine.
"""

import argparse
from pathlib import Path

import torch

from ..zoo.cache import data_path
from ..zoo.dataset import from_annotations
from ..zoo.manifest import Protocol
from ..zoo.mini import draw, species
from .loop import Data, train
from .recipe import Recipe

PROTOCOL = Protocol(resize=146, crop=128, interpolation="bicubic")
ALPHAS = {"vanilla": 1.0, "mixup": 0.2}  # of the benchmark's table; vanilla draws none


def recipe(method: str, seed: int) -> Recipe:
    """The recipe of the row `resnet18_w6.<method>_mini`."""
    return Recipe(
        architecture="resnet18_w6",
        num_classes=len(species()),
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
