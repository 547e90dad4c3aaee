"""Published numbers are counted as off by exact arithmetic, each once, and only where comparable."""

import csv
import io
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mixzoo.zoo.catalog import open_catalog
from mixzoo.zoo.errors import IntegrityError, UsageError
from mixzoo.zoo.report import Failure, Head, Images, Pixels, Report, Row, Weights
from mixzoo.zoo.tally import tally

from ..mini_rows import ROWS, VANILLA, hits, published

CATALOG = open_catalog()
MINI = CATALOG.benchmark("mini").manifest
HASH = "a" * 64


def row(name: str, correct: int, published: float | None, total: int = 1000, **more: Any) -> Row:
    head = Head(
        head="head0",
        correct=correct,
        correct5=total,
        total=total,
        top1=100 * correct / total,
        top5=100.0,
        interval95=(0.0, 100.0),
    )
    weights = Weights(
        file="w.pth", sha256=HASH, architecture="resnet18", method="plain", num_classes=3
    )
    given = {"id": name, "reported_top1": published, "verdict": "differs", "reason": "-"} | more
    return Row(weights=weights, head="head0", heads=(head,), **given)


def report(*rows: Row, benchmark: str | None = "own", **more: Any) -> Report:
    return Report(
        benchmark=benchmark,
        rows=rows,
        rules={},
        protocol=msgspec.convert(msgspec.to_builtins(MINI.protocol), Pixels),
        data=Images(labels="val", images=1000, list_sha256=HASH),
        run={},
        versions={},
        created="2026-11-22T12:00:00+00:00",
        **more,
    )


def test_numbers_are_counted_by_how_far_they_are_off() -> None:
    """More than 0.05, 1 and 5 points, up or down; a difference of exactly so much isn't more."""
    rows = [
        row("exactly", 1999, 10.0, total=20000),  # 9.995
        row("half_a_digit", 6055, 60.6, total=10000),  # 60.55: off by 0.05 exactly
        row("more", 6054, 60.6, total=10000),
        row("one", 610, 60.0),
        row("two", 620, 60.0),
        row("low", 500, 60.0),
    ]

    found = tally([report(*rows)], CATALOG)

    assert found.off_by_more == {"0.05": 4, "1": 2, "5": 1}
    assert found.lower == {"0.05": 2, "1": 1, "5": 1}
    assert found.sentence == (
        "Published numbers that were recomputed: 6. Off: 4 by more than 0.05 points (2 recomputed "
        "lower); 2 by more than 1 point (1 recomputed lower); 1 by more than 5 points (1 "
        "recomputed lower)."
    )


@given(st.integers(0, 20), st.integers(1, 20), st.integers(0, 10_000))
def test_a_difference_is_exact(correct: int, total: int, hundredths: int) -> None:
    """Held against whole numbers: 10,000 * correct - hundredths * total beyond 5 * total."""
    correct = min(correct, total)

    found = tally([report(row("r", correct, hundredths / 100, total))], CATALOG)

    assert found.off_by_more["0.05"] == (abs(10_000 * correct - hundredths * total) > 5 * total)


def test_what_cannot_count_is_named() -> None:
    """Other images, no published number, and checkpoints that could not be evaluated."""
    other = row("other", 500, 60.0, not_comparable="100 images, the table's set has 1000")
    rows = (other, row("mine", 500, None, verdict="no published number"), row("fine", 600, 60.0))

    found = tally([report(*rows, failures=(Failure(id="bad", error="damaged"),))], CATALOG)

    assert [claim.row for claim in found.claims] == ["fine"]
    assert found.left_out == {
        "bad": "could not be evaluated: damaged",
        "other": "100 images, the table's set has 1000",
        "mine": "no published number",
    }


def test_a_row_counts_once() -> None:
    """A report and the evidence of it may be given together; two different results may not."""
    one = report(row("r", 500, 60.0), row("s", 600, 60.0))

    assert len(tally([one, report(row("r", 500, 60.0))], CATALOG).claims) == 2
    with pytest.raises(UsageError, match="r: stands in two reports with different results"):
        tally([one, report(row("r", 501, 60.0))], CATALOG)


def test_published_numbers_are_those_of_the_tables_here() -> None:
    """A report can't say that another number was published; the tables tell how many there are."""
    told = published(VANILLA)

    found = tally([report(row(VANILLA, hits(VANILLA), told), benchmark="mini")], CATALOG)

    assert (found.of, len(found.claims)) == (len(ROWS), 1)
    assert "recomputed: 1 of the tables' 10. Off: 0 by more than 0.05 points; 0" in found.sentence
    with pytest.raises(
        IntegrityError, match=f"says {told + 5} is published, the table here {told}"
    ):
        tally([report(row(VANILLA, hits(VANILLA), told + 5), benchmark="mini")], CATALOG)


def test_csv_has_a_line_for_each_claim() -> None:
    """Spreadsheets take nothing in it for a formula."""
    found = tally([report(row("=evil()", 500, 60.0), row("s", 600, 60.0))], CATALOG)

    first, second = csv.DictReader(io.StringIO(found.to_csv()))
    assert (first["row"], first["off"], first["published"]) == ("'=evil()", "-10.0", "60.0")
    assert (second["correct"], second["total"], second["verdict"]) == ("600", "1000", "differs")
