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
from ...zoo.report import MAX_BYTES, Report, Row, read_report

Stamp = tuple[str, int, int]


@dataclass(frozen=True)
class Recomputed:
    """A report on one row alone. source: the report's file name in its folder, or KEPT."""

    report: Report
    source: str

    @property
    def row(self) -> Row:
        """The row."""
        return self.report.rows[0]


def find(benchmark: Benchmark, reports: Path | None) -> tuple[dict[str, Recomputed], list[str]]:
    """What is known of a benchmark's rows here, and a sentence for each report that can't be read.

    reports: the folder that `mixzoo eval --out` wrote into; None if the owner named none.
    Of several reports on a row those of most images count, and of these the newest: a sample never
    hides the whole.
    """
    found, problems = _in_folder(reports) if reports else ([], [])
    found = [one for one in found if one.report.benchmark == benchmark.name]
    chosen: dict[str, Recomputed] = {}
    for row in benchmark.manifest.rows:
        mine = [
            Recomputed(msgspec.structs.replace(one.report, rows=rows), one.source)
            for one in found
            if (rows := tuple(line for line in one.report.rows if line.id == row.id))
        ]
        if kept := kept_report(benchmark, row):
            mine.append(Recomputed(kept, KEPT))
            problems += kept.run.get("log_problems", ())
        if mine:
            chosen[row.id] = max(mine, key=lambda o: (o.row.default.total, o.report.created))
    return chosen, problems


def newest_benchmark(reports: Path | None) -> str | None:
    """The benchmark of the newest report in a folder, None if there is no report."""
    found = _in_folder(reports)[0] if reports else []
    return max(found, key=lambda one: one.report.created).report.benchmark if found else None


def signature(benchmark: Benchmark, reports: Path | None) -> tuple[Stamp, ...]:
    """What a benchmark's numbers are drawn from: another state of these files is another page."""
    paths = [*_reports(reports)] if reports else []
    for row in benchmark.manifest.rows:
        if sha256 := shelf.file(benchmark, row).sha256:
            paths += sorted(predictions_root().joinpath(sha256).glob("*.safetensors"))
        paths += filter(None, [shelf.log(benchmark, row).path])
    return tuple(stamp(path) for path in paths)


def stamp(path: Path | None) -> Stamp:
    """What tells one state of a file from another: its path, time and size."""
    facts = path.stat() if path and path.is_file() else None
    return (str(path), facts.st_mtime_ns, facts.st_size) if facts else (str(path), 0, 0)


def _in_folder(folder: Path) -> tuple[list[Recomputed], list[str]]:
    found: list[Recomputed] = []
    problems: list[str] = []
    for path in _reports(folder):
        name = path.relative_to(folder).as_posix()
        try:
            report = _read(path, stamp(path))
        except (MixzooError, OSError) as error:
            problems.append(str(error).replace(str(path), name))
        else:
            found.append(Recomputed(report, name))
    return found, problems


def _reports(folder: Path) -> Iterator[Path]:
    """The folder's JSON files that look like reports; audits of logs aren't."""
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
def _read(path: Path, _state: Stamp) -> Report:
    """A report, parsed once as long as its file doesn't change."""
    return read_report(path)
