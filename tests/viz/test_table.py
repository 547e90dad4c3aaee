"""The table joins what manifest, reports and logs say of a row, and draws each where it belongs."""

import json
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import msgspec
import pytest
from matplotlib.axes import Axes
from mixzoo.eval.logs import LogAudit, audit_files, claim_of
from mixzoo.viz.save import figure_bytes
from mixzoo.viz.table import ResultsTable, TableLine, results_table, table_plot, table_words
from mixzoo.zoo.catalog import open_catalog
from mixzoo.zoo.errors import UsageError
from mixzoo.zoo.manifest import Manifest
from mixzoo.zoo.report import Report, parse_report

CUTMIX, AUTOMIX = "resnet50.cutmix_inat2018", "resnet50.automix_inat2018"


@pytest.fixture
def manifest() -> Manifest:
    return open_catalog().benchmark("inat2018").manifest


@pytest.fixture
def table(manifest: Manifest, report: Report) -> ResultsTable:
    return results_table(manifest, [report])


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


def of(table: ResultsTable, row_id: str) -> TableLine:
    return next(line for line in table.lines if line.row.id == row_id)


def judged_by(report: Report, row_id: str, head: str) -> Report:
    """The same report with another head that carries a row's verdict."""
    rows = [
        msgspec.structs.replace(row, head=head) if row.id == row_id else row for row in report.rows
    ]
    return msgspec.structs.replace(report, rows=tuple(rows))


def bars(axes: Axes) -> list[float]:
    """Where the published numbers stand, from above."""
    found = [c.get_segments()[0] for c in axes.collections]
    upright = [s for s in found if s[0][0] == s[1][0]]
    return [s[0][0] for s in sorted(upright, key=lambda s: s[0][1])]


def dots(axes: Axes) -> set[tuple[float, str]]:
    """Top-1 and marker of what was logged or recomputed."""
    return {(float(line.get_xdata()[0]), str(line.get_marker())) for line in axes.lines}


def texts(axes: Axes) -> list[str]:
    return [text.get_text() for text in axes.texts]


def test_published_numbers_alone(manifest: Manifest) -> None:
    """Every row of the manifest, in its order, with nothing invented."""
    table = results_table(manifest)

    assert [line.row for line in table.lines] == list(manifest.rows)
    assert not any(line.logged or line.recomputed for line in table.lines)
    assert table.architectures == ("resnet50", "resnext101_32x4d")
    assert table.statistic == "median of the last 5 epochs"


def test_newest_report_counts(manifest: Manifest, content: dict[str, Any]) -> None:
    """In whatever order they are given."""
    newer = parse_report(content | {"created": "2027-01-01T00:00:00+00:00"}, "newer")
    content["rows"][0]["verdict"] = "older"
    older = parse_report(content, "older")

    for order in ([older, newer], [newer, older]):
        assert results_table(manifest, order).lines[0].recomputed is newer.rows[0]


def test_a_sample_never_hides_the_whole(manifest: Manifest, content: dict[str, Any]) -> None:
    """A newer report of fewer images counts where there is no other."""
    whole = parse_report(content, "whole")
    for name in ("breakdown", "calibration", "gap_points", "gap_images"):
        del content["rows"][0]["heads"][0][name]
    counts = {"total": 1000, "correct": 600, "correct5": 800, "top1": 60.0, "top5": 80.0}
    content["rows"][0]["heads"][0] |= counts
    sample = parse_report(content | {"created": "2027-01-01T00:00:00+00:00"}, "sample")

    assert results_table(manifest, [whole, sample]).lines[0].recomputed is whole.rows[0]
    assert results_table(manifest, [sample]).lines[0].recomputed is sample.rows[0]


def test_log_gives_the_statistic_that_the_table_names(
    manifest: Manifest, log_of: Callable[[str, str], LogAudit], synthetic: Path
) -> None:
    """The strict median of the last five epochs; of AutoMix's heads, first what stands for the row."""
    audit = log_of("automix", AUTOMIX)

    table = results_table(manifest, audits=[audit, log_of("cls", CUTMIX)])

    logged = of(table, AUTOMIX).logged
    stands = audit.table_value
    assert next(iter(logged.items())) == (stands.head, stands.value)
    assert logged.keys() == {stands.head, "one_k", "mix_k", "one_q", "mix_q"}
    assert logged["one_k"] == last_five(synthetic, "automix", "acc_one_k_top1")
    assert of(table, CUTMIX).logged == {"head0": last_five(synthetic, "cls", "head0_top1")}
    assert sum(bool(line.logged) for line in table.lines) == 2


def test_the_head_that_carries_the_verdict_has_its_number_beside(
    manifest: Manifest, report: Report, log_of: Callable[[str, str], LogAudit]
) -> None:
    """And the log's number for the row, as `mixzoo logs` has it, not that of its first head."""
    audit = log_of("automix", AUTOMIX)

    table = results_table(manifest, [judged_by(report, AUTOMIX, "one_q")], [audit])

    shown = texts(table_plot(table).axes[0])
    found = of(table, AUTOMIX).recomputed
    assert f"{audit.table_value.value:.3f}" in shown
    assert f"{found.judged.top1:.3f}" in shown
    assert f"{found.default.top1:.3f}" not in shown


