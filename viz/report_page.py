"""A report as one self-contained HTML page: nothing is fetched, no script runs, all text is escaped."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from importlib import resources
from typing import Any

from ..eval.verdict import AS_LOGGED, DIFFERS, NEAR, NOT_REPRODUCED, REPRODUCED
from ..zoo.errors import ManifestError
from .lanes import accuracy_plot, gap_plot, group_plot, reliability_plot
from .save import inline_svg

TEMPLATE = "report_page.html"
GROUPINGS = {
    "supercategory": "By supercategory",
    "shots": "By number of training images of the class",
}
# verdict -> CSS class, sign; the sign tells it without colour
LOOKS = {
    REPRODUCED: ("good", "✓"),
    AS_LOGGED: ("good", "✓"),
    NEAR: ("near", "≈"),
    DIFFERS: ("odd", "≠"),
    NOT_REPRODUCED: ("bad", "✗"),
}
OTHER_LOOK = ("neutral", "○")
DECIMALS = 2  # of a published number where the report doesn't say

Report = Mapping[str, Any]


def to_html(report: Report) -> str:
    """The page of a report.

    report: `Report.to_dict()` or a stored `report.json`; the keys that docs/report.md calls
    optional may be absent. Raises ManifestError if it isn't a report's data.
    """
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters.update(words=in_words, signed=_signed)
    environment.globals.update(look=lambda verdict: LOOKS.get(verdict, OTHER_LOOK))
    template = resources.files("mixzoo.viz").joinpath(TEMPLATE).read_text(encoding="utf-8")
    try:
        return environment.from_string(template).render(**_content(report))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ManifestError(
            f"report: expected the keys of docs/report.md, got {type(error).__name__}: {error}. "
            "Write it again: mixzoo eval --out report.json"
        ) from error


def in_words(value: Any) -> str:
    """Plain data as text: `name value` pairs, nested ones in brackets, empty ones left out."""
    if isinstance(value, Mapping):
        inner = ((name, in_words(one)) for name, one in value.items())
        return ", ".join(
            f"{str(name).replace('_', ' ')} {f'({text})' if isinstance(value[name], Mapping) else text}"
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


def _content(report: Report) -> dict[str, Any]:
    from markupsafe import Markup

    rows: Sequence[Mapping[str, Any]] = report["rows"]
    heads = Counter((row["id"], row["weights"]["sha256"]) for row in rows)
    default = [row for row in rows if row["default_head"]]
    # Markup: what matplotlib wrote, which escapes the text that it is given.
    plots = [(title, Markup(svg)) for title, svg in _overview(rows)]
    return {
        "title": f"Top-1 recomputed{' on ' + str(report['benchmark']) if report['benchmark'] else ''}",
        "tally": Counter(row["verdict"] for row in default).most_common(),
        "rows": [
            _line(row, several=heads[row["id"], row["weights"]["sha256"]] > 1) for row in rows
        ],
        "several_heads": len(rows) > len(default),
        "plots": plots,
        "checkpoints": [
            {"row": row, "plots": [(t, Markup(s)) for t, s in _details(row, f"c{n}")]}
            for n, row in enumerate(default)
        ],
        "overrides": report["protocol"].get("overrides") or {},
        "failures": report.get("failures") or [],
        "unreadable": report.get("unreadable") or [],
        "rules": report["rules"],
        "provenance": {
            name: report[name]
            for name in ("protocol", "data", "run", "versions")
            if report.get(name)
        },
        "weights": {row["weights"]["sha256"]: row["weights"] for row in rows},
        "created": report["created"],
        "decimals": DECIMALS,
    }


def _line(row: Mapping[str, Any], *, several: bool) -> dict[str, Any]:
    """A row's cells as text, by the column that they stand under."""
    digits = row.get("decimals", DECIMALS)
    low, high = row["interval95"]
    published, gap = row.get("reported_top1"), row.get("gap_points")
    return {
        "id": row["id"],
        "head": row["head"] + (" *" if several and row["default_head"] else ""),
        "is_default": row["default_head"],
        "verdict": row["verdict"],
        "reason": row["reason"],
        "cells": {
            "Recomputed": f"{row['top1']:.{digits + 1}f}",
            "Published": "-" if published is None else f"{published:.{digits}f}",
            "Gap": "-" if gap is None else _signed(gap, digits + 1),
            "Gap, images": "-" if gap is None else _signed(row["gap_images"], 1),
            "95% interval": f"{low:.2f} to {high:.2f}",
            "Correct": f"{row['correct']:,} / {row['total']:,}",
            "Top-5": f"{row['top5']:.{digits + 1}f}",
        },
    }


def _overview(rows: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    if rows:
        says = "; ".join(f"{row['id']} {row['head']} {row['top1']:.3f} percent" for row in rows)
        yield (
            "Published and recomputed",
            inline_svg(accuracy_plot(rows), "accuracy", f"Top-1: {says}"),
        )
    judged = [row for row in rows if row.get("gap_points") is not None]
    if judged:
        says = "; ".join(f"{r['id']} {r['head']} {_signed(r['gap_points'], 3)}" for r in judged)
        yield "The gap", inline_svg(gap_plot(rows), "gap", f"Gap in points: {says}")


def _details(row: Mapping[str, Any], name: str) -> Iterator[tuple[str, str]]:
    for key, title in GROUPINGS.items():
        if groups := row.get("breakdown", {}).get(key):
            says = "; ".join(f"{group['name']} {group['accuracy']:.2f} percent" for group in groups)
            yield title, inline_svg(group_plot(groups, row["top1"]), f"{name}-{key}", says)
    calibration = row.get("calibration") or {}
    if calibration.get("bins"):
        title = f"Confidence (expected calibration error {calibration['ece']:.4f})"
        figure = reliability_plot(calibration["bins"])
        yield title, inline_svg(figure, f"{name}-confidence", title)


def _signed(value: float, decimals: int) -> str:
    """A signed number; one that rounds to zero has no sign."""
    text = f"{value:+.{decimals}f}"
    return text[1:] if float(text) == 0 else text.replace("-", "−")
