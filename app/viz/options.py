"""Options that the `viz` commands of pictures share, and what their words mean."""

from collections.abc import Collection
from typing import Any

import click

from ...zoo.errors import UsageError
from ..options import FilePath
from .inputs import Reference


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


images_option = click.option(
    "--images",
    type=FilePath,
    multiple=True,
    metavar="DIR|FILES",
    help="Pictures, taken in pairs in the order given, or those of a folder by name. "
    "REF stands before it.",
)
size_option = click.option(
    "--size",
    type=click.IntRange(64, 2048),
    help="Pixels of the crop's side. [default: the row's own, or 224]",
)
seed_option = click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
theme_option = click.option(
    "--theme", type=click.Choice(["light", "dark"]), default="light", show_default=True
)
title_option = click.option("--title", help="Written above all; '' writes none. [default: REF]")
names_option = click.option(
    "--names",
    type=FilePath,
    metavar="FILE",
    help="categories.json or annotations that name the classes.",
)


def fractions(text: str, name: str) -> list[float]:
    """The comma-separated numbers of an option, each in [0, 1]. Raises UsageError for others."""
    try:
        numbers = [float(word) for word in text.split(",") if word.strip()]
    except ValueError:
        numbers = []
    if not numbers or not all(0 <= one <= 1 for one in numbers):
        raise UsageError(f"{name} {text}: expected numbers from 0 to 1, separated by commas.")
    return numbers


def method_names(text: str, found: Reference) -> list[str]:
    """The comma-separated methods of an option.

    Raises UsageError for an unknown name, or one that needs another checkpoint.
    """
    from ...train.mixing import check_pictured

    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        raise UsageError("expected at least one method, got none.")
    for name in names:
        check_pictured(name, found.model)
    return names


def one_method(text: str | None, found: Reference, otherwise: str) -> str:
    """The one method of an option; by default REF's own, or `otherwise` where it has no MixBlock.

    Raises UsageError as `method_names`, and for several.
    """
    default = found.learnt.method if found.learnt else otherwise
    names = method_names(default if text is None else text, found)
    if len(names) != 1:
        raise UsageError(f"--method: expected one name, got {', '.join(names)}.")
    return names[0]
