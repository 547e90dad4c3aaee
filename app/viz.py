"""`mixzoo viz`: pictures of what the mixing methods do."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..zoo.errors import UsageError
from .console import say
from .options import FilePath, manifest_option

if TYPE_CHECKING:
    import torch

STATIC = "mixup,cutmix,saliencymix,fmix,resizemix"  # those that need no checkpoint
PAIRS_OF_MINI = ((18, 8), (36, 22), (4, 27))  # species that are drawn where no images are given


@click.group()
def commands() -> None:
    """Pictures of mixed samples."""


@commands.command("mix")
@click.argument("ref", required=False)
@click.option(
    "--images", type=FilePath, multiple=True, metavar="FILE", help="Two or more, taken in pairs."
)
@click.option("--methods", default=STATIC, show_default=True, help="Comma-separated names.")
@click.option("--lam", type=click.FloatRange(0, 1), default=0.5, show_default=True)
@click.option("--size", type=click.IntRange(64), default=224, show_default=True, help="Pixels.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@click.option("--out", type=FilePath, default=Path("mix.png"), show_default=True, metavar="FILE")
@manifest_option
def mix(
    ref: str | None,
    images: tuple[Path, ...],
    methods: str,
    lam: float,
    size: int,
    seed: int,
    out: Path,
    manifests: tuple[Path, ...],
) -> None:
    """Draw pairs of images mixed by each method, with masks and label weights.

    Without --images, pairs of the embedded benchmark's species. REF, a row or a checkpoint file,
    is needed for puzzlemix (its saliency) and for automix or samix (its MixBlock).
    """
    if out.suffix not in (".png", ".pdf", ".svg", ".jpg"):
        raise UsageError(f"--out {out}: expected a name ending in .png, .pdf, .svg or .jpg.")
    import numpy as np
    import torch

    from ..eval.protocol import normalise
    from ..train.mixing import mix_by_name
    from ..viz import draw_grid, mixed_tile, source_tile
    from ..zoo.catalog import open_catalog
    from ..zoo.load import load_resolved
    from ..zoo.manifest import Protocol
    from ..zoo.refs import resolve

    model = load_resolved(resolve(ref, open_catalog(manifests))) if ref else None
    names = [name.strip() for name in methods.split(",")]
    rng, swap = np.random.default_rng(seed), torch.tensor([1, 0])
    rows = []
    for pair in _pairs(images, size):
        x = normalise(pair, Protocol(resize=size, crop=size))  # (2, 3, size, size)
        mixes = {name: mix_by_name(name, x, swap, lam, rng, model) for name in names}
        sources = [source_tile(title, crop) for title, crop in zip("AB", pair, strict=True)]
        rows.append([*sources, *(mixed_tile(name, mixed) for name, mixed in mixes.items())])
    out.parent.mkdir(parents=True, exist_ok=True)
    draw_grid(rows).savefig(out, dpi=150)
    say(
        f"{out}: {len(rows)} {'pair' if len(rows) == 1 else 'pairs'}, lam {lam:g}, {', '.join(names)}"
    )


def _pairs(files: tuple[Path, ...], size: int) -> "list[torch.Tensor]":
    """Pairs of centre crops, each (2, size, size, 3) uint8."""
    import numpy as np
    import torch

    from ..eval.pixels import centre_crop, load_crop
    from ..zoo.manifest import Protocol
    from ..zoo.mini import example

    if len(files) % 2:
        raise UsageError(f"--images: expected an even number of files, got {len(files)}.")
    protocol = Protocol(resize=size * 8 // 7, crop=size)
    crops = [load_crop(file, protocol) for file in files]
    if not files:
        drawn = [example(species, 0) for pair in PAIRS_OF_MINI for species in pair]
        crops = [centre_crop(np.asarray(picture), protocol) for picture in drawn]
    return list(torch.from_numpy(np.stack(crops)).split(2))
