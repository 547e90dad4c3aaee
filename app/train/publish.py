"""`mixzoo train publish`: a finished run as a row of a manifest of one's own."""

from pathlib import Path

import click

from ...zoo.catalog import open_catalog
from ..console import print_json, say
from ..options import FilePath, OutputFile, json_option, option


@click.command("publish")
@click.argument("run", type=FilePath, metavar="RUN")
@option(
    "--manifest FILE.toml",
    "The manifest to write into; it is made if it isn't there.",
    OutputFile,
    default="own.toml",
)
@option(
    "--id ROW",
    "Id of the row: architecture.method_TAG_manifest tells several runs of a method apart.",
    to="row_id",
)
@option(
    "--benchmark NAME|FILE.toml",
    "Benchmark that it was trained on, if it isn't named after a known row.",
)
@option("--force", "Replace a row that has other weights.")
@json_option
def command(
    run: Path, manifest: Path, row_id: str | None, benchmark: str | None, force: bool, as_json: bool
) -> None:
    """Make a finished RUN a row of a manifest of your own.

    A RUN is its folder, or its weights; runs of OpenMixup are taken too. Weights and log are
    copied beside the manifest and locked by their hashes; the row keeps the run's recipe, and its
    number is the log's, by the rule of the benchmark that the run was trained on. Everything that
    takes --manifest then works on the row: list, verify, eval, train, publish.
    """
    from ...train.result import publish

    added, summary = publish(run, manifest, row_id=row_id, benchmark=benchmark, force=force)
    if as_json:
        print_json(
            {
                "id": added.row.id,
                "reported_top1": added.row.reported_top1,
                "rule": summary.rule,
                "head": summary.head,
                "epochs": list(summary.epochs),
                "manifest": str(added.manifest),
                "files": [str(path) for path in added.files],
                "new": added.new,
            }
        )
        return
    rule = f"{summary.rule} of the log, {summary.head}"
    catalog = open_catalog([manifest])
    decimals = catalog.row(added.row.id)[0].manifest.metric.decimals
    say(f"{added.row.id}: {added.row.reported_top1:.{decimals}f} ({rule})", style="green")
    for path in (added.manifest, *added.files):
        say(f"  {path}")
    say("Recompute its number:")
    say(f"  {catalog.command('eval', added.row.id)}")
