"""Other tools read a report's numbers: timm's CSV, the hub's YAML."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from mixzoo.eval.result_formats import TIMM_COLUMNS, to_csv, to_yaml
from mixzoo.zoo.report import Report, parse_report

from ..report_example import example_report


@pytest.fixture
def content() -> dict[str, Any]:
    return example_report()


@pytest.fixture
def report() -> Report:
    return parse_report(example_report(), "example")


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_csv_begins_with_timms_columns(report: Report) -> None:
    """A reader of timm's results finds them in their places, ours behind."""
    timm = "model,top1,top1_err,top5,top5_err,param_count,img_size,crop_pct,interpolation"

    header = to_csv(report).splitlines()[0]

    assert header.startswith(timm + ",")
    assert ",".join(TIMM_COLUMNS) == timm
    assert len(set(header.split(","))) == header.count(",") + 1


def test_csv_row_has_timms_units(report: Report) -> None:
    """Percent with four digits, errors that sum to 100, millions of parameters, the crop's ratio."""
    row = next(r for r in rows_of(to_csv(report)) if r["model"] == "resnet50.automix_inat2018")

    expected = report.rows[3].default
    assert row["top1"] == f"{expected.top1:.4f}"
    assert float(row["top1"]) + float(row["top1_err"]) == pytest.approx(100, abs=2e-4)
    assert (row["img_size"], row["crop_pct"], row["interpolation"]) == ("224", "0.852", "bicubic")
    assert (row["correct"], row["total"]) == (str(expected.correct), "24426")


def test_csv_counts_the_parameters_that_infer(report: Report, golden: Path) -> None:
    """One backbone and one head, also of AutoMix; the reference counted the same."""
    row = next(r for r in rows_of(to_csv(report)) if r["model"] == "resnet50.mixup_inat2018")
    recorded = json.loads((golden / "state_dict" / "mixups_r50.json").read_text())
    by_name = {name: shape for name, shape, _ in recorded["state_dict"]}
    count = 0
    for name, _ in recorded["named_parameters"]:
        size = 1
        for side in by_name[name]:
            size *= side
        count += size

    assert row["param_count"] == f"{count / 1e6:.2f}"


def test_csv_is_sorted_and_names_further_heads(report: Report) -> None:
    """Best first, as timm's; each head is a model of its own name."""
    rows = rows_of(to_csv(report))

    tops = [float(row["top1"]) for row in rows]
    assert tops == sorted(tops, reverse=True)
    assert len({row["model"] for row in rows}) == sum(len(row.heads) for row in report.rows)
    assert "resnet50.automix_inat2018:mix_k" in {row["model"] for row in rows}


def test_csv_without_optional_facts(content: dict[str, Any]) -> None:
    """An architecture of another package has no count; an unpublished row no number."""
    row = content["rows"][0]
    row["weights"] |= {"architecture": "vit_b_16"}
    row["reported_top1"] = None
    content["rows"] = [row]

    found = rows_of(to_csv(parse_report(content, "report")))[0]

    assert (found["param_count"], found["reported_top1"]) == ("", "")


def test_yaml_is_a_model_index(report: Report) -> None:
    """The hub's own reader takes it: each checkpoint once, by the head that carries its verdict, top-1 and top-5."""
    from huggingface_hub.repocard_data import model_index_to_eval_results

    read = yaml.safe_load(to_yaml(report, dataset_name="iNaturalist-2018"))

    assert [entry["name"] for entry in read["model-index"]] == [row.id for row in report.rows]
    _, results = model_index_to_eval_results(read["model-index"][3:4])
    assert [result.metric_value for result in results] == [
        round(report.rows[3].judged.top1, 4),
        round(report.rows[3].judged.top5, 4),
    ]
    assert results[0].dataset_name == "iNaturalist-2018"
    assert "one_k" in str(results[0].metric_name)


def test_yaml_leaves_out_what_is_not_the_benchmarks(content: dict[str, Any]) -> None:
    """Numbers on other pixels or images are never published under the benchmark's name."""
    for row in content["rows"]:
        row["not_comparable"] = "other pixels than the table's"

    text = to_yaml(parse_report(content, "report"))

    assert yaml.safe_load(text) == {"model-index": []}
    assert "# left out: resnet50.automix_inat2018: other pixels" in text
