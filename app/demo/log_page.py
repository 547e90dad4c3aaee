"""What the Logs tab shows: a training log's numbers by every rule, its audit, and its curves."""

from collections.abc import Sequence
from pathlib import Path

from markupsafe import Markup

from ...eval.logs import HEADINGS, RULES, Claim, LogAudit, audit_log, explain, read_log, rules
from ...viz.curves import curves_plot
from ...viz.runs import curves_words, read_run
from ...zoo.errors import DataError
from . import markup
from .plots import plot_for

NUMBERS = (*HEADINGS.values(), "Published")
MAX_BYTES = 8 << 20  # the logs of 100 epochs that are released take less than one million
MAX_ACCURACIES = 4000  # the k/N test takes a second for so many, and a minute for 60,000


def audit_upload(path: Path, claim: Claim) -> LogAudit:
    """Audit a visitor's file. claim: of the row that it is held against, if any.

    Raises DataError if it is too large for a page that many people use, or isn't a log; messages
    have the file's name only.
    """
    size = path.stat().st_size
    if size > MAX_BYTES:
        raise DataError(
            f"{path.name}: expected a log of at most {MAX_BYTES >> 20} MiB, got "
            f"{size / 2**20:.1f} MiB. On your own machine: mixzoo logs {path.name}"
        )
    try:
        log = read_log([path], path.name)
    except DataError as error:
        raise DataError(str(error).replace(str(path), path.name)) from None
    count = sum(len(v.accuracies) for v in (*log.validations, *log.replaced))
    if count > MAX_ACCURACIES:
        raise DataError(
            f"{path.name}: expected at most {MAX_ACCURACIES:,} accuracies, got {count:,}. On your "
            f"own machine: mixzoo logs {path.name}"
        )
    return audit_log(log, claim)


def page(audit: LogAudit, beside: Sequence[LogAudit] = ()) -> str:
    """One log's audit as HTML, with its curves. beside: further logs, whose curves are added."""
    runs = [read_run(one) for one in (audit, *beside)]
    return markup.page(
        _verdict(audit),
        _table(audit),
        _rules(audit),
        markup.heading("What the log shows"),
        markup.bullets(f"{sentence}." for sentence in explain(audit)),
        plot_for(
            "Training curves",
            {wide: curves_plot(runs, narrow=not wide) for wide in (True, False)},
            "curves",
            curves_words(runs),
        ),
    )


def _verdict(audit: LogAudit) -> Markup:
    return Markup('<p class="result">{}: {}</p>').format(
        audit.name, markup.verdict(audit.verdict, RULES[audit.verdict])
    )


def _table(audit: LogAudit) -> Markup:
    rows = [[head, *_cells(audit, head)] for head in audit.heads]
    return markup.table(("Head", *NUMBERS), rows, numbers=NUMBERS)


def _cells(audit: LogAudit, head: str) -> list[str]:
    """A head's number by every rule, those that give the published one marked."""
    claim = audit.claim
    cells = []
    for rule in HEADINGS:
        one = audit.summary(head, rule)
        text = f"{one.value:.{claim.decimals + 1}f}" if one else markup.EMPTY
        cells.append(f"{text} *" if one in audit.reproduced_by else text)
    return [*cells, markup.EMPTY if claim.top1 is None else f"{claim.top1:.{claim.decimals}f}"]


def _rules(audit: LogAudit) -> Markup:
    """The rules behind the columns and the verdicts."""
    words = rules(audit.horizon.epochs, audit.claim.last)
    used = {summary.rule for summary in audit.summaries}
    columns = {HEADINGS[rule]: text for rule, text in words.items() if rule in used}
    meant = markup.join([markup.heading("What the columns mean"), markup.definitions(columns)])
    judged = [
        markup.heading("What the verdict means"),
        markup.rules({audit.verdict: RULES[audit.verdict]}),
    ]
    note = markup.paragraph("Top-1 in percent. * rounds to the published number.", muted=True)
    return markup.join([note, markup.beside(meant, markup.join(judged))])
