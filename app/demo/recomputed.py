"""What was recomputed on this machine: reports in a folder, and predictions that were kept."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import msgspec

from ...eval.report import KEPT, kept_report
from ...zoo import shelf
from ...zoo.cache import predictions_root
from ...zoo.catalog import Benchmark
from ...zoo.errors import MixzooError
from ...zoo.manifest import Row as TableRow
from ...zoo.report import MAX_BYTES, Report, Row, read_report

__all__ = ["KEPT", "Found", "find", "newest_benchmark", "signature", "weights_sha256"]


@dataclass(frozen=True)
class Found:
    """A report on one row alone. source: the report's file name in its folder, or KEPT."""

    report: Report
    source: str

    @property
    def row(self) -> Row:
        """The row."""
        return self.report.rows[0]


def find(benchmark: Benchmark, reports: Path | None) -> tuple[dict[str, Found], list[str]]:
    """What is known of a benchmark's rows here, and a sentence for each report that can't be read.

    reports: the folder that `mixzoo eval --out` wrote into; None if the owner named none.
    Of several reports on a row those of most images count, and of these the newest: a sample never
    hides the whole.
    """
    found, problems = _in_folder(reports) if reports else ([], [])
    found = [one for one in found if one.report.benchmark == benchmark.name]
    kept = (kept_report(benchmark, row) for row in benchmark.manifest.rows)
    found += [Found(report, KEPT) for report in kept if report]
    chosen: dict[str, Found] = {}
    for row in benchmark.manifest.rows:
        mine = [_only(one, row.id) for one in found]
        if known := [one for one in mine if one.report.rows]:
            chosen[row.id] = max(known, key=lambda o: (o.row.default.total, o.report.created))
    return chosen, problems


def newest_benchmark(reports: Path | None) -> str | None:
    """The benchmark of the newest report in a folder, None if there is no report."""
    found = _in_folder(reports)[0] if reports else []
    return max(found, key=lambda one: one.report.created).report.benchmark if found else None


def signature(benchmark: Benchmark, reports: Path | None) -> tuple[tuple[str, int, int], ...]:
    """What `find` depends on, so that its answer need be drawn once only: files, times and sizes."""
    paths = [*_reports(reports)] if reports else []
    for row in benchmark.manifest.rows:
        if sha256 := weights_sha256(benchmark, row):
            paths += sorted(predictions_root().joinpath(sha256).glob("*.safetensors"))
    return tuple(_stamp(path) for path in paths if path.is_file())


def weights_sha256(benchmark: Benchmark, row: TableRow) -> str | None:
    """The hash of a row's weights: the locked one, or that of the file a person imported."""
    return shelf.file(benchmark, row).sha256


def _only(found: Found, row_id: str) -> Found:
    rows = tuple(row for row in found.report.rows if row.id == row_id)
    return Found(msgspec.structs.replace(found.report, rows=rows), found.source)


def _in_folder(folder: Path) -> tuple[list[Found], list[str]]:
    found: list[Found] = []
    problems: list[str] = []
    for path in _reports(folder):
        name = path.relative_to(folder).as_posix()
        try:
            report = _read(path, *_stamp(path)[1:])
        except (MixzooError, OSError) as error:
            problems.append(str(error).replace(str(path), name))
        else:
            found.append(Found(report, name))
    return found, problems


def _reports(folder: Path) -> Iterator[Path]:
    """The folder's JSON files that look like reports; audits of logs and the like aren't reports."""
    for path in sorted(folder.rglob("*.json")):
        if path.is_file() and path.stat().st_size <= MAX_BYTES and _may_be_one(path):
            yield path


def _may_be_one(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return b'"rows"' in file.read(4096)
    except OSError:
        return True  # reading it will say why not


@lru_cache(maxsize=256)
def _read(path: Path, mtime_ns: int, size: int) -> Report:
    """A report, parsed once as long as its file doesn't change."""
    del mtime_ns, size  # they only tell one state of the file from another
    return read_report(path)


def _stamp(path: Path) -> tuple[str, int, int]:
    facts = path.stat()
    return str(path), facts.st_mtime_ns, facts.st_size
