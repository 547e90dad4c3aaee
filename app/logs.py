"""`mixzoo logs`: what training logs say about published numbers, without a GPU."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..zoo.catalog import Benchmark, open_catalog
from ..zoo.errors import IntegrityError, MixzooError, SourceError, UsageError
from ..zoo.files import write
from ..zoo.manifest import Row
from .console import print_json, print_table, say
from .options import FilePath, json_option, manifest_option

if TYPE_CHECKING:
    from ..eval.logs import HeadAudit, LogAudit
    from ..eval.logs.sources import LogSource

    Job = Callable[[], LogSource]

HEADINGS = {  # rule of eval.logs.summaries -> column
    "median": "Median",
    "reference window": "Window",
    "reference AutoMix rule": "AutoMix",
    "last epoch": "Last",
    "best epoch": "Best",
}
NUMBERS = (*HEADINGS.values(), "Published", "Images")
COLUMNS = ("Log", "Head", *NUMBERS, "Verdict")


@click.command("logs")
@click.argument("refs", nargs=-1, metavar="[FILE|ROW]...")
@click.option("--row", "row_id", metavar="ROW", help="The row that FILEs are held against.")
@click.option("--join", is_flag=True, help="The FILEs are pieces of one run, as after a restart.")
@click.option("--all", "everything", is_flag=True, help="Every row whose log is in the cache.")
@click.option(
    "--benchmark", metavar="NAME", help="Every row of this one whose log is in the cache."
)
@click.option("--images", type=click.IntRange(1), help="Validation images, if not the row's.")
@click.option(
    "--epochs", type=click.IntRange(1, 99_999), help="Of the whole run, if not found out."
)
@click.option(
    "--last", type=click.IntRange(1), help="Last epochs to summarise, if not the table's."
)
@click.option("--out", type=FilePath, metavar="FILE.json", help="Write the audit as JSON, too.")
@manifest_option
@json_option
def command(
    refs: tuple[str, ...],
    row_id: str | None,
    join: bool,
    everything: bool,
    benchmark: str | None,
    images: int | None,
    epochs: int | None,
    last: int | None,
    out: Path | None,
    manifests: tuple[Path, ...],
    as_json: bool,
) -> None:
    """Audit training logs: every summary beside the table, and whether the values can be true.

    Reads mmcv's .log.json and text logs. A ROW's log is fetched if it isn't here; a row id or a
    benchmark names rows. Each accuracy is tested for being a whole number of images.

    Exits with 5 if values can't come from an honest evaluation, with 7 if a log can't be read; a
    number that isn't reproduced is a finding, not an error.
    """
    if out and out.suffix != ".json":
        raise UsageError(f"--out {out}: expected a name ending in .json.")
    from ..eval.logs import to_dict
    from ..eval.logs.sources import named

    catalog, missing = open_catalog(manifests), []
    if everything or benchmark:
        if refs or row_id or join:
            raise UsageError(
                "--all and --benchmark take every row; expected no FILE or ROW beside."
            )
        names = [catalog.benchmark(benchmark).name] if benchmark else []
        jobs, missing = _cached(catalog.select(names))
    else:
        if not refs:
            raise UsageError(
                "expected a FILE, a ROW, --benchmark NAME or --all. See: mixzoo logs --help"
            )
        jobs = named(refs, catalog, row_id, join=join)
    audits, errors = _audit(jobs, images=images, epochs=epochs, last=last)
    content = to_dict(audits, missing=missing, errors=[str(error) for error in errors])
    if out:
        out.parent.mkdir(parents=True, exist_ok=True)
        write(out, json.dumps(content, indent=2, ensure_ascii=False) + "\n")
    if as_json:
        print_json(content)
    else:
        print_audits(audits, missing)
    if out and not as_json:
        say(f"Audit: {out}")
    _raise_together(audits, errors)


def print_audits(audits: Sequence["LogAudit"], missing: Sequence[str] = ()) -> None:
    """Print one line per head, the rules behind the columns and verdicts, then what each log shows."""
    from ..eval.logs import explain, summaries, verdict

    if audits:
        print_table(
            COLUMNS,
            [_cells(audit, head) for audit in audits for head in audit.heads],
            right=NUMBERS,
            optional=_optional(audits),
        )
        say("* rounds to the published number. Top-1 in percent.")
        for end, last in dict.fromkeys((a.horizon.epochs, a.claim.last) for a in audits):
            for rule, words in summaries.rules(end, last).items():
                if any(s.rule == rule for a in audits for s in a.summaries):
                    say(f"{HEADINGS[rule]}: {words}.")
        used = {head.verdict.word for audit in audits for head in audit.heads}
        for word, rule in verdict.RULES.items():
            if word in used:
                say(f"{word}: {rule}.")
    for audit in audits:
        say(f"\n{audit.name}", style="bold")
        for sentence in explain(audit):
            say(f"- {sentence}.")
    if missing:
        say(f"\nNo log here of {len(missing)} rows: {', '.join(missing)}.", style="yellow")


def _optional(audits: Sequence["LogAudit"]) -> list[str]:
    """Columns that a narrow terminal can do without: never the statistic that a table names."""
    named = {HEADINGS[audit.claim.rule] for audit in audits}
    return [c for c in ("Images", "AutoMix", "Best", "Window", "Last", "Median") if c not in named]


def _cells(audit: "LogAudit", head: "HeadAudit") -> list[str]:
    """A line of the table."""
    claim, images = audit.claim, audit.arithmetic.images
    by = {summary.rule for summary in head.verdict.by}
    values = []
    for rule in HEADINGS:
        value = head.value(rule)
        text = "-" if value is None else f"{value:.{claim.decimals + 1}f}"
        values.append(text + ("*" if rule in by else " "))
    published = "-" if claim.top1 is None else f"{claim.top1:.{claim.decimals}f}"
    counted = f"{images:,}" if images else "?"
    return [audit.name, head.head, *values, published, counted, head.verdict.word]


def _cached(rows: Sequence[tuple[Benchmark, Row]]) -> tuple[list["Job"], list[str]]:
    """What reads the logs that are here, and the ids of the rows whose logs aren't."""
    from ..eval.logs.sources import from_row
    from ..zoo import shelf

    here = [entry for entry in rows if shelf.log(*entry).local]
    missing = [row.id for benchmark, row in rows if (benchmark, row) not in here]
    if not here:
        raise SourceError(
            f"no log of {len(missing)} rows is here. Fetch them: mixzoo zoo download NAME --logs; or "
            "adopt what a person fetched: mixzoo zoo import FILE..."
        )
    return [partial(from_row, *entry) for entry in here], missing


