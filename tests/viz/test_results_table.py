"""The table joins what manifest, reports and logs say of a row."""

import json
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import pytest
from mixzoo.eval.logs import LogAudit, audit_files, claim_of
from mixzoo.viz.report_data import StoredReport, parse_report
from mixzoo.viz.table import results_table, table_words
from mixzoo.zoo.catalog import open_catalog
from mixzoo.zoo.errors import UsageError
from mixzoo.zoo.manifest import Manifest

CUTMIX, AUTOMIX = "resnet50.cutmix_inat2018", "resnet50.automix_inat2018"


@pytest.fixture
def manifest() -> Manifest:
    return open_catalog().benchmark("inat2018").manifest


@pytest.fixture
def log_of(manifest: Manifest, synthetic: Path) -> Callable[[str, str], LogAudit]:
    """A synthetic log, held against a row."""

    def read(name: str, row_id: str) -> LogAudit:
        row = manifest.row(row_id)
        assert row is not None
        path = synthetic / f"{name}_20220101_000000.log.json"
        return audit_files([path], claim_of(manifest, row))

    return read


def last_five(folder: Path, name: str, key: str) -> float:
    """The median over epochs 96 to 100, read by hand."""
    lines = (folder / f"{name}_20220101_000000.log.json").read_text().splitlines()
    values = [json.loads(line) for line in lines]
    return median(v[key] for v in values if v.get("mode") == "val" and v["epoch"] > 95)


def test_published_numbers_alone(manifest: Manifest) -> None:
    """Every row of the manifest, in its order, with nothing invented."""
    table = results_table(manifest)

    assert [line.row_id for line in table.lines] == [row.id for row in manifest.rows]
    assert [line.reported for line in table.lines] == [row.reported_top1 for row in manifest.rows]
    assert not any(line.logged or line.recomputed for line in table.lines)
    assert table.architectures == ("resnet50", "resnext101_32x4d")
    assert table.statistic == "median of the last 5 epochs"


def test_recomputed_heads_start_with_the_default(
    manifest: Manifest, content: dict[str, Any]
) -> None:
    """Wherever it stands in the report."""
    content["rows"].reverse()

    table = results_table(manifest, [parse_report(content, "x")])

    (line,) = (line for line in table.lines if line.row_id == AUTOMIX)
    stored = next(r for r in content["rows"] if r["id"] == AUTOMIX and r["default_head"])
    first = line.recomputed[0]
    assert (first.head, first.top1, [first.low, first.high], first.verdict) == (
        "one_k",
        stored["top1"],
        stored["interval95"],
        stored["verdict"],
    )
    assert {one.head for one in line.recomputed} == {"one_k", "mix_k", "one_q", "mix_q"}


def test_newest_report_counts(manifest: Manifest, content: dict[str, Any]) -> None:
    """In whatever order they are given."""
    newer = parse_report(content | {"created": "2027-01-01T00:00:00+00:00"}, "newer")
    content["rows"][0]["top1"] = 1.0
    older = parse_report(content, "older")

    found = [
        results_table(manifest, order).lines[0].recomputed[0].top1
        for order in ([older, newer], [newer, older])
    ]

    assert found == [newer.rows[0].top1] * 2


def test_log_gives_the_statistic_that_the_table_names(
    manifest: Manifest, log_of: Callable[[str, str], LogAudit], synthetic: Path
) -> None:
    """The strict median of the last five epochs, inference's head first."""
    table = results_table(manifest, audits=[log_of("automix", AUTOMIX), log_of("cls", CUTMIX)])

    lines = {line.row_id: line for line in table.lines}
    assert [one.head for one in lines[AUTOMIX].logged] == ["one_k", "mix_k", "one_q", "mix_q"]
    assert lines[AUTOMIX].logged[0].value == last_five(synthetic, "automix", "acc_one_k_top1")
    assert [one.value for one in lines[CUTMIX].logged] == [
        last_five(synthetic, "cls", "head0_top1")
    ]
    assert sum(bool(line.logged) for line in table.lines) == 2


def test_log_without_the_last_epochs_gives_nothing(
    manifest: Manifest, synthetic: Path, tmp_path: Path
) -> None:
    """A median of fewer epochs is another number."""
    text = (synthetic / "cls_20220101_000000.log.json").read_text().splitlines(keepends=True)
    path = tmp_path / "cut.log.json"
    path.write_text("".join(line for line in text if '"epoch": 100' not in line))
    row = manifest.row(CUTMIX)
    assert row is not None

    table = results_table(
        manifest, audits=[audit_files([path], claim_of(manifest, row), epochs=100)]
    )

    assert not any(line.logged for line in table.lines)


def test_report_on_another_benchmark_is_refused(report: StoredReport) -> None:
    """Its rows wouldn't be found, silently."""
    mini = open_catalog().benchmark("mini").manifest

    with pytest.raises(UsageError, match="reports on mini, got one on inat2018"):
        results_table(mini, [report])


def test_methods_follow_the_fullest_backbone() -> None:
    """inat2017's ResNet-18 has no PuzzleMix; it stands where the others have it all the same."""
    table = results_table(open_catalog().benchmark("inat2017").manifest)

    assert "puzzlemix" not in table.of("resnet18")
    assert table.methods == tuple(table.of("resnet50"))


def test_words_name_every_number(manifest: Manifest, report: StoredReport) -> None:
    """For those who can't see the figure."""
    words = table_words(results_table(manifest, [report]))

    assert f"{AUTOMIX}: 64.73 published, 64.734 recomputed (64.13 to 65.33), reproduced" in words
    assert "resnet50.fmix_inat2018: 63.71 published." in words
