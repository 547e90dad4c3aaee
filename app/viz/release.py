"""`mixzoo viz release`: the pictures in a release's zip of visualisations, listed or shown."""

from collections.abc import Sequence
from fnmatch import fnmatch
from pathlib import Path

import click

from ...zoo.catalog import open_catalog
from ...zoo.errors import UsageError
from ..console import print_json, print_table, printable, say
from ..options import FilePath, json_option, manifest_option
from .options import theme_option


@click.command("release")
@click.argument("ref", metavar="ROW|FILE.zip")
@click.option("--only", metavar="PATTERN", help="Names to keep, for example '*/epoch_9?.png'.")
@click.option(
    "--first",
    type=click.IntRange(1, 200),
    default=12,
    show_default=True,
    help="At most so many pictures.",
)
@click.option("--skip", type=click.IntRange(0), default=0, show_default=True, help="Pictures.")
@theme_option
@click.option(
    "--out", type=FilePath, metavar="FILE", help="Draw them on a sheet: .png, .svg, .pdf or .jpg."
)
@json_option
@manifest_option
def command(
    ref: str,
    only: str | None,
    first: int,
    skip: int,
    theme: str,
    out: Path | None,
    as_json: bool,
    manifests: tuple[Path, ...],
) -> None:
    """Browse a downloaded zip of visualisations.

    Nothing of it is unpacked. ROW fetches its zip if it isn't here. Without --out the pictures are listed. A zip with one
    unsafe entry, or that would grow too much, is refused whole.
    """
    from ...viz.release import draw_sheet, list_pictures, read_pictures
    from ...viz.save import figure_format, save_figure
    from ...viz.themes import theme_of
    from ...zoo.refs import visualisations

    if out is not None:
        figure_format(out)
    path = next(visualisations(ref, open_catalog(manifests), (".zip",)))
    listed = [one for one in list_pictures(path) if only is None or fnmatch(one.name, only)]
    if not listed[skip:]:
        raise UsageError(f"{path.name}: no picture left by --only {only or '*'} --skip {skip}.")
    if out is None:
        _list(path, [(one.name, one.size) for one in listed], as_json=as_json)
        return
    kept = listed[skip : skip + first]
    names = [printable(one.name) for one in kept]
    figure = draw_sheet(
        list(read_pictures(path, kept)), names, theme_of(theme), title=printable(path.name)
    )
    save_figure(figure, out, dpi=200)
    say(f"{out}: {len(kept)} of {len(listed)} pictures of {printable(path.name)}")


def _list(path: Path, pictures: Sequence[tuple[str, int]], *, as_json: bool) -> None:
    if as_json:
        print_json([{"name": name, "size": size} for name, size in pictures])
        return
    rows = [(printable(name), f"{size:,}") for name, size in pictures]
    print_table(("Picture", "Bytes"), rows, right=("Bytes",))
    say(f"{printable(path.name)}: {len(pictures)} pictures. To see them: --out sheet.png")
