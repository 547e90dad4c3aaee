"""Reports keep every number, name what departs from the protocol, and say it in Markdown too."""

import json

from mixzoo.eval.evaluator import Counts
from mixzoo.eval.report import COLUMNS, Report, ReportRow, Weights, cells, to_markdown
from mixzoo.eval.verdict import judge
from mixzoo.zoo.manifest import Metric

METRIC = Metric(statistic="median_of_last_epochs", epochs=5)


def line(row_id: str, head: str, correct: int, sha256: str = "a" * 64) -> ReportRow:
    return ReportRow(
        id=row_id,
        head=head,
        is_default_head=head in ("one_k", "head0"),
        has_other_heads=head != "head0",
        counts=Counts(correct, correct + 2000, 24426),
        reported_top1=64.73,
        decimals=2,
        verdict=judge(correct, 24426, 64.73, METRIC),
        weights=Weights("epoch_100.pth", sha256, "resnet50", "automix", 8142),
    )


def report(*rows: ReportRow) -> Report:
    return Report(
        rows=rows,
        benchmark="inat2018",
        protocol={
            "resize": 263,
            "crop": 224,
            "mean": (0.485, 0.456, 0.406),
            "overrides": {"resize": "263 instead of 256"},
        },
        data={"labels": "val2018.json", "images": 24426, "list_sha256": "b" * 64},
        run={"device": "cpu", "world_size": 1},
    )


def test_json_has_the_keys_that_scripts_rely_on() -> None:
    """id, head, correct, total, top1, reported_top1 and verdict stand in every row."""
    content = json.loads(json.dumps(report(line("r.automix_inat2018", "one_k", 15811)).to_dict()))

    row = content["rows"][0]
    assert (row["id"], row["head"], row["correct"], row["total"]) == (
        "r.automix_inat2018",
        "one_k",
        15811,
        24426,
    )
    assert row["top1"] == 100 * 15811 / 24426
    assert (row["reported_top1"], row["verdict"]) == (64.73, "reproduced")
    assert content["versions"]["torch"]
    assert content["data"]["list_sha256"] == "b" * 64


def test_cells_follow_the_columns() -> None:
    """A table line has a cell for each column and the verdict."""
    found = dict(zip([*COLUMNS, "Verdict"], cells(line("r", "one_k", 15811)), strict=True))

    assert found["Correct"] == "15811 / 24426"
    assert found["Recomputed"] == "64.730"
    assert found["Gap"] == "0.000"
    assert found["Gap, images"] == "+0.1"


def test_markdown_names_overrides_rules_and_every_file() -> None:
    """Two checkpoints with one file name are two lines of provenance."""
    text = to_markdown(
        report(line("a", "one_k", 15811), line("b", "one_k", 15000, sha256="c" * 64))
    )

    assert "overrides (resize 263 instead of 256)" in text
    assert "- **not reproduced**: more than 0.10 points away" in text
    assert "a" * 64 in text
    assert "c" * 64 in text


def test_markdown_table_is_rectangular() -> None:
    """A pipe in a name doesn't break the table."""
    text = to_markdown(report(line("odd|name", "one_k", 1)))

    rows = [row for row in text.splitlines() if row.startswith("| ")]
    assert {row.replace(r"\|", "").count("|") for row in rows} == {len(COLUMNS) + 2}
