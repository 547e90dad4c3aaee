"""`mixzoo eval sweep`: which protocol explains a published number?"""

from typing import TYPE_CHECKING, Any

import click

from ...zoo.looks import signed
from ..console import print_json, print_table, say
from ..options import complete_names, evaluation_options, json_option, manifest_option, option

if TYPE_CHECKING:
    from ...eval.sweep import Outcome, Sweep


@click.command("sweep")
@click.argument("ref", shell_complete=complete_names)
@evaluation_options
@option("--row ROW", "The row whose number a checkpoint file shall explain.")
@manifest_option
@json_option
def command(ref: str, device: str, as_json: bool, **options: Any) -> None:
    """Find the protocol that explains a published number.

    Crop ratios, interpolations, heads and arithmetics are tried in all combinations. Each is first
    looked at on the images that are likeliest to change and on a random sample; only those that can
    still explain the number are evaluated on all images.
    """
    from ...eval.evaluate import Request
    from ...eval.sweep import sweep
    from ...eval.world import join

    with join(device) as world:
        found = sweep(Request(refs=[ref], **options), world)
    if world.leads:
        print_json(found.to_dict()) if as_json else print_sweep(found)


def print_sweep(found: "Sweep") -> None:
    """Print the variants, those that change least first, and what they say together."""
    digits = found.metric.decimals
    print_table(
        ("Variant", "Head", "Correct", "Top-1", "Gap", "Verdict"),
        [_cells(outcome, found.reported, digits) for outcome in found.outcomes],
        right=("Correct", "Top-1", "Gap"),
        optional=("Correct", "Gap"),
    )
    say(f"{found.id}: published {found.reported:.{digits}f}.")
    for sentence in found.sentences:
        say(sentence)


def _cells(outcome: "Outcome", reported: float, digits: int) -> tuple[str, ...]:
    low, high = outcome.limits
    correct, top1 = "-", f"{low:.{digits}f} to {high:.{digits}f}"
    gap = f"{signed(low - reported, digits)} to {signed(high - reported, digits)}"
    if outcome.counts:
        correct = f"{outcome.counts.correct} / {outcome.counts.total}"
        top1, gap = f"{low:.{digits + 1}f}", signed(low - reported, digits + 1)
    return (str(outcome), outcome.head, correct, top1, gap, outcome.verdict)
