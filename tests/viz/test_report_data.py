"""Stored reports are read for plots, and what isn't a report is named."""

import json
from pathlib import Path
from typing import Any

import pytest
from mixzoo.viz.report_data import parse_report, read_report
from mixzoo.zoo.errors import ManifestError, UsageError


def test_lines_keep_what_was_measured(content: dict[str, Any], tmp_path: Path) -> None:
    """Numbers, intervals and groups as they are stored."""
    path = tmp_path / "report.json"
    path.write_text(json.dumps(content))

    report = read_report(path)

    stored = content["rows"][0]
    line = report.rows[0]
    assert (line.id, line.top1, list(line.interval95)) == (
        stored["id"],
        stored["top1"],
        stored["interval95"],
    )
    assert [g.correct for g in line.breakdown["supercategory"]] == [
        g["correct"] for g in stored["breakdown"]["supercategory"]
    ]
    assert [line.head for line in report.default_lines()] == ["head0"] * 3 + ["one_k"] * 2


def test_optional_keys_may_be_absent(content: dict[str, Any]) -> None:
    """And unknown ones present, as docs/report.md says."""
    content["new key"] = 1
    for row in content["rows"]:
        row.pop("breakdown", None)

    assert parse_report(content, "x").rows[0].breakdown == {}


@pytest.mark.parametrize("text", ["", "{", "\x00", "[" * 100_000])
def test_what_is_no_json(tmp_path: Path, text: str) -> None:
    """One line with the command that makes a report."""
    path = tmp_path / "report.json"
    path.write_text(text)

    with pytest.raises(UsageError, match=r"report\.json: expected a report as `mixzoo eval --out"):
        read_report(path)


def test_what_is_not_there(tmp_path: Path) -> None:
    """The system's reason, without its number."""
    with pytest.raises(UsageError, match=r"\(No such file or directory\)"):
        read_report(tmp_path / "none.json")


@pytest.mark.parametrize("change", [{"format": 2}, {"rows": [{}]}, {"rows": None}])
def test_what_is_no_report(content: dict[str, Any], change: dict[str, Any]) -> None:
    """Field, expected and got."""
    with pytest.raises(ManifestError, match="example: "):
        parse_report(content | change, "example")
