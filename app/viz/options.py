"""What the `viz` commands share: how a figure is drawn into a file, options, words of options."""

from collections.abc import Callable, Collection
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ...zoo.errors import UsageError
from ..console import say
from ..options import FilePath, OutputFile, Seed, complete_names, manifest_option, option

if TYPE_CHECKING:
    from matplotlib.figure import Figure

theme_option = option(
    "--theme",
    "The ground that is drawn on, light or dark.",
    click.Choice(["light", "dark"]),
    default="light",
)
title_option = option(
    "--title TEXT", "Title above the whole picture; '' writes none.  [default: REF]"
)
narrow_option = option("--narrow", "Draw all panels below one another, for a column of text.")


def out_option(default: str) -> Callable:
    """`--out` of a command that draws. default: the file's name."""
    return option(
        "--out FILE",
        "File to draw into; its ending chooses the format.",
        OutputFile,
        default=Path(default),
    )


def picture_command(name: str, *, ref_required: bool = False) -> Callable:
    """Make a command of a function that is `given` a checkpoint and pictures (see `inputs.Given`).

    Adds REF, --images, --size and --manifest, and --seed, which goes to the function.
    """

    def decorate(draw: Callable) -> click.Command:
        @click.command(name, cls=CommandWithLists, lists=("--images",))
        @click.argument("ref", required=ref_required, shell_complete=complete_names)
        @option(
            "--images DIR|FILES",
            "Pictures, taken in pairs in the order given, those of a folder by name, or the "
            "demo's drawings (fox, owl, ...). REF stands before it.  "
            "[default: drawn species of the embedded benchmark]",
            FilePath,
            multiple=True,
        )
        @option(
            "--size",
            "Side of the square cut from each picture, in pixels.  "
            "[default: the row's own, or 224]",
            click.IntRange(64, 2048),
        )
        @option(
            "--seed",
            "Seed of what the methods draw: the place of a box, a spectrum, a grid.",
            Seed,
            default=0,
        )
        @manifest_option
        @wraps(draw)
        def command(
            ref: str | None,
            images: tuple[Path, ...],
            size: int | None,
            manifests: tuple[Path, ...],
            **arguments: Any,
        ) -> None:
            from .inputs import Given

            draw(given=Given(ref, images, size, manifests), **arguments)

        return command

    return decorate


def draws(default: str, *, dpi: int = 160) -> Callable:
    """Make a command of a function that takes a theme and returns a figure and what to say of it.

    Adds --theme and --out. The name that --out gives is looked at before anything is
    read; the figure is written in one step, and its file is named before the words.
    """

    def decorate(draw: "Callable[..., tuple[Figure, str]]") -> Callable:
        @theme_option
        @out_option(default)
        @wraps(draw)
        def command(theme: str, out: Path, **arguments: Any) -> None:
            from ...viz.save import named_format, save_figure
            from ...viz.themes import THEMES

            named_format(out)
            figure, words = draw(theme=THEMES[theme], **arguments)
            save_figure(figure, out, dpi=dpi)
            say(f"{out}: {words}")

        return command

    return decorate


class CommandWithLists(click.Command):
    """A command some of whose options take all values up to the next option, as shells expand
    `*.jpg`. lists: the names of these options, which are `multiple`.
    """

    def __init__(self, *arguments: Any, lists: Collection[str], **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.lists = lists

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Repeat such an option before each further value."""
        spread: list[str] = []
        taking, had = "", False
        for word in args:
            if word.startswith("-"):
                taking, had = word if word in self.lists else "", False
            elif taking and had:
                spread.append(taking)
            else:
                had = bool(taking)
            spread.append(word)
        return super().parse_args(ctx, spread)


def fractions(text: str, name: str) -> list[float]:
    """The comma-separated numbers of an option, each in [0, 1]. Raises UsageError for others."""
    try:
        numbers = [float(word) for word in text.split(",") if word.strip()]
    except ValueError:
        numbers = []
    if not numbers or not all(0 <= one <= 1 for one in numbers):
        raise UsageError(
            f"{name} {text}: expected numbers from 0 to 1, separated by commas. Write them so."
        )
    return numbers
