"""Reports keep every number, name what departs from the protocol, and are read as they were written."""

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError
from mixzoo.eval.report import COLUMNS, notes, table, warnings
from mixzoo.zoo.errors import ManifestError, MixzooError, UsageError
from mixzoo.zoo.report import Report, parse_report, read_report, report_schema

from ..report_example import example_report

ROOT = Path(__file__).parents[2]


@pytest.fixture
def content() -> dict[str, Any]:
    return example_report()


@pytest.fixture
def report() -> Report:
    return parse_report(example_report(), "example")


def test_what_is_read_is_written_again(report: Report) -> None:
    """The types hold all that the file holds; what they write, they read."""
    written = json.loads(report.to_json())

    assert parse_report(written, "again") == report


def test_each_row_has_a_line_for_its_verdict_and_one_for_each_other_head(report: Report) -> None:
    """The verdict stands once, beside the head that carries it."""
    lines = table(report)

    automix = [
        dict(zip(COLUMNS, line.cells, strict=True)) for line in lines if "automix" in line.row.id
    ]
    assert [line["Head"] for line in automix] == ["one_k *", "mix_k", "one_q", "mix_q"]
    assert [line["Verdict"] for line in automix] == ["reproduced", "", "", ""]
    assert automix[0]["Row"] == "resnet50.automix_inat2018"
    assert automix[0]["Correct"] == "15812 / 24426"
    assert automix[0]["Recomputed"] == "64.734"
    assert (automix[0]["Gap"], automix[0]["Gap, images"]) == ("+0.004", "+1.1")


def test_the_head_that_carries_the_verdict_stands_first(content: dict[str, Any]) -> None:
    """Also where it isn't the one that inference uses."""
    content["rows"] = [content["rows"][3] | {"head": "mix_q"}]

    lines = table(parse_report(content, "report"))

    assert [line.cells[1] for line in lines] == ["mix_q", "one_k *", "mix_k", "one_q"]
    assert [line.cells[-1] for line in lines] == ["reproduced", "", "", ""]


def test_what_a_reader_must_not_miss(content: dict[str, Any]) -> None:
    """Changed pixels, disagreeing checkpoints, unreadable images, failures, reasons."""
    content["rows"][0] |= {"verdict": "not comparable", "reason": "other pixels"}

    told = "\n".join(warnings(parse_report(content, "report")))

    assert "Not comparable: other pixels." in told
    assert "Protocol changed by hand: resize 263 instead of 256." in told
    assert "images can't be read and count as wrong, first train_val2018/Aves/3001/0a1b.jpg" in told
    assert "could not be evaluated" in told


def test_what_fp32_changed_is_counted_with_the_calibrations(content: dict[str, Any]) -> None:
    """None was computed again after it, and yet one was changed."""
    facts = {"precision": "guarded", "arithmetic": "bf16", "bound": 0.1, "calibrated": 128}
    content["rows"][0]["heads"][0]["precision"] = facts | {"recomputed": 0, "changed": 1}

    assert (
        "128 images calibrated the bound (0.1 of a logit), 0 more were computed again in fp32; fp32 "
        "changed 1 prediction of all these."
    ) in "\n".join(notes(parse_report(content, "r")))


def test_notes_tell_how_the_log_compares(content: dict[str, Any]) -> None:
    """Of each head, in images; and of many exact ones in one sentence."""
    row = content["rows"][0]
    row["matches_log"] = "matches its log"
    row["heads"][0]["logged"] = {"epoch": 100, "top1": 62.53, "gap_images": 2.0}
    one = "\n".join(notes(parse_report(content, "report")))
    row["heads"][0]["logged"]["gap_images"] = 0.0
    content["rows"] = [row | {"id": f"row{n}"} for n in range(6)]

    many = "\n".join(notes(parse_report(content, "report")))

    assert "matches its log (head0: epoch 100 62.53000, +2 images)" in one
    assert "6 of 6 checkpoints give what their logs say, to the image." in many


WRONG: dict[str, tuple[tuple[Any, ...], Any, str]] = {
    "a percentage that isn't its count": (("rows", 0, "heads", 0, "top1"), 50.0, "expected 100 x"),
    "a fraction for a percentage": (("rows", 0, "heads", 0, "top5"), 101.0, "top5"),
    "a text for a count": (("rows", 0, "heads", 0, "correct"), "15811", "correct"),
    "more right than there are": (("rows", 0, "heads", 0, "correct"), 24427, "expected 100 x"),
    "no verdict": (("rows", 0, "verdict"), None, "verdict"),
    "half an interval": (("rows", 0, "heads", 0, "interval95"), [64.0], "interval95"),
    "a verdict of no head": (("rows", 0, "head"), "mix_k", "isn't one of its heads"),
    "no hash": (("rows", 0, "weights", "sha256"), "abc", "sha256"),
    "another format": (("format",), 3, "format"),
    "the old format": (("format",), 1, "format 1"),
}


@pytest.mark.parametrize(("path", "value", "word"), WRONG.values(), ids=WRONG)
def test_what_no_evaluation_writes_is_refused(
    content: dict[str, Any], path: tuple[Any, ...], value: Any, word: str
) -> None:
    """One line names the field, what was expected and what stands there."""
    inner: Any = content
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value

    with pytest.raises(ManifestError, match=word):
        parse_report(content, "r.json")


@pytest.mark.parametrize(
    "data", [b"", b"{", b"\xff\xfe", b"[" * 100_000, b"3", b"[]", b'{"rows": 3}'], ids=range(7)
)
def test_other_files_are_an_error_of_one_line(tmp_path: Path, data: bytes) -> None:
    """Whatever lies there."""
    path = tmp_path / "r.json"
    path.write_bytes(data)

    with pytest.raises(MixzooError) as error:
        read_report(path)
    assert "\n" not in str(error.value)
    assert str(path) in str(error.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    """It says what was expected."""
    with pytest.raises(UsageError, match="expected a report as `mixzoo eval --out"):
        read_report(tmp_path / "none.json")


def test_the_schema_is_that_of_the_types() -> None:
    """docs/report.schema.json is written from them by `make format`."""
    stored = json.loads((ROOT / "docs/report.schema.json").read_text(encoding="utf-8"))

    Draft202012Validator.check_schema(stored)
    assert stored == json.loads(json.dumps(report_schema()))


def test_the_schema_takes_reports_and_refuses_others(content: dict[str, Any]) -> None:
    """For readers in other languages: types and ranges are held."""
    validator = Draft202012Validator(report_schema())
    wrong = deepcopy(content)
    wrong["rows"][0]["heads"][0]["top1"] = 101.0

    validator.validate(content)
    with pytest.raises(ValidationError):
        validator.validate(wrong)


def test_the_page_explains_every_key() -> None:
    """docs/report.md names each field of each type."""
    page = (ROOT / "docs/report.md").read_text(encoding="utf-8")
    names = {name for part in report_schema()["$defs"].values() for name in part["properties"]}

    assert {name for name in names if f"`{name}`" not in page} == set()
