"""`mixzoo viz mix`: grids of mixed samples, with masks, label weights and a MixBlock's maps."""

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ...zoo.errors import UsageError
from ..console import say
from ..options import FilePath, manifest_option
from .inputs import MOST_PAIRS, Pairs, Reference, read_pairs, read_reference
from .options import (
    CommandWithLists,
    fractions,
    images_option,
    method_names,
    seed_option,
    size_option,
    theme_option,
    title_option,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ...viz.themes import Theme
    from ...zoo.nets import MixClassifier

STATIC = ("mixup", "cutmix", "saliencymix", "fmix", "resizemix")  # those that need no checkpoint
DOTS_PER_INCH = 200


@click.command("mix", cls=CommandWithLists, lists=("--images",))
@click.argument("ref", required=False)
@images_option
@click.option(
    "--methods",
    metavar="NAMES",
    help=f"Comma-separated. [default: {','.join(STATIC)}, and REF's own; for several lams REF's alone]",
)
@click.option(
    "--lams",
    "--lam",
    default="0.5",
    show_default=True,
    metavar="NUMBERS",
    help="Weights of A, comma-separated: several make a column each.",
)
@click.option("--maps", is_flag=True, help="The MixBlock's value and attention, too.")
@click.option(
    "--query",
    metavar="ROW,COLUMN",
    help="The cell of A whose attention --maps shows. [default: the least spread]",
)
@click.option(
    "--layout",
    type=click.Choice(["grid", "reference"]),
    default="grid",
    show_default=True,
    help="reference: three rows A, B, mixed, as in the releases' own pictures.",
)
@click.option(
    "--beside",
    type=FilePath,
    metavar="FILE",
    help="A released picture, or a zip of them, to stand beside --layout reference.",
)
@click.option("--entry", metavar="NAME", help="Which picture of the zip. [default: the last]")
@size_option
@seed_option
@theme_option
@title_option
@click.option("--out", type=FilePath, default=Path("mix.png"), show_default=True, metavar="FILE")
@manifest_option
def command(
    ref: str | None,
    images: tuple[Path, ...],
    methods: str | None,
    lams: str,
    maps: bool,
    query: str | None,
    layout: str,
    beside: Path | None,
    entry: str | None,
    size: int | None,
    seed: int,
    theme: str,
    title: str | None,
    out: Path,
    manifests: tuple[Path, ...],
) -> None:
    """Draw pairs mixed by each method, with masks.

    Below each mix stand its label weights and the mask as heat over it.

    Without --images, pairs of the embedded benchmark's species. REF, a row or a checkpoint file,
    is needed for puzzlemix (its saliency) and for automix or samix (its MixBlock). --out ends in
    .png, .svg, .pdf or .jpg.
    """
    from ...viz.save import figure_format, save_figure
    from ...viz.themes import theme_of

    figure_format(out)
    weights = fractions(lams, "--lams")
    _check_options(maps, methods, query, layout, beside, entry)
    found = read_reference(ref, manifests)
    several = len(weights) > 1
    names = [_with_block(found).method] if maps else _methods(methods, found, several=several)
    most = MOST_PAIRS // (len(names) if several else 1)
    pairs = read_pairs(images, size, found.benchmark, most)
    drawing = _Drawing(found, pairs, names, weights, seed, theme_of(theme), title)
    if layout == "reference":
        figure = drawing.reference(beside, entry)
    else:
        figure = drawing.maps(query) if maps else drawing.grid()
    save_figure(figure, out, dpi=DOTS_PER_INCH)
    count = len(pairs.pictures)
    shown = ", ".join(f"{one:g}" for one in weights)
    say(f"{out}: {count} {'pair' if count == 1 else 'pairs'}, lam {shown}, {', '.join(names)}")


def _check_options(
    maps: bool,
    methods: str | None,
    query: str | None,
    layout: str,
    beside: Path | None,
    entry: str | None,
) -> None:
    if maps and layout == "reference":
        raise UsageError("--maps: the reference's layout has no maps; leave out one of the two.")
    if maps and methods is not None:
        raise UsageError("--maps: leave out --methods; the maps are those of REF's own method.")
    if beside is not None and layout != "reference":
        raise UsageError("--beside: expected --layout reference, which is drawn like the releases.")
    if entry is not None and beside is None:
        raise UsageError("--entry: expected --beside with the zip that holds it.")
    if query is not None and not maps:
        raise UsageError("--query: expected --maps, which show its attention.")


def _methods(text: str | None, found: Reference, *, several: bool) -> list[str]:
    """The methods asked for; else those that need no checkpoint, and REF's own."""
    if text is not None:
        return method_names(text, found)
    learnt = [found.learnt.method] if found.learnt else []
    if several and learnt:
        return learnt
    if find_spec("cv2") is None:
        say("saliencymix is left out: it needs pip install 'mixzoo[saliency]'.")
        return [*(name for name in STATIC if name != "saliencymix"), *learnt]
    return [*STATIC, *learnt]


def _with_block(found: Reference) -> "MixClassifier":
    """REF's model, which has a MixBlock."""
    if found.learnt is None:
        got = f"{found.name} has none" if found.name else "got no REF"
        raise UsageError(f"--maps: expected a REF with a MixBlock (automix, samix), {got}.")
    return found.learnt


@dataclass(frozen=True)
class _Drawing:
    """What all layouts are made of; title: None is the layout's own."""

    found: Reference
    pairs: Pairs
    names: list[str]
    lams: list[float]
    seed: int
    theme: "Theme"
    title: str | None

    def grid(self) -> "Figure":
        """Pairs by methods, or by lams."""
        from ...viz.grid import draw_grid
        from ...viz.mix import mix_rows

        rows = mix_rows(
            self.pairs.pictures,
            self.names,
            self.lams,
            names=self.pairs.names,
            seed=self.seed,
            model=self.found.model,
            protocol=self.pairs.protocol,
        )
        lam = f"λ {self.lams[0]:g}" if len(self.lams) == 1 else ""  # else the columns say it
        return draw_grid(rows, self.theme, title=self._heading(self.found.title, lam))

    def maps(self, query: str | None) -> "Figure":
        """What the MixBlock sees."""
        from ...viz.grid import draw_grid
        from ...viz.maps import map_rows

        rows = map_rows(
            self.pairs.pictures,
            self.lams,
            model=_with_block(self.found),
            names=self.pairs.names,
            query=_cell(query) if query else None,
            protocol=self.pairs.protocol,
        )
        return draw_grid(rows, self.theme, title=self._heading(self.found.title, *self.names))

    def reference(self, beside: Path | None, entry: str | None) -> "Figure":
        """Three rows, a released picture beside them."""
        from ...viz.mix import mix_pair, reference_figure
        from ...viz.release import read_released

        if len(self.names) != 1 or len(self.lams) != 1:
            raise UsageError(
                f"--layout reference: expected one method and one lam, got {', '.join(self.names)} "
                f"and {len(self.lams)} lams. Name one with --methods."
            )
        other, other_name = read_released(beside, entry) if beside else (None, "")
        mixes = [
            mix_pair(
                *pair,
                self.names[0],
                self.lams,
                seed=self.seed + number,
                model=self.found.model,
                protocol=self.pairs.protocol,
            )[0]
            for number, pair in enumerate(self.pairs.pictures)
        ]
        return reference_figure(
            self.pairs.pictures,
            mixes,
            self.theme,
            title=self._heading(self.names[0], f"lambda={self.lams[0]:g}"),
            beside=other,
            beside_title=other_name,
        )

    def _heading(self, *words: str) -> str:
        return ", ".join(filter(None, words)) if self.title is None else self.title


def _cell(text: str) -> tuple[int, int]:
    try:
        row, column = (int(word) for word in text.split(","))
    except ValueError:
        raise UsageError(f"--query {text}: expected ROW,COLUMN, for example 3,4.") from None
    return row, column
