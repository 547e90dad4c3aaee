"""`mixzoo eval compare`: which row is right more often, image by image on the same images."""

from pathlib import Path

import click

from ...zoo.catalog import open_catalog
from ...zoo.errors import UsageError
from ...zoo.net.progress import tell
from ..console import print_json, print_table, say
from ..options import complete_names, json_option, manifest_option, option


@click.command("compare")
@click.argument("refs", nargs=-1, required=True, metavar="REF...", shell_complete=complete_names)
@option("--against REF", "Compare the others with this one only.")
@option("--head HEAD", "Which head of AutoMix and SAMix to compare, or all of them.")
@option("--markdown", "Print Markdown instead of a table.")
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
    """Compare evaluated rows image by image, by a paired test.

    Each REF is a row or a checkpoint that was evaluated here, a report, or a folder of evidence,
    all on the same images; no model is run. With three rows and more every two are compared and the
    p-values are corrected.
    """
    from ...eval import compare
    from ...eval.kept import ALL_HEADS, rows_of

    if as_json and markdown:
        raise UsageError(
            "Both --json and --markdown were given; expected one of them. Leave one out."
        )
    if against is not None and head == ALL_HEADS:
        raise UsageError(
            "--head all: expected one head with --against, which names one row. Name the head."
        )
    catalog = open_catalog(manifests)
    rows, fast = rows_of(refs, catalog, head)
    if against not in (None, *(row.name for row in rows)):
        rows, fast = rows_of([*refs, against], catalog, head)
    pairs = compare.compare_rows(rows, against=against)
    if as_json:
        print_json(compare.to_dict(pairs))
    elif markdown:
        click.echo(compare.to_markdown(pairs), nl=False)
    else:
        print_table(
            compare.COLUMNS,
            [compare.cells(pair) for pair in pairs],
            right=compare.COLUMNS[2:8],
            whole=("B",),
            optional=("p", "95% interval", "Only A right", "Only B right"),
        )
        for line in ([pairs[0].sentence] if len(pairs) == 1 else []) + compare.legend(pairs):
            say(line)
    for name in fast if not as_json else ():
        text = f"{name}: evaluated with --precision fast, so a few predictions may not be fp32's."
        tell(text)
