"""What stands behind the Table tab's numbers: of a row here, and a visitor's own, judged again."""

import zipfile
from collections.abc import Iterator
from io import BytesIO
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

from ...eval import signed
from ...eval.evidence import INDEX, Checked
from ...eval.kept import write_evidence
from ...eval.logs import LogAudit, explain
from ...eval.report import RULES, judged_again, reason
from ...zoo.archive import list_archive, unpack
from ...zoo.catalog import Benchmark, Catalog
from ...zoo.errors import IntegrityError
from ...zoo.looks import signed as with_sign
from ...zoo.manifest import Row as TableRow
from ...zoo.report import Head, Row, read_report
from ..eval.check import COLUMNS, cells
from . import limits
from .html import as_cell, as_sentences, number, render
from .recomputed import Recomputed

LOG_SENTENCES = 3  # what was read, what gives the published number, the arithmetic
WORD_OF_A_REPORT = (
    "A report holds counts, not predictions: that they were counted is its word alone. Its numbers "
    "fit one another, and the verdict is derived from them by the tables here, without its log."
)


def about(
    benchmark: Benchmark, row: TableRow, found: Recomputed | None, audit: LogAudit | None
) -> dict[str, str]:
    """What a row's numbers come from: heading -> words."""
    manifest = benchmark.manifest
    published = number(row.reported_top1, manifest.metric.decimals) or "no number"
    known = {"Published": ", ".join(filter(None, (published, manifest.title, manifest.homepage)))}
    if audit:
        known["Its log"] = " ".join(as_sentences(islice(explain(audit), LOG_SENTENCES)))
    if found:
        report, judged = found.report, found.row.judged
        how = judged.precision.get("precision", "precision not told")
        made_by = f"mixzoo {report.versions.get('mixzoo', '?')}, torch {report.versions.get('torch', '?')}"
        known |= {
            "Recomputed": "; ".join(_counts(head) for head in found.row.heads),
            "Verdict": f"{found.row.verdict}: {reason(found.row)}",
            "Made": f"{report.created}, {how}, by {made_by}; {found.source}",
            "Images": f"{report.data.images:,}, list sha256 {report.data.list_sha256}",
            "Weights": f"{found.row.weights.file}, sha256 {found.row.weights.sha256}",
        }
    return known


def _counts(head: Head) -> str:
    """What a head got right, and what its log says of it."""
    low, high = head.interval95
    logged = f", {head.logged.top1:.2f} in its log" if head.logged else ""
    images = "" if head.gap_images is None else f", {with_sign(head.gap_images, 1)} images"
    return (
        f"head {head.head}: {head.correct:,} of {head.total:,} images ({head.top1:.2f}%{images}; "
        f"of other images of the kind {low:.2f} to {high:.2f}{logged})"
    )


def packed(benchmark: Benchmark, row: TableRow) -> bytes:
    """The evidence of a row that was evaluated here, as a zip that `check` and the page take.

    Raises UsageError if no evaluation of it is kept here.
    """
    content = BytesIO()
    with (
        TemporaryDirectory() as folder,
        zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as zipped,
    ):
        written = write_evidence(benchmark, row, Path(folder))
        for path in sorted(written.iterdir()):
            zipped.write(path, f"{written.name}/{path.name}")
    return content.getvalue()


def check(path: Path, catalog: Catalog) -> str:
    """Judge a visitor's file again, as HTML: a zip of evidence or a report.

    Raises IntegrityError for a zip that is too large or holds no evidence, and what
    `signed.check`, `archive.unpack` and `read_report` raise.
    """
    if not zipfile.is_zipfile(path):
        report = read_report(path)
        rows = [judged_again(report, row, catalog) for row in report.rows]
        return _page(rows, [], [WORD_OF_A_REPORT])
    unpacked = sum(entry.size for entry in list_archive(path).entries)
    if unpacked > limits.MAX_UNPACKED:
        raise IntegrityError(
            f"{path.name}: expected at most {limits.MAX_UNPACKED >> 20} MiB when unpacked, got "
            f"{unpacked >> 20} MiB. Do it on your own machine: mixzoo eval check FOLDER"
        )
    with TemporaryDirectory() as folder:
        place = Path(folder, "evidence")
        unpack(path, place)
        folders = sorted(index.parent for index in place.rglob(INDEX))
        if not folders:
            raise IntegrityError(
                f"{path.name}: expected a zip of a folder that `mixzoo eval --evidence` wrote, "
                f"with {INDEX} in it. Upload such a zip."
            )
        checked = [signed.check(one, catalog) for one in folders[: limits.MAX_CHECKED]]
    problems = [f"{one.row.id}: {text}" for one in checked for text in one.problems]
    return _page([one.row for one in checked], problems, [*_said(checked)])


def _page(rows: list[Row], problems: list[str], sentences: list[str]) -> str:
    """What was judged, as HTML."""
    lines = [
        {name: as_cell(cell) for name, cell in zip(COLUMNS, cells(row), strict=True)}
        | {"Verdict": (row.verdict, row.reason)}
        for row in rows
    ]
    rules = {row.verdict: RULES[row.verdict] for row in rows if row.verdict in RULES}
    return render(
        "check.html",
        lines=lines,
        numbers=COLUMNS[2:5],
        reasons={row.id: f"{row.verdict}: {row.reason}" for row in rows},
        rules=rules,
        problems=problems,
        sentences=sentences,
    )


def _said(checked: list[Checked]) -> Iterator[str]:
    """What the evidence says beside its rows: whether it is intact, its digest, who signed it."""
    for one in checked:
        state = "differs from what it gives" if one.problems else "is intact: all follows from it"
        yield f"{one.row.id}: the evidence {state}. {one.digest_in_words}"
        if one.signature:
            yield f"{one.row.id}: the evidence {one.signature.said}."