def test_log_without_the_last_epochs_gives_nothing(
    manifest: Manifest, synthetic: Path, tmp_path: Path
) -> None:
    """A median of fewer epochs is another number."""
    text = (synthetic / "cls_20220101_000000.log.json").read_text().splitlines(keepends=True)
    path = tmp_path / "cut.log.json"
    path.write_text("".join(line for line in text if '"epoch": 100' not in line))
    row = manifest.row(CUTMIX)
    assert row is not None

    audit = audit_files([path], claim_of(manifest, row), epochs=100)

    assert not any(line.logged for line in results_table(manifest, audits=[audit]).lines)


def test_report_on_another_benchmark_is_refused(report: Report) -> None:
    """Its rows wouldn't be found, silently."""
    mini = open_catalog().benchmark("mini").manifest

    with pytest.raises(UsageError, match="reports on mini, got one on inat2018"):
        results_table(mini, [report])


def test_methods_follow_the_fullest_backbone() -> None:
    """inat2017's ResNet-18 has no PuzzleMix; it stands where the others have it all the same."""
    table = results_table(open_catalog().benchmark("inat2017").manifest)

    assert "puzzlemix" not in table.of("resnet18")
    assert table.methods == tuple(table.of("resnet50"))


def test_words_name_every_number(table: ResultsTable) -> None:
    """For those who can't see the figure."""
    words = table_words(table)

    assert f"{AUTOMIX}: 64.73 published, 64.734 recomputed (64.13 to 65.33), reproduced." in words
    assert "resnet50.fmix_inat2018: 63.71 published." in words


def test_one_panel_a_backbone_one_bar_a_row(table: ResultsTable) -> None:
    """At the published numbers, in the table's order, with the numbers beside them."""
    first, second = table_plot(table).axes

    lines = table.of("resnext101_32x4d")
    assert [axes.get_title("left") for axes in (first, second)] == list(table.architectures)
    assert bars(second) == [line.row.reported_top1 for line in lines.values()]
    assert [label.get_text() for label in first.get_yticklabels()] == list(table.methods)
    assert {label.get_text() for label in second.get_yticklabels()} == {""}
    assert {"64.73", "62.53"} <= set(texts(first))
    assert first.get_xlim()[1] < second.get_xlim()[0] + 5  # scales of their own


def test_recomputed_numbers_have_markers_of_their_verdicts(
    table: ResultsTable, report: Report
) -> None:
    """A circle reproduces, a square is close, a triangle differs; other heads are diamonds."""
    markers = {"reproduced": "o", "close": "s", "differs": "^"}

    first, second = table_plot(table).axes

    assert dots(first) == {
        (head.top1, markers[row.verdict] if head is row.judged else "D")
        for row in report.rows
        if row.id.startswith("resnet50.")
        for head in row.heads
    }
    level = [c.get_segments()[0] for c in second.collections]
    samix = next(row for row in report.rows if row.id.startswith("resnext"))
    assert [(s[0][0], s[1][0]) for s in level if s[0][1] == s[1][1]] == [samix.judged.interval95]


def test_what_isnt_known_has_no_place(table: ResultsTable, manifest: Manifest) -> None:
    """The published table alone is half as high, and its legend has one line."""
    figure = table_plot(results_table(manifest))

    (legend,) = figure.legends
    assert figure.get_figheight() < 0.8 * table_plot(table).get_figheight()
    assert [t.get_text() for t in legend.get_texts()] == ["published (median of the last 5 epochs)"]
    assert not dots(figure.axes[0])


def test_row_without_a_published_number_has_a_dash_and_no_bar(manifest: Manifest) -> None:
    """Its log is a diamond with its number all the same; a `$` in names is a letter."""
    row = msgspec.structs.replace(manifest.rows[0], method="m$_", reported_top1=None)
    line = TableLine(row, logged={"head0": 61.5})

    figure = table_plot(ResultsTable(msgspec.structs.replace(manifest, title="T $x_"), (line,)))

    (axes,) = figure.axes
    svg = figure_bytes(figure, "svg")
    assert texts(axes) == ["-", "61.500"]
    assert bars(axes) == []
    assert dots(axes) == {(61.5, "D")}
    assert all(text in svg for text in (b"m$_", b"T $x_"))


def test_narrow_stacks_the_backbones(table: ResultsTable) -> None:
    """For a phone or a column of text; each panel names its lanes then."""
    figure = table_plot(table, narrow=True)

    first, second = figure.axes
    assert figure.get_figheight() > 1.7 * table_plot(table).get_figheight()
    assert second.get_yticklabels()[0].get_text() == first.get_yticklabels()[0].get_text()
