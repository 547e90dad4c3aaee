"""A report as pages: HTML in one self-contained file, and Markdown. All text is escaped.

The HTML fetches nothing and runs no script.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from ..eval import seeds
from ..eval.report import COLUMNS, Line, notes, table, warnings
from ..zoo.looks import FAILED, markdown_table, signed
from ..zoo.report import Report, Row
from .lanes import accuracy_plot, gap_plot, group_plot, reliability_plot
from .save import inline_svg

GROUPINGS = {
    "supercategory": "By supercategory",
    "shots": "By number of training images of the class",
}


def to_html(report: Report) -> str:
    """The page of a report."""
    from markupsafe import Markup

    lines, verdicts = table(report), Counter(row.verdict for row in report.rows)
    # Markup: what matplotlib wrote, which escapes the text that it is given.
    return _render(
        "report.html",
        report,
        tally=(verdicts + Counter({FAILED: len(report.failures)})).most_common(),
        lines=[_cells(line) for line in lines],
        numbers=(*COLUMNS[2:-1], *seeds.COLUMNS[3:7]),
        side=[place for place, line in enumerate(lines) if line.head is not line.row.judged],
        plots=[(title, Markup(svg)) for title, svg in _overview(report.rows)],
        seeds=[_with_look(seeds.COLUMNS, seeds.cells(one), one.reason) for one in report.seeds],
        sentences=[text for one in report.seeds for text in seeds.sentences(one)],
        details=[
            (row, [(title, Markup(svg)) for title, svg in _details(row, f"c{number}")])
            for number, row in enumerate(report.rows)
        ],
    )


def _cells(line: Line) -> dict[str, str | tuple[str, str]]:
    """Cells by column, as the macro `table` takes them; the verdict with its reason."""
    return _with_look(COLUMNS, line.cells, line.row.reason)


def _with_look(
    columns: Sequence[str], cells: Sequence[str], reason: str
) -> dict[str, str | tuple[str, str]]:
    *rest, word = cells
    return {**dict(zip(columns, rest, strict=False)), columns[-1]: (word, reason) if word else ""}


def to_markdown(report: Report) -> str:
    """The report as Markdown: table, rules, notes, provenance."""
    return _render(
        "report.md",
        report,
        table=markdown_table(COLUMNS, [line.cells for line in table(report)]),
        seeds=markdown_table(seeds.COLUMNS, [seeds.cells(one) for one in report.seeds]),
        sentences=[text for one in report.seeds for text in seeds.sentences(one)],
        notes=list(notes(report)),
        warnings=list(warnings(report)),
    )


def in_words(value: Any) -> str:
    """Plain data as text: `name value` pairs, nested ones in brackets, empty ones left out."""
    if isinstance(value, msgspec.Struct):
        value = msgspec.to_builtins(value)
    if isinstance(value, Mapping):
        inner = ((name, in_words(one)) for name, one in value.items())
        return ", ".join(
            f"{str(name).replace('_', ' ')} "
            f"{f'({text})' if isinstance(value[name], Mapping) else text}"
            for name, text in inner
            if text
        )
    if isinstance(value, list | tuple):
        return " ".join(map(in_words, value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    return "" if value is None else str(value)


def _render(template: str, report: Report, **values: Any) -> str:
    from .pages import environment

    pages = environment(markdown=template.endswith(".md"))
    pages.filters["words"] = in_words
    on = f" on {report.benchmark}" if report.benchmark else ""
    return pages.get_template(template).render(
        title=f"Top-1 recomputed{on}",
        report=report,
        several_heads=any(len(row.heads) > 1 for row in report.rows),
        weights=list({row.weights.sha256: row.weights for row in report.rows}.values()),
        provenance={
            name: getattr(report, name) for name in ("protocol", "data", "run", "versions")
        },
        **values,
    )


def _overview(rows: Sequence[Row]) -> Iterator[tuple[str, str]]:
    if rows:
        says = "; ".join(f"{row.id} {row.head} {row.judged.top1:.3f} percent" for row in rows)
        yield (
            "Published and recomputed",
            inline_svg(accuracy_plot(rows), "accuracy", f"Top-1: {says}"),
        )
    gaps = [(row, row.judged.gap_points) for row in rows]
    if judged := [(row, gap) for row, gap in gaps if gap is not None]:
        says = "; ".join(f"{row.id} {row.head} {signed(gap, 3)}" for row, gap in judged)
        yield "The gap", inline_svg(gap_plot(rows), "gap", f"Gap in points: {says}")


def _details(row: Row, name: str) -> Iterator[tuple[str, str]]:
    head = row.default
    for key, title in GROUPINGS.items():
        if groups := head.breakdown.get(key):
            says = "; ".join(f"{group.name} {group.accuracy:.2f} percent" for group in groups)
            yield title, inline_svg(group_plot(groups, head.top1), f"{name}-{key}", says)
    if head.calibration:
        title = f"Confidence (expected calibration error {head.calibration.ece:.4f})"
        figure = reliability_plot(head.calibration.bins)
        yield title, inline_svg(figure, f"{name}-confidence", title)
