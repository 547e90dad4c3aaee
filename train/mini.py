"""Remakes a row of the embedded benchmark: `python -m mixzoo.train.mini --method mixup --out DIR`.

It trains on one thread of a CPU, whose sums have one order, so that the same processor and torch
version give the same weights again; others round differently and so train another network.
"""

import argparse
from pathlib import Path

import torch

from ..zoo.cache import data_path
from ..zoo.catalog import open_catalog
from ..zoo.data import from_annotations
from ..zoo.manifest import Row
from ..zoo.mini import draw
from .loop import train
from .recipes import recipe_of
from .run import Data

MANIFEST = open_catalog().benchmark("mini").manifest


def row_of(method: str) -> Row:
    """The row of a method."""
    return next(row for row in MANIFEST.rows if row.method == method)


def images(root: Path) -> Data:
    """The benchmark's images in the folder `root`, drawn where they are missing."""
    draw(root, "all")
    return Data(
        train=from_annotations(root, root / "train2018.json"),
        val=from_annotations(root, root / "val2018.json"),
        protocol=MANIFEST.protocol,
    )


def main() -> None:
    """Train one row, or go on training it."""
    parser = argparse.ArgumentParser(prog="python -m mixzoo.train.mini", description=__doc__)
    methods = [row.method for row in MANIFEST.rows]
    parser.add_argument("--method", choices=methods, required=True)
    parser.add_argument("--out", type=Path, required=True, help="folder for weights and log")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()

    torch.set_num_threads(1)
    row = row_of(arguments.method)
    recipe = recipe_of(MANIFEST, row, seed=arguments.seed)
    out = arguments.out / row.id
    out.mkdir(parents=True, exist_ok=True)
    print(train(recipe, images(data_path("mini")), out, row.id))


if __name__ == "__main__":
    main()