def _audit(
    jobs: Sequence["Job"], *, images: int | None, epochs: int | None, last: int | None
) -> tuple[list["LogAudit"], list[MixzooError]]:
    """Audit each log. One that can't be read doesn't stop the others."""
    from tqdm import tqdm

    from ..eval.logs import audit_files

    audits: list[LogAudit] = []
    errors: list[MixzooError] = []
    for job in tqdm(jobs, desc="logs", disable=None if len(jobs) > 1 else True, leave=False):
        try:
            source = job()
            claim = replace(
                source.claim,
                images=images or source.claim.images,
                last=last or source.claim.last,
            )
            audits.append(audit_files(source.paths, claim, epochs=epochs, name=source.name))
        except MixzooError as error:
            errors.append(error)
    return audits, errors


def _raise_together(audits: Sequence["LogAudit"], errors: Sequence[MixzooError]) -> None:
    """Raise what couldn't be read, or else what can't be true."""
    if len(errors) > 1:
        raise type(errors[0])(f"{len(errors)} logs failed, the first: {errors[0]}")
    for error in errors:
        raise error
    bad = [audit.name for audit in audits if not audit.arithmetic.is_possible]
    if bad:
        raise IntegrityError(
            f"the arithmetic of {len(bad)} of {len(audits)} logs is impossible: {', '.join(bad)}. "
            "The values are named above; compare with the release's own files."
        )
