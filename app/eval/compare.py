"""`mixzoo eval compare`: which row is right more often, image by image on the same images."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ...zoo.catalog import open_catalog
from ...zoo.errors import UsageError
from ..console import print_json, print_table, say
from ..options import json_option, manifest_option

if TYPE_CHECKING:
    from ...eval.compare import Pair


@click.command("compare")
@click.argument("refs", nargs=-1, required=True, metavar="REF...")
@click.option("--against", metavar="REF", help="Compare the others with this one only.")
@click.option("--head", metavar="HEAD", help="Of AutoMix and SAMix: a head's name, or all.")
@click.option("--markdown", is_flag=True, help="Print Markdown instead of a table.")
@manifest_option
@json_option
def command(
    refs: tuple[str, ...],
    against: str | None,
    head: str | None,
    markdown: bool,
    manifests: tuple[Path, ...],
    as_json: bool,
) -> None:
    """Compare evaluated checkpoints image by image.

    By a paired test, on the same images. Each REF must have been evaluated with mixzoo eval: the
    predictions are read from the store, no model is run. With three and more every two are compared
    and the p-values are corrected.
    """
    from ...eval.compare import compare_rows
    from ...eval.kept import ALL_HEADS, rows_of_refs

    if as_json and markdown:
        raise UsageError("Both --json and --markdown were given; expected one of them.")
    if against is not None and against not in refs:
        refs = (*refs, against)
    if len(refs) < 2:
        raise UsageError(f"{' '.join(refs)}: expected at least two REFs to compare, got one.")
    if against is not None and head == ALL_HEADS:
        raise UsageError("--head all: expected one head with --against, which names one row.")
    rows, fast = rows_of_refs(refs, open_catalog(manifests), head)
    show(compare_rows(rows, against=against), as_json=as_json, markdown=markdown)
    for name in fast if not as_json else ():
        text = f"{name}: evaluated with --precision fast, so a few predictions may not be fp32's."
        click.echo(text, err=True)


def show(pairs: "Sequence[Pair]", *, as_json: bool = False, markdown: bool = False) -> None:
    """Print what was found, with the rules and how far they reach."""
    from ...eval import compare

    if as_json:
        print_json(compare.to_dict(pairs))
        return
    if markdown:
        click.echo(compare.to_markdown(pairs), nl=False)
        return
    print_table(
        compare.COLUMNS,
        [compare.cells(pair) for pair in pairs],
        right=compare.COLUMNS[2:8],
        optional=("p", "95% interval"),
    )
    for line in (pair.sentence for pair in pairs) if len(pairs) == 1 else ():
        say(line)
    for line in compare.legend(pairs):
        say(line)
