"""`mixzoo logs`: what training logs say about published numbers, without a GPU."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..zoo import files
from ..zoo.errors import IntegrityError, UsageError
from .console import print_json, print_table, say
from .options import (
    Count,
    OutputFile,
    complete_names,
    json_option,
    manifest_option,
    option,
    together,
)

if TYPE_CHECKING:
    from ..eval.logs import LogAudit
    from ..eval.logs.sources import Audits


log_options = together(
    option("--row ROW", "The row that FILEs are held against."),
    option(
        "--join",
        "The FILEs are of one run: pieces, as after a restart, or its JSON and its text "
        "log, which are compared.",
    ),
    option(
        "--epochs", "Epochs of the whole run, if the log doesn't tell.", click.IntRange(1, 99_999)
    ),
    option("--last", "Number of last epochs to sum up, if not the table's.", Count),
    manifest_option,
)
"""What says which logs are meant, by names of `eval.logs.sources.Request`."""


@click.command("logs")
@click.argument("refs", nargs=-1, metavar="[FILE|ROW]...", shell_complete=complete_names)
@log_options
@option("--all", "Audit every row whose log is in the cache.", to="everything")
@option("--benchmark NAME", "Audit every row of this benchmark whose log is in the cache.")
@option("--images", "Number of validation images, if not the row's.", Count)
@option("--out FILE.json", "Write the audit as JSON, too.", OutputFile)
@json_option
def command(out: Path | None, as_json: bool, **request: Any) -> None:
    """Audit training logs against the published table.

    Shows every summary beside the table's number, and whether the values can be true. Reads JSON
    and text logs of mmcv and mmengine, DeiT's log.txt, and a CSV with a column epoch, as timm's and
    Lightning's. Two logs of one run (NAME.log and NAME.log.json, or with --join) are compared. A
    ROW's log is fetched if it isn't here; a row id or a benchmark names rows. Each accuracy is
    tested for being a whole number of images.

    Exits with 5 if values can't come from an honest evaluation, with 7 if a log can't be read; a
    number that isn't reproduced is a finding, not an error.
    """
    if out and out.suffix != ".json":
        raise UsageError(f"--out {out}: expected a name ending in .json. Rename it.")
    from ..eval.logs.sources import Request, audit_all

    found = audit_all(Request(**request))
    content = found.to_dict()
    if out:
        out.parent.mkdir(parents=True, exist_ok=True)
        files.write(out, json.dumps(content, indent=2, ensure_ascii=False) + "\n")
    if as_json:
        print_json(content)
    else:
        print_audits(found)
        if out:
            say(f"Audit: {out}")
    _raise_problems(found)


def print_audits(found: "Audits") -> None:
    """Print one line per head, the rules behind columns and verdicts, then what each log shows."""
    from ..eval.logs import HEADINGS, RULES, explain, rules

    audits = found.audits
    numbers = (*HEADINGS.values(), "Published", "Images")
    if audits:
        named = {HEADINGS[audit.claim.rule] for audit in audits}
        left_out = print_table(
            ("Log", "Head", *numbers, "Verdict"),
            [[audit.name, *line] for audit in audits for line in lines(audit)],
            right=numbers,
            # what a narrow terminal can do without: never the statistic that a table names
            optional=[
                column
                for column in ("Images", "AutoMix", "Best", "Window", "Last", "Median")
                if column not in named
            ],
        )
        say("* rounds to the published number. Top-1 in percent.")
        for end, last in dict.fromkeys((a.horizon.epochs, a.claim.last) for a in audits):
            for rule, words in rules(end, last).items():
                shown = HEADINGS[rule] not in left_out
                if shown and any(s.rule == rule for a in audits for s in a.summaries):
                    say(f"{HEADINGS[rule]}: {words}.")
        for word, meaning in RULES.items():
            if any(audit.verdict == word for audit in audits):
                say(f"{word}: {meaning}.")
    for audit in audits:
        say(f"\n{audit.name}", style="bold")
        for sentence in explain(audit):
            say(f"- {sentence}.")
        if audit.claim.top1 is None:
            say("- Name that row: --row ROW.")
    if found.missing:
        names = ", ".join(found.missing)
        say(f"\nThe logs of {len(found.missing)} rows aren't here: {names}.", style="yellow")


def lines(audit: "LogAudit") -> Sequence[Sequence[str]]:
    """A line for each head: its name, its numbers, and the verdict where the head carries it."""
    from ..eval.logs import HEADINGS

    claim, images = audit.claim, audit.arithmetic.images
    value, heads = audit.table_value, audit.heads
    carries = [head for head in heads if value and value is audit.summary(head, value.rule)]
    published = "-" if claim.top1 is None else f"{claim.top1:.{claim.decimals}f}"
    found = []
    for head in heads:
        cells = [head]
        for rule in HEADINGS:
            one = audit.summary(head, rule)
            text = f"{one.value:.{claim.decimals + 1}f}" if one else "-"
            cells.append(text + ("*" if one in audit.reproduced_by else " "))
        verdict = audit.verdict if head == (carries or heads)[0] else ""
        found.append([*cells, published, f"{images:,}" if images else "?", verdict])
    return found


def _raise_problems(found: "Audits") -> None:
    """Raise what couldn't be read, or else what can't be true."""
    errors = found.errors
    if len(errors) > 1:
        raise type(errors[0])(f"{len(errors)} logs failed, the first: {errors[0]}")
    for error in errors:
        raise error
    bad = [audit.name for audit in found.audits if not audit.arithmetic.is_possible]
    if bad:
        raise IntegrityError(
            f"the arithmetic of {len(bad)} of {len(found.audits)} logs is impossible: "
            f"{', '.join(bad)}. The values are named above; compare with the release's own files."
        )
