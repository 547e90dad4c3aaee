"""What was recomputed on this machine: reports in a folder, and predictions that were kept."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import msgspec

from ...eval.breakdown import break_down, supercategories
from ...eval.calibration import calibrate
from ...eval.predictions import UNREADABLE, Predictions
from ...eval.report import Report, ReportRow, Weights
from ...eval.store import Stored, of_weights
from ...eval.verdict import judge
from ...viz.report_data import ReportLine, StoredReport, parse_report, read_report
from ...zoo import shelf
from ...zoo.cache import predictions_root
from ...zoo.catalog import Benchmark
from ...zoo.errors import MixzooError
from ...zoo.manifest import Row

MAX_REPORT = (
    32 << 20
)  # bytes; a table of 20 checkpoints with four heads each takes about one million
KEPT = "kept predictions"


@dataclass(frozen=True)
class Found:
    """A row's lines of one report, the head that inference uses first.

    source: the report's file name in its folder, or KEPT.
    """

    report: StoredReport
    source: str

    @property
    def default(self) -> ReportLine:
        """The line of the head that inference uses."""
        return self.report.rows[0]


def find(benchmark: Benchmark, reports: Path | None) -> tuple[dict[str, Found], list[str]]:
    """What is known of a benchmark's rows here, and a sentence for each report that can't be read.

    reports: the folder that `mixzoo eval --out` wrote into; None if the owner named none.
    Of several reports on a row those of most images count, and of these the newest: a sample never
    hides the whole.
    """
    found, problems = _in_folder(reports) if reports else ([], [])
    found = [one for one in found if one.report.benchmark == benchmark.name]
    found += [Found(report, KEPT) for report in _kept(benchmark)]
    chosen: dict[str, Found] = {}
    for row in benchmark.manifest.rows:
        mine = [_only(one, row.id) for one in found]
        if known := [one for one in mine if one.report.rows]:
            chosen[row.id] = max(known, key=lambda o: (o.default.total, o.report.created))
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


def weights_sha256(benchmark: Benchmark, row: Row) -> str | None:
    """The hash of a row's weights: the locked one, or that of the file a person imported."""
    return shelf.file(benchmark, row).sha256


def _only(found: Found, row_id: str) -> Found:
    lines = [line for line in found.report.rows if line.id == row_id]
    lines.sort(key=lambda line: not line.default_head)
    return Found(msgspec.structs.replace(found.report, rows=lines), found.source)


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
        if path.is_file() and path.stat().st_size <= MAX_REPORT and _may_be_one(path):
            yield path


def _may_be_one(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return b'"rows"' in file.read(4096)
    except OSError:
        return True  # reading it will say why not


@lru_cache(maxsize=256)
def _read(path: Path, mtime_ns: int, size: int) -> StoredReport:
    """A report, parsed once as long as its file doesn't change."""
    del mtime_ns, size  # they only tell one state of the file from another
    return read_report(path)


def _stamp(path: Path) -> tuple[str, int, int]:
    facts = path.stat()
    return str(path), facts.st_mtime_ns, facts.st_size


def _kept(benchmark: Benchmark) -> Iterator[StoredReport]:
    """A report for each row with kept predictions: those on the table's images and pixels, if any."""
    for row in benchmark.manifest.rows:
        sha256 = weights_sha256(benchmark, row)
        stored = list(of_weights(sha256)) if sha256 else []
        fitting = [one for one in stored if _other(benchmark, one) is None]
        if stored:
            yield _report_of(benchmark, row, (fitting or stored)[0])


def _report_of(benchmark: Benchmark, row: Row, stored: Stored) -> StoredReport:
    weights = Weights(**stored.about["weights"])
    rows = tuple(
        _line(benchmark, row, stored, weights, head, known) for head, known in stored.heads.items()
    )
    report = Report(
        rows=rows,
        benchmark=benchmark.name,
        protocol=stored.key["protocol"],
        data={
            "labels": KEPT,
            "images": len(stored.files),
            "list_sha256": stored.key["list_sha256"],
        },
        run={},
        created=stored.about["created"],
    )
    return parse_report(report.to_dict(), KEPT)


def _line(
    benchmark: Benchmark, row: Row, stored: Stored, weights: Weights, head: str, known: Predictions
) -> ReportRow:
    counts, metric = known.counts(), benchmark.manifest.metric
    groups = supercategories(stored.files, known.labels.tolist())
    groupings = {"supercategory": groups} if groups else {}
    return ReportRow(
        id=row.id,
        head=head,
        is_default_head=head == weights.heads[0],
        has_other_heads=len(weights.heads) > 1,
        counts=counts,
        reported_top1=row.reported_top1,
        decimals=metric.decimals,
        verdict=judge(
            counts.correct,
            counts.total,
            row.reported_top1,
            metric,
            other_images=_other(benchmark, stored),
        ),
        weights=weights,
        breakdown={
            name: [group.to_dict() for group in break_down(known, of)]
            for name, of in groupings.items()
        },
        calibration=calibrate(known).to_dict(),
    )


def _other(benchmark: Benchmark, stored: Stored) -> str | None:
    """Why kept predictions can't be judged as the table's number, if so."""
    val, protocol = benchmark.manifest.dataset.val, benchmark.manifest.protocol
    lost = sum(int((known.state == UNREADABLE).sum()) for known in stored.heads.values())
    pixels = stored.key["protocol"]
    changed = [
        f"{name} {pixels[name]}"
        for name in ("resize", "crop", "interpolation")
        if pixels[name] != getattr(protocol, name)
    ]
    if val.images is None:
        return f"{len(stored.files)} images; how many the table was measured on is not known"
    if len(stored.files) != val.images:
        return f"{len(stored.files)} images, the table's validation set has {val.images}"
    if val.list_sha256 not in (None, stored.key["list_sha256"]):
        return "as many images, but another list of paths and labels"
    if changed:
        return f"other pixels than the table's: {', '.join(changed)}"
    if stored.key["precision"] == "fast":
        return "computed with fast arithmetic, so that single predictions may not be fp32's"
    return "images that can't be read" if lost else None
