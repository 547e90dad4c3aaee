"""`mixzoo explain`: why a number isn't the published one."""

from typing import TYPE_CHECKING, Any

import click
import msgspec

from ...zoo.looks import cause_in_words
from ..console import print_json, print_table, say
from ..options import FilePath, evaluation_options, json_option, manifest_option, option

if TYPE_CHECKING:
    from ...eval.explain import Explained


@click.command("explain")
@click.argument("refs", nargs=-1, required=True, metavar="REPORT|REF...")
@evaluation_options
@option("--row ROW", "The row that a checkpoint file is judged against.")
@option("--log FILE", "The training log of the checkpoint.", FilePath)
@option(
    "--images N",
    "Images on which other pixels are tried; 0 tries none.",
    click.IntRange(0, 1_000_000),
    default=1000,
)
@option("--fresh", "Predict again what an earlier run predicted.")
@manifest_option
@json_option
def command(device: str, images: int, as_json: bool, **request: Any) -> None:
    """Say why a number isn't the published one.

    A REF is a row or a checkpoint file; of a REPORT, as mixzoo eval --out wrote it, those rows are
    explained whose numbers are off. All known causes are gone through: labels, list, the file and
    what it says of itself, the training log, the other rows. With images at hand, other colours,
    normalisations, crops, sizes and interpolations are tried on some of them. A finding is no
    error.
    """
    from ...eval.evaluate import Request
    from ...eval.explain import explain_all
    from ...eval.world import join

    with join(device) as world:
        found = list(explain_all(Request(**request), world, images=images))
    if as_json:
        print_json({"explained": msgspec.to_builtins(found)})
        return
    for one in found:
        print_explained(one)
    if not found:
        say("Every number in it is the published one, or has none to be compared with.")


def print_explained(one: "Explained") -> None:
    """Print the verdict, what was found with its evidence, and what couldn't be told."""
    say(f"{one.id}: {one.verdict}: {one.reason}." if one.verdict else f"{one.id}:")
    found = [cause for cause in one.causes if cause.state == "found"]
    for cause in found[:1]:
        say(f"{cause_in_words(cause)}", style="yellow")
    if not found:
        say("No cause was found.")
    shown = found or [cause for cause in one.causes if cause.state == "open"]
    if shown:
        left_out = print_table(
            ("Cause", "State", "Likelihood", "What shows it, or would", "Next"),
            [
                (
                    cause.key,
                    cause.state,
                    f"{cause.likelihood:.3f}" if cause.state == "found" else "",
                    cause.sentence,
                    cause.command or "",
                )
                for cause in shown
            ],
            right=("Likelihood",),
            optional=("Next",),
        )
        commands: dict[str, list[str]] = {}
        for cause in shown[len(found[:1]) :]:  # the likeliest one's is told above
            commands.setdefault(cause.command or "", []).append(cause.key)
        for words, keys in commands.items() if "Next" in left_out else ():
            if words:
                say(f"Next ({', '.join(keys)}): {words}")
    for state in ("open", "ruled out") if one.verdict else ():
        keys = [cause.key for cause in one.causes if cause.state == state and cause not in shown]
        if keys:
            say(f"{state.capitalize()}: {', '.join(keys)}.")
    if one.tried:
        say(f"Other pixels were tried on {one.tried} images.")
