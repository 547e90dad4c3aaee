"""`mixzoo data`: the images that a benchmark is measured on."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import click

from ..zoo.catalog import open_catalog
from ..zoo.errors import DataError
from .console import say
from .options import FilePath, manifest_option

Splits = Literal["val", "train", "all"]


@click.group()
def commands() -> None:
    """Prepare the images of a benchmark."""


@commands.command("prepare")
@click.argument("benchmark")
@click.option("--root", type=FilePath, required=True, metavar="DIR", help="Folder for the images.")
@click.option("--split", type=click.Choice(["val", "train", "all"]), default="val")
@manifest_option
def prepare_command(benchmark: str, root: Path, split: Splits, manifests: tuple[Path, ...]) -> None:
    """Put the images and annotations of a BENCHMARK into a folder.

    Data sets that the package draws are drawn; of others, the official files are named.
    """
    prepare(benchmark, root, split, manifests)


def prepare(benchmark: str, root: Path, split: Splits, manifests: Sequence[Path] = ()) -> None:
    """Draw a data set below `root`. Raises DataError if the package doesn't draw it."""
    from ..zoo.mini import draw

    dataset = open_catalog(manifests).benchmark(benchmark).manifest.dataset
    if not dataset.drawn_by_package:
        files = ", ".join(file.name for file in dataset.files) or "its archives"
        raise DataError(
            f"{dataset.name} cannot be prepared by mixzoo yet: unpack {files}"
            f"{f' from {dataset.base_url}' if dataset.base_url else ''} below {root}, then: "
            f"mixzoo eval ROW --data {root}"
        )
    draw(root, split)
    say(f"{dataset.name} ({split}) is in {root}")
