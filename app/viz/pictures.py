"""`mixzoo viz mix|sweep|cam|release`: pictures of mixed samples, made here or released."""

from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ...zoo.catalog import open_catalog
from ...zoo.errors import UsageError
from ...zoo.looks import counted, printable
from ..console import say
from ..options import FilePath, PresentFile, complete_names, manifest_option, option
from .options import (
    draws,
    fractions,
    out_option,
    picture_command,
    theme_option,
    title_option,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ...viz.themes import Theme
    from .inputs import Given

STATIC = ("mixup", "cutmix", "saliencymix", "fmix", "resizemix")  # those that need no checkpoint
DOTS_PER_INCH = 200


@picture_command("mix")
@option(
    "--methods NAMES",
    "Mixing methods, separated by commas. "
    f" [default: {','.join(STATIC)}, and REF's own; for several lams REF's alone]",
)
@option(
    "--lams --lam NUMBERS",
    "Weights of picture A, separated by commas; several make a column each.",
    default="0.5",
)
@option(
    "--layout",
    "What is drawn. grid: mixes above their masks. maps: also the value map and the attention "
    "of REF's MixBlock. reference: three rows A, B, mixed, as in the releases' pictures. "
    "mix: one mixed picture alone, pixel by pixel. curve: how likely the classes of A and B are "
    "for REF, all along lam.",
    click.Choice(["grid", "maps", "reference", "mix", "curve"]),
    default="grid",
)
@option(
    "--beside FILE",
    "A released picture, or a zip whose last one is taken, to stand beside --layout reference.",
    PresentFile,
)
@title_option
@draws("mix.png", dpi=DOTS_PER_INCH)
def mix(
    given: "Given",
    methods: str | None,
    lams: str,
    layout: str,
    beside: Path | None,
    seed: int,
    title: str | None,
    theme: "Theme",
) -> "tuple[Figure, str]":
    """Draw pairs mixed by each method, with masks.

    Below each mix stand its label weights and the mask as heat over it.

    Without --images, pairs of the embedded benchmark's species. REF, a row or a checkpoint file,
    is needed for puzzlemix (its saliency) and for automix or samix (its MixBlock). --out ends in
    .png, .svg, .pdf or .jpg.
    """
    from ...viz.grid import draw_grid
    from ...viz.maps import map_rows
    from ...viz.mix import mix_rows, reference_figure
    from ...viz.release import read_released
    from ...viz.save import pixels_figure
    from .inputs import MOST_PAIRS

    weights = fractions(lams, "--lams")
    if layout == "maps" and methods is not None:
        raise UsageError("--layout maps: leave out --methods; the maps are of REF's own method.")
    if beside is not None and layout != "reference":
        raise UsageError(
            "--beside: expected --layout reference, which is drawn like the releases. Give both."
        )
    several = len(weights) > 1
    names = [given.with_block.method] if layout == "maps" else _methods(methods, given, several)
    if layout in ("reference", "mix") and (several or len(names) > 1):
        raise UsageError(
            f"--layout {layout}: expected one method and one lam, got {', '.join(names)} "
            f"and {counted(len(weights), 'lam')}. Name one with --methods."
        )
    if layout == "curve":
        return _curve(given, names, seed, title, theme)
    most = MOST_PAIRS // (len(names) if several else 1)
    pairs = given.pairs(1 if layout == "mix" else most)
    told = ", ".join(f"{one:g}" for one in weights)
    words = f"{counted(len(pairs.pictures), 'pair')}, lam {told}, {', '.join(names)}"
    if layout in ("reference", "mix"):
        swept = pairs.mixed(names[0], weights, seed=seed, model=given.model)
        mixes = [mixed for (mixed,) in swept]
        if layout == "mix":
            return pixels_figure(mixes[0].image, DOTS_PER_INCH), words
        heading = f"{names[0]}, lambda={told}" if title is None else title
        other = read_released(beside) if beside else None
        return reference_figure(pairs.pictures, mixes, theme, title=heading, beside=other), words
    if layout == "maps":
        told = names[0]
        rows = map_rows(pairs, weights, model=given.with_block)
    else:
        told = "" if several else f"λ {told}"  # columns say several
        rows = mix_rows(pairs, names, weights, seed=seed, model=given.model)
    heading = ", ".join(filter(None, (given.title, told))) if title is None else title
    return draw_grid(rows, theme, title=heading), words


def _curve(
    given: "Given", names: list[str], seed: int, title: str | None, theme: "Theme"
) -> "tuple[Figure, str]":
    """How likely the classes of A and B are all along lam, by the last method named."""
    from ...viz.along import along_lam, along_plot
    from ...zoo.data.classes import class_names

    if given.model is None:
        raise UsageError("--layout curve: expected a REF, whose classes they are. Name one.")
    pairs, model = given.pairs(1), given.model
    mixes, likely, (a, b) = along_lam(pairs, names[-1], model=model, seed=seed)
    known = class_names(given.benchmark) or [f"class {n}" for n in range(model.num_classes)]
    heading = f"{names[-1]} ({given.title})" if title is None else title
    words = f"{names[-1]}, {known[a]} and {known[b]}, all along lam"
    return along_plot(mixes, likely, (known[a], known[b]), theme, title=heading), words


def _methods(text: str | None, given: "Given", several: bool) -> list[str]:
    """The methods asked for; else those that need no checkpoint, and REF's own."""
    from .inputs import methods_here

    if text is not None:
        return given.methods(text)
    learnt = [given.learnt] if given.learnt else []
    if several and learnt:
        return learnt
    here = methods_here(learnt)
    if "saliencymix" not in here:
        say("saliencymix is left out: it needs pip install 'mixzoo[saliency]'.")
    return [name for name in here if name in STATIC or name in learnt]


@picture_command("sweep")
@option("--method TEXT", "The method that mixes.  [default: REF's own, else mixup]")
@option(
    "--steps", "Weights that are shown on the way from A to B.", click.IntRange(2, 200), default=31
)
@option("--fps", "Pictures shown in a second.", click.IntRange(1, 50), default=12)
@theme_option
@out_option("sweep.gif")
def sweep(
    given: "Given",
    method: str | None,
    steps: int,
    fps: int,
    seed: int,
    theme: str,
    out: Path,
) -> None:
    """Animate a pair from lam 1 to 0 and back.

    The mix, its mask and its label weights, for ever.

    --out ends in .gif, or in .mp4 where ffmpeg is installed. REF as in `mixzoo viz mix`.
    """
    from ...viz.film import film_format, save_film, sweep_frames
    from ...viz.themes import THEMES

    film_format(out)
    chosen = given.method(method, "mixup")
    pairs = given.pairs(most=1)
    names = pairs.names[0]
    lams = [1 - step / (steps - 1) for step in range(steps)]
    (mixes,) = pairs.mixed(chosen, lams, seed=seed, model=given.model)
    frames = sweep_frames(pairs.sources()[0], mixes, THEMES[theme])
    save_film(frames, out, fps=fps, total=steps)
    told = f"{2 * steps - 2} pictures at {fps} a second"
    say(f"{out}: {chosen}, {names[0]} and {names[1]}, {told}")


@picture_command("cam", ref_required=True)
@option("--method TEXT", "The method that mixes.  [default: REF's own, else cutmix]")
@option("--lam NUMBER", "Weight of picture A in the mix.", default="0.5")
@option(
    "--names FILE",
    "A categories.json or an annotation file that names the classes.",
    FilePath,
    to="names_file",
)
@title_option
@draws("cam.png", dpi=DOTS_PER_INCH)
def cam(
    given: "Given",
    method: str | None,
    lam: str,
    names_file: Path | None,
    seed: int,
    title: str | None,
    theme: "Theme",
) -> "tuple[Figure, str]":
    """Draw class activation maps of pairs and mixes.

    Below each map of A, B and their mix stand the class and its probability.

    REF is a row or a checkpoint file. Without --images, pairs of the embedded benchmark's species.
    """
    from ...viz.grid import draw_grid
    from ...viz.maps import cam_rows
    from ...zoo.data.classes import class_names

    weights = fractions(lam, "--lam")
    if len(weights) != 1:
        raise UsageError(f"--lam {lam}: expected one number. Give one.")
    assert given.model is not None
    assert given.checkpoint is not None
    chosen = given.method(method, "cutmix")
    pairs = given.pairs()
    known = class_names(given.benchmark, names_file)
    rows = cam_rows(pairs, chosen, weights[0], model=given.model, class_names=known, seed=seed)
    figure = draw_grid(rows, theme, title=title or given.title)
    return figure, f"{counted(len(rows), 'pair')}, {given.checkpoint.name}, {chosen}"


@click.command("release")
@click.argument("ref", metavar="ROW|FILE.zip", shell_complete=complete_names)
@option("--only PATTERN", "Names to keep, for example '*/epoch_9?.png'.")
@option("--first", "Number of pictures on the sheet, at most.", click.IntRange(1, 200), default=12)
@manifest_option
@draws("release.png", dpi=DOTS_PER_INCH)
def release(
    ref: str, only: str | None, first: int, manifests: tuple[Path, ...], theme: "Theme"
) -> "tuple[Figure, str]":
    """Draw a sheet of a released zip's pictures.

    Nothing is unpacked. ROW fetches its zip if it isn't here. A zip with one unsafe entry, or that
    would grow too much, is refused whole. All its names: mixzoo zoo unpack --list.
    """
    from ...viz.release import draw_sheet, list_pictures, read_pictures
    from ...zoo.refs import visualisations

    path = next(visualisations(ref, open_catalog(manifests)))
    listed = [one for one in list_pictures(path) if only is None or fnmatch(one.name, only)]
    if not listed:
        raise UsageError(
            f"{path.name}: no picture has a name like --only {only}. Change the pattern."
        )
    kept, title = listed[:first], printable(path.name)
    names = [printable(one.name) for one in kept]
    figure = draw_sheet(list(read_pictures(path, kept)), names, theme, title=title)
    return figure, f"{len(kept)} of {len(listed)} pictures of {title}"
