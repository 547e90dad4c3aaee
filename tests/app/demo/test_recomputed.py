"""What was recomputed on this machine: reports in a folder, and predictions that were kept."""

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from mixzoo.app.demo import recomputed
from mixzoo.app.demo.recomputed import KEPT
from mixzoo.zoo.catalog import Benchmark, open_catalog

from ...mini_rows import PROTOCOL, VANILLA, hits

OTHER_PIXELS = msgspec.structs.replace(PROTOCOL, resize=150)
RIGHT = hits(VANILLA)


def test_report_in_a_folder_below(
    mini: Benchmark, write_report: Callable[..., Path], tmp_path: Path
) -> None:
    """Reports are found wherever they lie in the folder, and say where they were found."""
    write_report("deep/er/one.json", {(VANILLA, "head0"): RIGHT})

    found, problems = recomputed.find(mini, tmp_path / "reports")

    assert found[VANILLA].source == "deep/er/one.json"
    assert found[VANILLA].row.default.correct == RIGHT
    assert problems == []


def test_newest_report_counts(
    mini: Benchmark, write_report: Callable[..., Path], tmp_path: Path
) -> None:
    """Of two on one row the later one is shown."""
    write_report("a.json", {(VANILLA, "head0"): 700}, created="2026-02-01T00:00:00+00:00")
    write_report("b.json", {(VANILLA, "head0"): 600}, created="2026-01-01T00:00:00+00:00")

    found, _ = recomputed.find(mini, tmp_path / "reports")

    assert found[VANILLA].row.default.correct == 700


def test_sample_never_hides_the_whole(
    mini: Benchmark, write_report: Callable[..., Path], tmp_path: Path
) -> None:
    """A later report of fewer images doesn't replace one of all."""
    write_report("all.json", {(VANILLA, "head0"): RIGHT}, created="2026-01-01T00:00:00+00:00")
    write_report(
        "s.json", {(VANILLA, "head0"): 80}, images=100, created="2026-02-01T00:00:00+00:00"
    )

    found, _ = recomputed.find(mini, tmp_path / "reports")

    assert found[VANILLA].row.default.total == 1000


def test_reports_of_other_benchmarks_are_passed_over(
    mini: Benchmark, write_report: Callable[..., Path], tmp_path: Path
) -> None:
    """They aren't problems either."""
    row = "resnet50.automix_inat2018"
    write_report("a.json", {(row, "one_k"): 9})

    found, problems = recomputed.find(mini, tmp_path / "reports")

    assert (found, problems) == ({}, [])


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b'{"rows": [', "cannot be read"),
        (b'{"rows": []}', "missing required field"),
        (b'{"format": 1, "rows": 3}', "expected a report of format 2"),
    ],
)
def test_broken_report_is_named(
    mini: Benchmark, tmp_path: Path, content: bytes, complaint: str
) -> None:
    """By its name in the folder, without the folder's own path."""
    (tmp_path / "bad.json").write_bytes(content)

    _, (problem,) = recomputed.find(mini, tmp_path)

    assert problem.startswith("bad.json: ")
    assert complaint in problem
    assert str(tmp_path) not in problem


@pytest.mark.parametrize("content", [b"{}", b'{"logs": []}', b"\xff\xfe\x00", b""])
def test_other_files_are_no_reports(mini: Benchmark, tmp_path: Path, content: bytes) -> None:
    """Audits of logs, locks and the like may lie there too."""
    (tmp_path / "other.json").write_bytes(content)

    assert recomputed.find(mini, tmp_path) == ({}, [])


def test_changed_report_is_read_again(
    mini: Benchmark, write_report: Callable[..., Path], tmp_path: Path
) -> None:
    """A parsed report is remembered only as long as its file stays as it is."""
    write_report("a.json", {(VANILLA, "head0"): RIGHT})
    before = recomputed.signature(mini, tmp_path / "reports")
    recomputed.find(mini, tmp_path / "reports")
    write_report("a.json", {(VANILLA, "head0"): 1})

    found, _ = recomputed.find(mini, tmp_path / "reports")

    assert found[VANILLA].row.default.correct == 1
    assert recomputed.signature(mini, tmp_path / "reports") != before


def test_kept_predictions_are_judged(
    mini: Benchmark, keep_predictions: Callable[..., object]
) -> None:
    """They answer where there is no report."""
    keep_predictions(VANILLA, RIGHT)

    found, _ = recomputed.find(mini, None)

    assert found[VANILLA].source == KEPT
    assert (found[VANILLA].row.default.correct, found[VANILLA].row.verdict) == (RIGHT, "reproduced")


def test_report_goes_before_older_predictions(
    mini: Benchmark,
    keep_predictions: Callable[..., object],
    write_report: Callable[..., Path],
    tmp_path: Path,
) -> None:
    """The predictions that a report was made from are a moment older than it."""
    keep_predictions(VANILLA, RIGHT)
    write_report("a.json", {(VANILLA, "head0"): RIGHT})

    found, _ = recomputed.find(mini, tmp_path / "reports")

    assert found[VANILLA].source == "a.json"


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        ({"images": 900}, "900 images, the table's validation set has 1000"),
        ({"list_sha256": "ab" * 32}, "another list of paths and labels"),
        ({"precision": "fast"}, "fast arithmetic"),
        ({"protocol": OTHER_PIXELS}, "resize 150"),
    ],
)
def test_predictions_that_are_not_the_tables(
    mini: Benchmark, keep_predictions: Callable[..., object], facts: dict[str, object], reason: str
) -> None:
    """They are shown and never judged."""
    keep_predictions(VANILLA, RIGHT, **facts)

    found, _ = recomputed.find(mini, None)

    assert found[VANILLA].row.verdict == "not comparable"
    assert reason in found[VANILLA].row.reason


def test_fitting_predictions_go_before_newer_others(
    mini: Benchmark, keep_predictions: Callable[..., object]
) -> None:
    """A sweep's other pixels don't hide the evaluation under the benchmark's own."""
    keep_predictions(VANILLA, RIGHT)
    keep_predictions(VANILLA, 1, protocol=OTHER_PIXELS)

    found, _ = recomputed.find(mini, None)

    assert found[VANILLA].row.default.correct == RIGHT


def test_first_benchmark_is_that_of_the_newest_report(
    write_report: Callable[..., Path], tmp_path: Path
) -> None:
    """Without a report there is none."""
    row = "resnet50.automix_inat2018"
    write_report("a.json", {(VANILLA, "head0"): 9}, created="2026-01-01T00:00:00+00:00")
    late = {"created": "2026-02-01T00:00:00+00:00"}
    write_report("b.json", {(row, "one_k"): 9}, **late)

    assert recomputed.newest_benchmark(tmp_path / "reports") == "inat2018"
    assert recomputed.newest_benchmark(None) is None


def test_rows_without_weights_have_no_predictions() -> None:
    """A release that isn't locked has no hash to look for."""
    benchmark = open_catalog().benchmark("inat2018")

    assert recomputed.find(benchmark, None) == ({}, [])
