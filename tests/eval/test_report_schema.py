"""The report's JSON, its schema and the page that explains it say the same."""

import json
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError
from mixzoo.eval.predictions import Counts
from mixzoo.eval.report import Report, ReportRow, Weights
from mixzoo.eval.verdict import judge
from mixzoo.zoo.manifest import Metric

ROOT = Path(__file__).parents[2]
METRIC = Metric(statistic="median_of_last_epochs", epochs=5)


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    return json.loads((ROOT / "docs" / "report.schema.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def example() -> dict[str, Any]:
    return json.loads((ROOT / "tests/viz/example_report.json").read_text(encoding="utf-8"))


def written(reported: float | None) -> dict[str, Any]:
    """What the evaluator writes, after a trip through JSON."""
    row = ReportRow(
        id="resnet50.automix_inat2018",
        head="one_k",
        is_default_head=True,
        has_other_heads=True,
        counts=Counts(15811, 20000, 24426),
        reported_top1=reported,
        decimals=2,
        verdict=judge(15811, 24426, reported, METRIC),
        weights=Weights("epoch_100.pth", "a" * 64, "resnet50", "automix", 8142),
    )
    report = Report(
        rows=(row,),
        benchmark="inat2018",
        protocol={
            "resize": 256,
            "crop": 224,
            "interpolation": "bicubic",
            "mean": (0.485, 0.456, 0.406),
            "std": (0.229, 0.224, 0.225),
            "overrides": {},
        },
        data={"labels": "val2018.json", "images": 24426, "list_sha256": "b" * 64},
        run={"device": "cpu", "world_size": 1},
    )
    return json.loads(json.dumps(report.to_dict()))


def keys(table: dict[str, Any]) -> Iterator[str]:
    """All names that a schema describes."""
    for name, inner in table.get("properties", {}).items():
        yield name
        yield from keys(inner)
    if isinstance(table.get("items"), dict):
        yield from keys(table["items"])


def test_schema_is_a_schema(schema: dict[str, Any]) -> None:
    """By the rules of its own draft."""
    Draft202012Validator.check_schema(schema)


@pytest.mark.parametrize("reported", [64.73, None])
def test_written_reports_fit_the_schema(schema: dict[str, Any], reported: float | None) -> None:
    """With and without a published number."""
    Draft202012Validator(schema).validate(written(reported))


def test_everything_optional_fits_the_schema(
    schema: dict[str, Any], example: dict[str, Any]
) -> None:
    """A report with breakdown, calibration, precision, claims, failures and unreadable images."""
    Draft202012Validator(schema).validate(example)


def test_no_key_is_written_that_the_schema_does_not_know(schema: dict[str, Any]) -> None:
    """A new key of the evaluator needs a line in the schema and on the page."""
    report = written(64.73)
    described = schema["properties"]

    assert set(report) <= set(described)
    assert set(report["rows"][0]) <= set(described["rows"]["items"]["properties"])
    weights = described["rows"]["items"]["properties"]["weights"]["properties"]
    assert set(report["rows"][0]["weights"]) <= set(weights)


def test_page_explains_every_key(schema: dict[str, Any]) -> None:
    """docs/report.md has each key that the schema has."""
    page = (ROOT / "docs" / "report.md").read_text(encoding="utf-8")

    assert [key for key in keys(schema) if f"`{key}`" not in page] == []


WRONG = {
    "a fraction for a percentage": ("top1", 101.0),
    "a text for a count": ("correct", "15811"),
    "no verdict": ("verdict", None),
    "half an interval": ("interval95", [64.0]),
}


@pytest.mark.parametrize(("key", "value"), WRONG.values(), ids=WRONG)
def test_schema_refuses_wrong_values(schema: dict[str, Any], key: str, value: Any) -> None:
    """Types and ranges are held."""
    report = deepcopy(written(64.73))
    report["rows"][0][key] = value

    with pytest.raises(ValidationError):
        Draft202012Validator(schema).validate(report)
