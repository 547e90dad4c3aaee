"""`mixzoo viz sweep`: a pair of images mixed while lam moves from A to B and back."""

from pathlib import Path

import click

from ..console import say
from ..options import FilePath, manifest_option
from .inputs import read_pairs, read_reference
from .options import (
    CommandWithLists,
    images_option,
    one_method,
    seed_option,
    size_option,
    theme_option,
)


@click.command("sweep", cls=CommandWithLists, lists=("--images",))
@click.argument("ref", required=False)
@images_option
@click.option("--method", help="One name. [default: REF's own, else mixup]")
@click.option(
    "--steps",
    type=click.IntRange(2, 200),
    default=31,
    show_default=True,
    help="Weights from A to B.",
)
@click.option("--fps", type=click.IntRange(1, 50), default=12, show_default=True)
@size_option
@seed_option
@theme_option
@click.option("--out", type=FilePath, default=Path("sweep.gif"), show_default=True, metavar="FILE")
@manifest_option
def command(
    ref: str | None,
    images: tuple[Path, ...],
    method: str | None,
    steps: int,
    fps: int,
    size: int | None,
    seed: int,
    theme: str,
    out: Path,
    manifests: tuple[Path, ...],
) -> None:
    """Animate a pair from lam 1 to 0 and back.

    The mix, its mask and its label weights, for ever.

    --out ends in .gif, or in .mp4 where ffmpeg is installed. REF as in `mixzoo viz mix`.
    """
    from ...viz.film import animation_format, save_animation, sweep_frames, there_and_back
    from ...viz.mix import mix_pair
    from ...viz.themes import theme_of

    animation_format(out)
    found = read_reference(ref, manifests)
    chosen = one_method(method, found, "mixup")
    pairs = read_pairs(images, size, found.benchmark, most=1)
    (a, b), names = pairs.pictures[0], pairs.names[0]
    lams = [1 - step / (steps - 1) for step in range(steps)]
    mixes = mix_pair(a, b, chosen, lams, seed=seed, model=found.model, protocol=pairs.protocol)
    frames = there_and_back(sweep_frames(a, b, mixes, theme_of(theme), names=names))
    count = 2 * steps - 2
    save_animation(frames, out, fps=fps, total=count)
    say(f"{out}: {chosen}, {names[0]} and {names[1]}, {count} pictures at {fps} a second")
