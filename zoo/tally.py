"""How many of a benchmark's published numbers are off when they are recomputed, and by how much."""

import csv
import io
from collections.abc import Iterable
from fractions import Fraction

import msgspec

from .catalog import Catalog
from .errors import IntegrityError, UsageError
from .looks import csv_cell, signed
from .report import Report, Row

POINTS = ("0.05", "1", "5")  # more than these; rounding to one digit is 0.05
COLUMNS = ("Row", "Head", "Correct", "Published", "Recomputed", "Off", "Verdict")


class Claim(msgspec.Struct, frozen=True):
    """A published number and the recomputed one, in percent. off: recomputed minus published."""

    benchmark: str | None
    row: str
    head: str
    correct: int
    total: int
    published: float
    recomputed: float
    off: float
    verdict: str
    sha256: str

    @property
    def cells(self) -> list[str]:
        """Its cells under COLUMNS, as text."""
        counts = f"{self.correct} / {self.total}"
        numbers = (str(self.published), f"{self.recomputed:.3f}", signed(self.off, 3))
        return [self.row, self.head, counts, *numbers, self.verdict]


class Tally(msgspec.Struct, frozen=True, kw_only=True):
    """Published numbers that were recomputed. of: how many the known tables of these rows have.

    off_by_more: points -> how many are off by more, up or down; lower: how many of these down.
    left_out: row -> why it is no claim here.
    """

    claims: tuple[Claim, ...]
    of: int
    off_by_more: dict[str, int]
    lower: dict[str, int]
    left_out: dict[str, str]

    @property
    def sentence(self) -> str:
        """The finding in words."""
        of = f" of the tables' {self.of}" if self.of > len(self.claims) else ""
        counts = "; ".join(
            f"{count} by more than {points} point{'s' * (points != '1')}"
            + f" ({self.lower[points]} recomputed lower)" * bool(count)
            for points, count in self.off_by_more.items()
        )
        return f"Published numbers that were recomputed: {len(self.claims)}{of}. Off: {counts}."

    def to_csv(self) -> str:
        """One line for each claim; what stands in it can't be taken for a formula."""
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(Claim.__struct_fields__)
        writer.writerows(map(csv_cell, msgspec.structs.astuple(one)) for one in self.claims)
        return out.getvalue()


def tally(reports: Iterable[Report], catalog: Catalog) -> Tally:
    """The claims of reports: rows with a published number and the table's own images and pixels.

    Whether a number is off is decided exactly, by its count and the published digits. A row that
    stands in several reports with one result counts once. Raises UsageError where results differ,
    IntegrityError where the table here publishes another number than a report says.
    """
    found: dict[tuple[str | None, str], Row] = {}
    left_out: dict[str, str] = {}
    tables: set[str] = set()
    for report in reports:
        table = catalog.benchmarks.get(report.benchmark or "")
        left_out |= {one.id: f"could not be evaluated: {one.error}" for one in report.failures}
        for row in report.rows:
            line = table and table.manifest.row(row.id)
            if line and line.reported_top1 != row.reported_top1:
                raise IntegrityError(
                    f"{row.id}: the report says {row.reported_top1} is published, the table here "
                    f"{line.reported_top1}. Evaluate it again."
                )
            if table:
                tables.add(table.name)
            if why := row.not_comparable or (row.reported_top1 is None and row.verdict):
                left_out[row.id] = why
                continue
            same = found.setdefault((report.benchmark, row.id), row)
            if _result(same) != _result(row):
                raise UsageError(
                    f"{row.id}: stands in two reports with different results. Leave one of them "
                    "out."
                )
    claims = tuple(_claim(benchmark, row) for (benchmark, _), row in found.items())
    off = [_off(row) for row in found.values()]
    counted = {claim.row for claim in claims}
    return Tally(
        claims=claims,
        of=sum(row.reported_top1 is not None for table, row in catalog if table.name in tables),
        off_by_more={points: sum(abs(one) > Fraction(points) for one in off) for points in POINTS},
        lower={points: sum(-one > Fraction(points) for one in off) for points in POINTS},
        left_out={name: why for name, why in left_out.items() if name not in counted},
    )


def _claim(benchmark: str | None, row: Row) -> Claim:
    head, published = row.judged, row.reported_top1 or 0.0
    counts, off = (head.correct, head.total), float(_off(row))
    numbers = (published, head.top1, off)
    return Claim(benchmark, row.id, head.head, *counts, *numbers, row.verdict, row.weights.sha256)


def _off(row: Row) -> Fraction:
    head = row.judged
    return Fraction(100 * head.correct, head.total) - Fraction(repr(row.reported_top1))


def _result(row: Row) -> tuple[str, str, int, int, float | None]:
    head = row.judged
    return row.weights.sha256, head.head, head.correct, head.total, row.reported_top1
