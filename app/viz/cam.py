"""`mixzoo viz cam`: where a classifier sees its classes in two images and in their mix."""

from pathlib import Path

import click

from ...zoo.errors import UsageError
from ..console import say
from ..options import FilePath, manifest_option
from .inputs import class_names, read_pairs, read_reference
from .mix import DOTS_PER_INCH
from .options import (
    CommandWithLists,
    fractions,
    images_option,
    names_option,
    one_method,
    seed_option,
    size_option,
    theme_option,
    title_option,
)


@click.command("cam", cls=CommandWithLists, lists=("--images",))
@click.argument("ref")
@images_option
@click.option("--method", help="That mixes. [default: REF's own, else cutmix]")
@click.option("--lam", default="0.5", show_default=True, metavar="NUMBER", help="Weight of A.")
@names_option
@size_option
@seed_option
@theme_option
@title_option
@click.option("--out", type=FilePath, default=Path("cam.png"), show_default=True, metavar="FILE")
@manifest_option
def command(
    ref: str,
    images: tuple[Path, ...],
    method: str | None,
    lam: str,
    names: Path | None,
    size: int | None,
    seed: int,
    theme: str,
    title: str | None,
    out: Path,
    manifests: tuple[Path, ...],
) -> None:
    """Draw class activation maps of pairs and mixes.

    Below each map of A, B and their mix stand the class and its probability.

    REF is a row or a checkpoint file. Without --images, pairs of the embedded benchmark's species.
    """
    from ...viz.grid import draw_grid
    from ...viz.maps import cam_rows
    from ...viz.save import figure_format, save_figure
    from ...viz.themes import theme_of

    figure_format(out)
    weights = fractions(lam, "--lam")
    found = read_reference(ref, manifests)
    assert found.model is not None
    chosen = one_method(method, found, "cutmix")
    if len(weights) != 1:
        raise UsageError(f"--lam {lam}: expected one number.")
    pairs = read_pairs(images, size, found.benchmark)
    rows = cam_rows(
        pairs.pictures,
        chosen,
        weights[0],
        model=found.model,
        names=pairs.names,
        class_names=class_names(found.benchmark, names),
        seed=seed,
        protocol=pairs.protocol,
    )
    save_figure(
        draw_grid(rows, theme_of(theme), title=title or found.title), out, dpi=DOTS_PER_INCH
    )
    say(f"{out}: {len(rows)} {'pair' if len(rows) == 1 else 'pairs'}, {found.name}, {chosen}")
