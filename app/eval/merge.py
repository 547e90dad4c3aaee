"""`mixzoo eval merge`: one report of the parts that several machines made."""

from pathlib import Path

import click

from ...zoo.catalog import open_catalog
from ...zoo.net.progress import tell
from ..options import FilePath, OutputFolder, OutputForms, json_option, manifest_option, option
from .evaluate import command as evaluate
from .evaluate import give


@click.command("merge")
@click.argument("parts", nargs=-1, required=True, type=FilePath, metavar="DIR...")
@option(
    "--out FILE.json",
    "Write the report; FILE.md, .html, .csv and .yaml are written beside it.",
    OutputForms,
)
@option("--evidence DIR", "Write all predictions, as mixzoo eval does.", OutputFolder)
@manifest_option
@json_option
def command(
    parts: tuple[Path, ...],
    out: Path | None,
    evidence: Path | None,
    manifests: tuple[Path, ...],
    as_json: bool,
) -> None:
    """Make one report of the parts of an evaluation.

    Each DIR is what mixzoo eval --shard N/OF --out DIR wrote; they may come in any order, and
    several times. Neither images nor weights are needed, but for what is said below. The report is
    that of one process, and what was predicted is kept for other commands. Where a part believed
    fast arithmetic under a smaller bound than another found, these images are computed again, if
    they are here. Missing parts are named, with the command that makes them.
    """
    from ...eval.parts import UnsettledError, merge

    try:
        merged = merge(parts, open_catalog(manifests))
    except UnsettledError as error:
        words = [*error.words[1:]]
        if "--data" in words and not Path(words[words.index("--data") + 1]).exists():
            raise
        tell("Some predictions must be computed again, under the largest bound of all parts.")
        named = {"--out": out, "--evidence": evidence, "--json": as_json or None}
        for name, value in named.items():
            words += [name, *([] if value is True else [str(value)])] if value else []
        evaluate.main(words, standalone_mode=False)
        return
    if evidence:
        merged.write_evidence(evidence)
    give(merged.report, out, evidence, as_json, manifests)
