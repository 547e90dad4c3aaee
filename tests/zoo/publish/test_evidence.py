"""A report backs a number only for the weights, the images and the pixels that it measured."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mixzoo.zoo.catalog import open_catalog
from mixzoo.zoo.errors import ManifestError, UsageError
from mixzoo.zoo.publish.evidence import read_evidence

MINI = open_catalog().benchmark("mini")
SHA = "a" * 64


def report(**changes: Any) -> dict[str, Any]:
    """A report on one head, 753 of mini's 1,000 images; `changes` go into its only row."""
    line = {
        "id": "resnet18_w6.vanilla_mini",
        "head": "head0",
        "default_head": True,
        "correct": 753,
        "correct5": 990,
        "total": 1000,
        "top1": 75.3,
        "top5": 99.0,
        "interval95": [72.5, 77.9],
        "verdict": "reproduced",
        "reason": "rounds to the published digits",
        "weights": {"file": "a.pth", "sha256": SHA, "architecture": "resnet18_w6"},
    }
    return {
        "format": 1,
        "benchmark": "mini",
        "rows": [line | changes],
        "protocol": {"resize": 146, "overrides": {}},
        "data": {
            "labels": "val2018.json",
            "images": 1000,
            "list_sha256": MINI.manifest.dataset.val.list_sha256,
        },
        "run": {"device": "cpu"},
        "versions": {"torch": "2.6"},
        "created": "2026-11-22T12:00:00+00:00",
    }


@pytest.fixture
def write(tmp_path: Path) -> Callable[[dict[str, Any]], Path]:
    def write(content: dict[str, Any]) -> Path:
        path = tmp_path / "report.json"
        path.write_text(json.dumps(content))
        return path

    return write


def test_lines_are_found_by_hash(write) -> None:
    """Other weights' lines are not these weights' numbers."""
    evidence = read_evidence(write(report()), MINI)

    assert [line.correct for line in evidence.lines(SHA)] == [753]
    assert evidence.lines("b" * 64) == []


def test_the_benchmarks_images_and_pixels_are_its_number(write) -> None:
    """All images of the known list, no override: this is the benchmark's own number."""
    evidence = read_evidence(write(report()), MINI)

    assert evidence.measures(evidence.rows[0], MINI)


OTHERS = {
    "fewer images": report(total=100, correct=75, top1=75.0, correct5=99),
    "not comparable": report(verdict="not comparable"),
    "another list": report() | {"data": report()["data"] | {"list_sha256": "c" * 64}},
    "overrides": report() | {"protocol": {"overrides": {"resize": "150 instead of 146"}}},
}


@pytest.mark.parametrize("content", OTHERS.values(), ids=OTHERS)
def test_other_images_or_pixels_are_not(write, content: dict[str, Any]) -> None:
    """A number on a part of the images, or on other pixels, isn't the benchmark's."""
    evidence = read_evidence(write(content), MINI)

    assert not evidence.measures(evidence.rows[0], MINI)


WRONG = {
    "improved by hand": (report(top1=76.3), r"head head0, field 'top1': expected 100 x 753 / 1000"),
    "top-5 improved": (report(top5=99.9), "field 'top5'"),
    "more than all": (report(correct=1001, top1=100.0), "field 'top1'"),
    "no hash": (report(weights={"file": "a.pth"}), "field 'weights': .* sha256"),
    "later format": (report() | {"format": 2}, "format"),
}


@pytest.mark.parametrize(("content", "message"), WRONG.values(), ids=WRONG)
def test_a_report_that_contradicts_itself_is_refused(
    write, content: dict[str, Any], message: str
) -> None:
    """Percentages must be the counts', to the last digit."""
    with pytest.raises(ManifestError, match=message) as caught:
        read_evidence(write(content), MINI)

    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("benchmark", ["inat2018", None])
def test_a_report_on_something_else_is_refused(write, benchmark: str | None) -> None:
    """A number measured without the benchmark, or on another, says nothing about it."""
    with pytest.raises(UsageError, match="expected a report on mini, got one on"):
        read_evidence(write(report() | {"benchmark": benchmark}), MINI)


@pytest.mark.parametrize("content", [b"", b"not JSON", b"\xff\xfe"])
def test_what_is_no_report_is_refused(tmp_path: Path, content: bytes) -> None:
    """A wrong file says what is expected."""
    path = tmp_path / "report.json"
    path.write_bytes(content)

    with pytest.raises(UsageError, match="mixzoo eval --out"):
        read_evidence(path, MINI)
