"""`mixzoo eval check`: derive verdicts again from evidence, without images, weights or torch."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from msgspec import to_builtins

from ...zoo.catalog import open_catalog
from ..console import print_json, print_table, say
from ..options import FilePath, json_option, manifest_option, option, signed_by_option
from .evaluate import print_seeds

if TYPE_CHECKING:
    from ...eval.evidence import Checked
    from ...zoo.report import Row

SHOWN = 16  # digits of a digest in the table; --json and a folder by itself show all
COLUMNS = ("Row", "Head", "Correct", "Recomputed", "Published", "Verdict")
OF_EVIDENCE = ("Evidence", "Digest")


@click.command("check")
@click.argument("folders", nargs=-1, required=True, type=FilePath, metavar="FOLDER...")
@option("--pairs", "Compare every two rows by a paired test, too.")
@signed_by_option
@manifest_option
@json_option
def command(
    folders: tuple[Path, ...],
    pairs: bool,
    signed_by: Path | None,
    manifests: tuple[Path, ...],
    as_json: bool,
) -> None:
    """Derive verdicts again from what mixzoo eval --evidence wrote.

    Counts, intervals, breakdowns and the verdict are computed from the predictions and the list
    alone, and held against the report; the published number is that of the tables here. A folder
    that mixzoo sign signed must be as it was then. Exits with 5 if the evidence says anything else,
    or if its signature doesn't hold. Runs of a retrained row are judged together, by seeds.
    """
    from ...eval import compare, evidence, seeds, signed

    catalog = open_catalog(manifests)
    checked = [signed.check(folder, catalog, signed_by) for folder in evidence.find(folders)]
    named = [_named(one) for one in checked] if pairs else []
    compared = compare.compare_rows(named) if len(named) > 1 else ()
    judged = seeds.of_reports([one.report for one in checked if not one.problems], catalog)
    if as_json:
        found: dict[str, Any] = {"evidence": [_facts(one) for one in checked]}
        found |= {"seeds": to_builtins(judged)} if judged else {}
        print_json(found | (compare.to_dict(compared) if pairs else {}))
    else:
        print_table(
            (*COLUMNS, *OF_EVIDENCE),
            [
                [
                    *cells(one.row),
                    "differs" if one.problems else "intact",
                    one.digest[:SHOWN] or "-",
                ]
                for one in checked
            ],
            right=COLUMNS[2:5],
            optional=("Correct", "Digest"),
        )
        for one in checked if len(checked) == 1 else ():
            say(f"{one.row.verdict}: {one.row.reason}. {one.digest_in_words}")
        for said in dict.fromkeys(one.signature.said for one in checked if one.signature):
            say(f"The evidence {said}.")
        print_seeds(judged)
        for pair in compared:
            say(pair.sentence)
    for one in checked if not as_json else ():
        for problem in one.problems:
            say(f"{one.folder}: {problem}", style="yellow")
    evidence.require_sound(checked)
    if pairs:
        compare.require_alike(named)


def _named(one: "Checked") -> Any:
    from ...eval.compare import NamedPredictions

    return NamedPredictions(
        one.row.id, one.stored.heads[one.row.head], one.stored.key["list_sha256"]
    )


def _facts(one: "Checked") -> dict[str, Any]:
    by = one.signature
    return {
        "folder": str(one.folder),
        "row": one.row.id,
        "verdict": one.row.verdict,
        "digest": one.digest,
        "problems": list(one.problems),
        "signature": by and {"by": by.by, "trusted": by.trusted},
    }


def cells(row: "Row") -> list[str]:
    """A row that was judged again, by COLUMNS."""
    head = row.judged
    return [
        row.id,
        head.head,
        f"{head.correct} / {head.total}",
        f"{head.top1:.{row.decimals + 1}f}",
        "-" if row.reported_top1 is None else f"{row.reported_top1:.{row.decimals}f}",
        row.verdict,
    ]
